"""One file over HTTP: resumed where it broke off, told apart from an error page, and in its place only when whole."""

import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from settings.errors import DataError

CHUNK = 1 << 20
PATIENCE = 5  # attempts in a row that bring nothing
TIMEOUT = 60.0  # seconds without a byte


class BrokenOff(Exception):
    """The connection ended early; what came is kept."""


BROKEN = (BrokenOff, http.client.HTTPException, urllib.error.URLError, ssl.SSLError, TimeoutError, ConnectionError)


@dataclass
class Partial:
    """An unfinished file .NAME.part, and beside it the version (ETag or date) that the server gave its bytes."""

    file: Path
    version: Path

    @classmethod
    def of(cls, path: Path) -> "Partial":
        return cls(path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.version"))

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def request(self, url: str) -> urllib.request.Request:
        """Ask for what is missing: the rest of the same version, else the whole."""
        headers = {"User-Agent": "dataprep", "Accept-Encoding": "identity"}
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
            if self.version.exists() and (known := self.version.read_text()):
                headers["If-Range"] = known
        return urllib.request.Request(url, headers=headers)

    def begin_anew(self) -> None:
        for file in (self.file, self.version):
            file.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        with self.file.open("rb+") as file:
            os.fsync(file.fileno())
        self.file.replace(path)
        self.version.unlink(missing_ok=True)


def fetch(url: str, path: Path, pause: float = 1.0) -> None:
    """Fetch a file, going on where an earlier attempt, or an earlier run, broke off. `pause` in s before trying again.

    Raises
    ------
    DataError
        The server refuses, sends a web page for a file, or breaks off PATIENCE times without a byte of progress; or the
        disk has no room. What has come is kept, and the next run goes on from there.
    """
    partial = Partial.of(path)
    most, idle = partial.size, 0
    while True:
        try:
            attempt(url, path.name, partial)
            return partial.finish(path)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # what we have is not the beginning of what is there
                partial.begin_anew()
            elif error.code < 500 and error.code != 429:
                raise DataError(f"{url}: the server says {error.code} {error.reason}") from None
            reason = f"the server says {error.code} {error.reason}"
        except BROKEN as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        except OSError as error:
            raise DataError(f"{partial.file}: {error.strerror or error}") from None
        idle = 0 if partial.size > most else idle + 1
        most = max(most, partial.size)  # not the last size: a server that lies makes us begin anew for ever
        if idle >= PATIENCE:
            raise DataError(f"{url}: gave up after {PATIENCE} attempts ({reason}); run again to go on from there")
        time.sleep(pause * 2**idle)


def attempt(url: str, name: str, partial: Partial) -> None:
    """One request. Returns when the file is whole."""
    with urllib.request.urlopen(partial.request(url), timeout=TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":
            raise DataError(f"{url}: the server sent a web page instead of {name}; open the address in a browser")
        begin, total = extent(response, partial.size)
        if begin != partial.size:
            partial.begin_anew()
        if begin not in (0, partial.size):
            raise BrokenOff("the server went on from another place than asked")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        partial.version.write_text("" if version.startswith("W/") else version)
        room = shutil.disk_usage(partial.file.parent).free
        if total is not None and total - begin > room:
            raise DataError(f"{name}: {total - begin:,} bytes to come, and the disk has room for {room:,}")
        receive(response, name, partial, total)
    if total is not None and partial.size != total:
        raise BrokenOff(f"the server sent {partial.size} of {total} bytes")


def extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and how long the file is (None where the server does not say)."""
    if response.status != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    begin, total = span.partition("-")[0], span.rpartition("/")[2]
    if unit != "bytes" or not begin.isdigit():
        raise BrokenOff("the server answered a range without saying which")
    return int(begin), int(total) if total.isdigit() else have + int(response.headers.get("Content-Length", 0))


def receive(response: http.client.HTTPResponse, name: str, partial: Partial, total: int | None) -> None:
    """Append what comes to the partial file, with a progress bar. Never more than `total`."""
    bar = tqdm(desc=name, total=total, initial=partial.size, unit="B", unit_scale=True, leave=False, disable=None)
    with bar, partial.file.open("ab") as file:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
