"""dataprep.py download, against a server on this machine that breaks off, lies about lengths and sends wrong bytes."""

import hashlib
import shutil
import stat
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import yaml

import dataprep
from preparation.download.addresses import DEFAULT, read_addresses
from preparation.download.transfer import fetch
from preparation.download.unpack import unpack
from settings.errors import ConfigError, DataError
from tests.preparation.awkward_server import BODY, Server

SEVEN_ZIP = f"""#!{sys.executable}
import sys, zipfile, pathlib
archive = zipfile.ZipFile(sys.argv[-1])
if sys.argv[1] == "l":
    for info in archive.infolist():
        link = archive.read(info).decode() if info.external_attr >> 28 == 10 else ""
        print(f"Path = {{info.filename}}\\nSize = {{info.file_size}}\\nSymbolic Link = {{link}}\\n")
else:
    if archive.testzip():
        sys.exit("CRC Failed : " + archive.testzip())
    archive.extractall(next(a[2:] for a in sys.argv if a.startswith("-o")))
"""


@pytest.fixture
def server():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


MANNERS = ["whole", "breaks", "no_ranges", "changes", "busy", "elsewhere"]


@pytest.mark.parametrize("manner", MANNERS)
def test_a_file_arrives_whole_whatever_the_server_does(server, tmp_path, manner):
    fetch(f"{server.url}/{manner}/x.zip", tmp_path / "x.zip", pause=0)
    assert (tmp_path / "x.zip").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_later_run_asks_only_for_the_rest(server, tmp_path):
    (tmp_path / ".x.zip.part").write_bytes(BODY[:250_000])
    (tmp_path / ".x.zip.version").write_text('"v1"')
    fetch(f"{server.url}/whole/x.zip", tmp_path / "x.zip", pause=0)
    assert server.asked == [("/whole/x.zip", "bytes=250000-")]
    assert (tmp_path / "x.zip").read_bytes() == BODY


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        ("too_long", "gave up after 5 attempts"),
        ("stalls", "gave up after 5 attempts"),
        ("page", "sent a web page instead of x.zip"),
        ("none", "the server says 404"),
    ],
)
def test_a_server_that_cannot_be_helped_is_named_and_nothing_takes_the_file_s_place(server, tmp_path, manner, message):
    with pytest.raises(DataError, match=message):
        fetch(f"{server.url}/{manner}/x.zip", tmp_path / "x.zip", pause=0)
    assert not (tmp_path / "x.zip").exists()


def test_no_server_at_all_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gave up after 5 attempts \(.*refused"):
        fetch("http://127.0.0.1:9/x.zip", tmp_path / "x.zip", pause=0)


def test_no_room_is_told_before_the_bytes_come(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1_000))
    with pytest.raises(DataError, match="300,000 bytes to come, and the disk has room for 1,000"):
        fetch(f"{server.url}/whole/x.zip", tmp_path / "x.zip", pause=0)


def archive(path, members=None):
    with zipfile.ZipFile(path, "w") as made:
        for name, body in (members or {"fake/en/a/1.wav": b"RIFF", "fake/licence.txt": b"CC"}).items():
            made.writestr(name, body)
    return path


