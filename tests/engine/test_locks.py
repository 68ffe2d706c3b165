"""One holder at a time, known by name, and none for longer than it lives; where there is no flock, by another file."""

import errno
import fcntl
import logging
import os
import subprocess
import sys
import time
import types

import pytest

from engine import locks
from engine.locks import Locked, hold, is_held
from tests.conftest import ROOT

HOLDER = """
import sys, time, pathlib
sys.path.insert(0, {root!r})
from engine import locks
if {errno}:
    import fcntl
    def flock(*_): raise OSError({errno}, "no locks available")
    fcntl.flock = flock
with locks.hold(pathlib.Path({path!r})):
    print("held", flush=True)
    time.sleep(60)
"""
REFUSALS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]


def holder(path, number=0) -> subprocess.Popen:
    """Another process that holds the lock."""
    code = HOLDER.format(root=str(ROOT), path=str(path), errno=number)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def no_flock(monkeypatch, request):
    """A file system that refuses flock with this error."""

    def refuse(*_):
        raise OSError(request.param, "refused")

    if request.param:
        monkeypatch.setattr(fcntl, "flock", refuse)
    return request.param


@pytest.mark.parametrize("no_flock", [0, *REFUSALS], indirect=True)
def test_a_lock_is_one_process_s_until_it_dies(tmp_path, no_flock, caplog):
    path = tmp_path / ".lock"
    assert not is_held(path) and not path.exists()
    other = holder(path, no_flock)
    assert is_held(path)
    with pytest.raises(Locked, match=rf"process {other.pid} on "), hold(path):
        pass
    end(other)
    assert not is_held(path)
    with hold(path):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
        assert is_held(path)
        with pytest.raises(Locked), hold(path):
            pass
    assert not is_held(path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(warned) == bool(no_flock) and all("no file locks" in record.getMessage() for record in warned)


def test_waiting_for_a_lock_ends_when_it_is_free(tmp_path):
    other = holder(tmp_path / "lock")
    began = time.monotonic()
    with pytest.raises(Locked), hold(tmp_path / "lock", wait=0.5):
        pass
    assert time.monotonic() - began >= 0.5
    other.terminate()
    with hold(tmp_path / "lock", wait=30):
        pass
    end(other)


def test_a_child_that_inherits_the_descriptor_holds_on(tmp_path):
    with hold(tmp_path / "lock") as descriptor:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    assert is_held(tmp_path / "lock")
    child.communicate(b"\n")
    assert not is_held(tmp_path / "lock")


@pytest.mark.parametrize("no_flock", REFUSALS[:1], indirect=True)
@pytest.mark.usefixtures("no_flock")
def test_the_file_of_another_machine_is_respected_and_named(tmp_path):
    owner = tmp_path / "lock.owner"
    owner.write_text("17 123 elsewhere\n")
    with pytest.raises(Locked, match=rf"remove {owner}"), hold(tmp_path / "lock"):
        pass
    owner.write_text(f"{os.getpid()} 1 {locks.socket.gethostname()}\n")  # our number, of a process before us
    with hold(tmp_path / "lock"):
        pass


def test_windows_locks_a_byte_behind_the_text(tmp_path, monkeypatch):
    held = set()

    def locking(descriptor, mode, count):
        place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR), count)
        if mode == 0:
            held.remove(place)
        elif place in held:
            raise OSError(errno.EACCES, "denied")
        else:
            held.add(place)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0))
    with hold(tmp_path / "lock"):
        assert {place[1:] for place in held} == {(locks.FAR, 1)}
        assert (tmp_path / "lock").read_text().startswith("process ")
        assert is_held(tmp_path / "lock")
        with pytest.raises(Locked), hold(tmp_path / "lock"):
            pass
    assert not held
    assert not is_held(tmp_path / "lock") and not held


def test_every_command_is_imported_where_there_is_no_fcntl():
    modules = "trainSpeakerNet, score, identify, dataprep, sweep, analyse, evaluation, corpus.build_cache"
    code = "import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; "
    code += f"import {modules}, sweeping.commands, analysis.commands, preparation.commands"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
