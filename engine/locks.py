"""Locks between processes, by a file: one holder at a time, and none for longer than it lives.

The system's own file locks are used: flock, or msvcrt's on Windows. A file system without them (some NFS and Lustre
mounts) gets a file beside the lock instead, which one process alone can create, with its host and number in it.
"""

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)

UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}  # flock's, where there is no lock to have
FAR = 1 << 30  # the byte that is locked on Windows, where a locked byte cannot be read: far behind the text
RETRY_SECONDS = 0.2


class Locked(Exception):
    """Another process holds the lock; the message says which."""


@contextlib.contextmanager
def hold(path: Path, wait: float = 0.0) -> Iterator[int]:
    """Hold the lock `path`, a file that is created where it is missing and stays.

    Parameters
    ----------
    path : Path
    wait : float
        Seconds to keep trying while another process holds it.

    Yields
    ------
    int
        The file's descriptor. A child process that inherits it holds the lock for as long as it lives.

    Raises
    ------
    Locked
        Another process holds it, on this machine or on one that shares the folder.
    OSError
        The file cannot be opened.
    """
    until = time.monotonic() + wait
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        while not (release := acquire(file, path)):
            if time.monotonic() >= until:
                raise Locked(holder(file, path))
            time.sleep(RETRY_SECONDS)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield file.fileno()
        finally:
            release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock. Nothing is created."""
    try:
        with path.open(encoding="utf-8") as file:
            release = acquire(file, path, probing=True)
            if release:
                release()
            return not release
    except FileNotFoundError:
        return False


def holder(file: TextIO, path: Path) -> str:
    """Who holds the lock, as far as its file says."""
    file.seek(0)
    text = file.read(200).strip() or "another process"
    owner = owner_of(path)
    return f"{text} (if that no longer runs, remove {owner})" if owner.exists() else text


def owner_of(path: Path) -> Path:
    """The file that stands for the lock where the file system has none."""
    return path.with_name(f"{path.name}.owner")


def acquire(file: TextIO, path: Path, probing: bool = False) -> Callable[[], object] | None:
    """Try once. What lets go of the lock again, or None where another process holds it."""
    try:
        return lock(file.fileno(), probing)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        owner = owner_of(path)
        if probing:
            return None if owner_lives(owner) else no_release
        log.warning("%s: no file locks on this file system (%s); using %s", path, error.strerror, owner.name)
        return create_owner(owner)


def lock(descriptor: int, probing: bool) -> Callable[[], object]:
    """The system's own lock; the function that releases it. Raises BlockingIOError where another process holds it."""
    try:
        import fcntl
    except ImportError:
        return lock_on_windows(descriptor)
    fcntl.flock(descriptor, (fcntl.LOCK_SH if probing else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    return no_release  # closing the file does, once no child holds it either


def no_release() -> None:
    """Nothing is left to do."""


def lock_on_windows(descriptor: int) -> Callable[[], object]:
    import msvcrt

    def at(mode: int) -> None:
        os.lseek(descriptor, FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, mode, 1)

    try:
        at(msvcrt.LK_NBLCK)
    except OSError as error:
        raise BlockingIOError(errno.EAGAIN, error.strerror) from None
    os.lseek(descriptor, 0, os.SEEK_SET)
    return lambda: at(msvcrt.LK_UNLCK)


def create_owner(owner: Path) -> Callable[[], object] | None:
    """Create the file that stands for the lock; None where another living process has."""
    remove_stale(owner)
    try:
        with owner.open("x", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {started(os.getpid())} {socket.gethostname()}\n")
    except FileExistsError:
        return None
    return lambda: owner.unlink(missing_ok=True)


def remove_stale(owner: Path) -> None:
    """Remove the file of a process that died holding the lock, and no other that takes its place meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        seen = owner.read_text(encoding="utf-8")
        if owner_lives(owner):
            return
        aside = owner.with_name(f".{owner.name}.{os.getpid()}")
        owner.rename(aside)  # of several processes here, one succeeds
        if aside.read_text(encoding="utf-8") == seen:
            aside.unlink()
        else:
            aside.rename(owner)


def owner_lives(owner: Path) -> bool:
    """Whether the process that created the file may still run: False only where that is certain."""
    try:
        number, start, host = owner.read_text(encoding="utf-8").split()
        if host != socket.gethostname():
            return True  # on another machine: nobody here can know
        os.kill(int(number), 0)
        return start == started(int(number))
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (ValueError, OSError):  # it is being written, or the process is another user's
        return True


def started(number: int) -> str:
    """When a process began, as Linux counts it: process numbers are used again. '-' where that is not known."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"