@pytest.fixture
def seven_zip(tmp_path_factory, monkeypatch):
    """A stand-in for 7-Zip that opens plain zip files, alone on the PATH."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "7z"
    program.write_text(SEVEN_ZIP)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def addresses(server, tmp_path, manner="whole", **more):
    """A table of an archive and its checksum, the server's archive, and the command's arguments."""
    body = archive(tmp_path / "archive").read_bytes()
    server.files["/whole/a.zip"] = body
    server.files["/whole/a.md5"] = f"{hashlib.md5(body).hexdigest()}  ./a.zip\n".encode()
    files = {"a.zip": f"{server.url}/{manner}/a.zip", "a.md5": f"{server.url}/whole/a.md5"}
    table = {"licence": "CC test", "checksums": "a.md5", "archive": "a.zip", "files": files} | more
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(table))
    return ["download", "--addresses", str(tmp_path / "table.yaml"), "--out", str(tmp_path / "out")]


@pytest.mark.usefixtures("seven_zip")
def test_download_fetches_checks_unpacks_and_does_nothing_twice(server, tmp_path, capsys):
    argv = addresses(server, tmp_path)
    assert dataprep.main(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("licence: CC test") and "a.zip: MD5 as published" in out
    assert (tmp_path / "out/fake/en/a/1.wav").read_bytes() == b"RIFF"
    asked = len(server.asked)
    assert dataprep.main(argv) == 0
    assert len(server.asked) == asked and "unpacked before" in capsys.readouterr().out


@pytest.mark.usefixtures("seven_zip")
@pytest.mark.parametrize("manner", ["wrong", "too_short"])
def test_wrong_bytes_are_set_aside_and_fetched_again(server, tmp_path, capsys, manner):
    argv = addresses(server, tmp_path, manner)
    assert dataprep.main(argv) == 2
    assert "set aside as a.zip.wrong, run again" in capsys.readouterr().err
    assert not (tmp_path / "out/a.zip").exists() and not (tmp_path / "out/fake").exists()
    assert dataprep.main(addresses(server, tmp_path)) == 0


def test_without_7_zip_the_word_is_clear_and_the_download_stays(server, tmp_path, monkeypatch, capsys):
    argv = addresses(server, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dataprep.main(argv) == 2
    assert "7-Zip is needed" in capsys.readouterr().err
    assert (tmp_path / "out/a.zip").exists()
    assert dataprep.main([*argv, "--keep_packed"]) == 0


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.usefixtures("seven_zip")
@pytest.mark.parametrize("member", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", link("fake/link")])
def test_archives_that_lead_outside_are_refused_whole(tmp_path, member):
    source = archive(tmp_path / "a.zip", {"fake/1.wav": b"x", member: b"/etc/passwd"})
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="1 members refused, nothing is unpacked"):
        unpack(source, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir()) and not (tmp_path / "evil.txt").exists()


@pytest.mark.usefixtures("seven_zip")
def test_damaged_archives_and_taken_names_leave_nothing_behind(tmp_path):
    source = archive(tmp_path / "a.zip")
    out = tmp_path / "out"
    (out / ".unpacking" / "left").mkdir(parents=True)  # of a killed run
    (out / "fake").mkdir()
    with pytest.raises(DataError, match="holds fake already"):
        unpack(source, out)
    assert [path.name for path in out.iterdir()] == ["fake"]
    (out / "fake").rmdir()
    source.write_bytes(source.read_bytes().replace(b"RIFF", b"RIFX"))
    with pytest.raises(DataError, match="7-Zip fails"):
        unpack(source, out)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {"../x": "http://h/x"}}, "no plain file name"),
        ({"files": {"x": "file:///etc/passwd"}}, "no http address"),
        ({"checksums": "none"}, "not among the files"),
        ({"licence": None}, "licence: say"),
        ({"extra": 1}, "no key extra is known"),
        ({"files": []}, "expected the key files"),
    ],
)
def test_wrong_tables_are_refused(server, tmp_path, capsys, change, message):
    argv = addresses(server, tmp_path, **change)
    assert dataprep.main(argv) == 2
    assert message in capsys.readouterr().err and not server.asked


def test_a_table_that_is_missing_or_no_yaml_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("files: [")
    for path in (tmp_path / "x.yaml", tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match=path.name):
            read_addresses(path)


def test_the_table_of_the_project_is_whole_and_points_to_the_licence():
    table = read_addresses(DEFAULT)
    parts = [name for name in table.files if name.startswith("mlaad_v5.z")]
    assert len(parts) == 12 and table.archive == "mlaad_v5.zip" and table.checksums == "mlaad_v5.zip.md5"
    assert "CC BY-NC 4.0" in table.licence and "decide" in table.licence
    assert Path(DEFAULT).read_text().count("Not verified") == 1
