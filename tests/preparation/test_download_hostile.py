"""What a server, an archive or a planted file can do to dataprep.py: one message, bounded memory, nothing followed."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

import dataprep
from preparation.download import unpack as unpacking
from preparation.download.addresses import is_address, read_addresses
from preparation.download.checksums import Verifier, md5
from preparation.download.transfer import extent, fetch
from preparation.download.unpack import unpack
from preparation.formats.mlaad_protocol import read_protocol
from settings.errors import ConfigError, DataError
from tests.preparation.awkward_server import BODY, Handler
from tests.preparation.test_dataprep_download import addresses, archive, server, seven_zip  # noqa: F401 fixtures


class Response:
    """Headers as a server may send them."""

    def __init__(self, status, **headers):
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize("length", ["²", "-5", "1e3", "", "9" * 30, "12; 3", "٣"])
def test_odd_lengths_are_no_lengths(length):
    assert extent(Response(200, Content_Length=length), 0) == (0, None)
    assert extent(Response(206, Content_Range="bytes 7-9/*", Content_Length=length), 7) == (7, None)
    assert extent(Response(206, Content_Range=f"bytes 7-9/{length}", Content_Length="3"), 7) == (7, 10)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://a.example/x.zip", True),
        ("http://127.0.0.1:80/x", True),
        ("http://[::1]/x", True),
        ("http://[::1/x", False),
        ("http://[a]/x", False),
        ("http://é.example/x", False),
        ("http://a.example/é", False),
        ("http://a.example/\0", False),
        ("http://a.example/a b", False),
        ("http://a.example:port/", False),
        ("http://:80/", False),
        ("file:///etc/passwd", False),
        (["http://a.example"], False),
        (None, False),
    ],
)
def test_only_plain_http_addresses_are_addresses(url, good):
    assert is_address(url) is good


@pytest.mark.parametrize(
    "text",
    [
        "files: {a: [http://h/x]}\nlicence: x",
        "files: {a: http://h/x}\nlicence: x\nchecksums: [a]",
        "files: {a: http://h/x}\nlicence: x\narchive: {a: b}",
        "files: {a: http://h/x}\nlicence: [x]",
        "files: {1: 2}\nlicence: x",
        "files:\n" + "  - [" * 100,
        "&a [*a]",
    ],
)
def test_tables_of_other_shapes_are_refused(tmp_path, text):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"t\.yaml"):
        read_addresses(tmp_path / "t.yaml")


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://h/x"])
def test_redirections_to_other_schemes_are_not_followed(server, tmp_path, monkeypatch, target):  # noqa: F811
    def redirect(self, _):
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    monkeypatch.setattr(Handler, "redirects", redirect, raising=False)
    with pytest.raises(DataError, match=r"redirects to .* which is not followed|Redirection to url .* is not allowed"):
        fetch(f"{server.url}/redirects/x.zip", tmp_path / "x.zip", pause=0)


def test_redirections_to_http_are_followed(server, tmp_path, monkeypatch):  # noqa: F811
    def redirect(self, _):
        self.send_response(302)
        self.send_header("Location", f"{server.url}/whole/x.zip")
        self.send_header("Content-Length", "0")
        self.end_headers()

    monkeypatch.setattr(Handler, "redirects", redirect, raising=False)
    fetch(f"{server.url}/redirects/x.zip", tmp_path / "x.zip", pause=0)
    assert (tmp_path / "x.zip").read_bytes() == BODY


def test_a_planted_version_is_not_sent(server, tmp_path):  # noqa: F811
    (tmp_path / ".x.zip.part").write_bytes(BODY[:1000])
    (tmp_path / ".x.zip.version").write_bytes(b"\xff\r\nX-Evil: 1")
    fetch(f"{server.url}/whole/x.zip", tmp_path / "x.zip", pause=0)
    assert (tmp_path / "x.zip").read_bytes() == BODY


@pytest.mark.parametrize("content", ["[]", "{", "null", '{"a": NaN}', '{"x": 7}', "[" * 100_000])
def test_a_damaged_note_of_checks_means_checking_again(tmp_path, content):
    (tmp_path / "x").write_bytes(b"abc")
    (tmp_path / ".verified.json").write_text(content)
    Verifier(tmp_path).check(tmp_path / "x", md5(tmp_path / "x"))
    assert list(json.loads((tmp_path / ".verified.json").read_text()))[-1] == "x"


@pytest.mark.usefixtures("seven_zip")
def test_a_forged_note_of_checks_lets_nothing_be_unpacked(server, tmp_path, capsys):  # noqa: F811
    argv = addresses(server, tmp_path)
    assert dataprep.main([*argv, "--keep_packed"]) == 0
    part, notes = tmp_path / "out/a.zip", tmp_path / "out/.verified.json"
    published = json.loads(notes.read_text())["a.zip"][2]
    archive(tmp_path / "forged", {"evil.wav": b"RIFF"}).replace(part)
    status = part.stat()
    notes.write_text(json.dumps({"a.zip": [status.st_size, status.st_mtime_ns, published]}))
    capsys.readouterr()
    assert dataprep.main(argv) == 2
    assert "a.zip.wrong" in capsys.readouterr().err and not (tmp_path / "out/evil.wav").exists()


@pytest.mark.usefixtures("seven_zip")
def test_archive_bombs_are_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    source = tmp_path / "a.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("fake/zeros.wav", bytes(1 << 20))
    monkeypatch.setattr(unpacking, "ALWAYS_FINE", 1 << 16)
    with pytest.raises(DataError, match="1,048,576 bytes or more from .* no archive of speech does"):
        unpack(source, out)
    monkeypatch.setattr(unpacking, "ALWAYS_FINE", 1 << 30)
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 2)
    with pytest.raises(DataError, match="unpacks to 3 files"):
        unpack(archive(tmp_path / "b.zip", {f"{i}.wav": b"x" for i in range(5)}), out)
    assert not list(out.iterdir())


@pytest.mark.usefixtures("seven_zip")
def test_a_full_disk_is_named_before_and_during_unpacking(tmp_path, monkeypatch):
    source = archive(tmp_path / "a.zip")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 3))
    with pytest.raises(DataError, match="6 bytes to unpack, and the disk has room for 3"):
        unpack(source, tmp_path / "out")
    left = iter([10_000, 100])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, next(left)))
    source.write_bytes(source.read_bytes().replace(b"RIFF", b"RIFX"))  # 7-Zip fails
    with pytest.raises(DataError, match=r"the disk is full \(100 bytes"):
        unpack(source, tmp_path / "out")


def test_a_protocol_bomb_is_refused_by_its_stated_size(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for i in range(3):
            made.writestr(f"{i}.csv", bytes(60_000_000))
    assert Path(tmp_path / "p.zip").stat().st_size < 1_000_000
    with pytest.raises(DataError, match="3 members, 180,000,000 bytes: no protocol"):
        read_protocol(tmp_path / "p.zip")
