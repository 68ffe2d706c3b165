"""One file over HTTP: resumed where it broke off, never an error page, and in its place only when whole."""

import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from settings.errors import DataError
from settings.text import shown

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
            known = self.version.read_bytes()[:1000].decode("ascii", "replace") if self.version.exists() else ""
            if known.isprintable() and known.isascii() and known:
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


class SameSecurity(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https alone, and from https to no http."""

    def redirect_request(self, request, response, code, reason, headers, url):
        """The request of the new address. Raises DataError where it is not to be followed."""
        before, after = urlsplit(request.full_url).scheme, urlsplit(url).scheme
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            raise DataError(f"{request.full_url}: the server redirects to {shown(url)}, which is not followed")
        return super().redirect_request(request, response, code, reason, headers, url)


def opener() -> Callable:
    """What opens http and https addresses, by the environment's proxies, and no other schemes."""
    made = urllib.request.OpenerDirector()
    handlers = ("ProxyHandler", "HTTPDefaultErrorHandler", "HTTPErrorProcessor", "HTTPHandler", "HTTPSHandler")
    for handler in (SameSecurity, *(getattr(urllib.request, name) for name in handlers)):
        made.add_handler(handler())
    return made.open


def fetch(url: str, path: Path, pause: float = 1.0) -> None:
    """Fetch a file, resuming where an earlier attempt, or an earlier run, broke off. `pause` in s before trying again.

    Raises
    ------
    DataError
        The server refuses, sends a web page for a file, or breaks off PATIENCE times without a byte of progress; or the
        disk has no room. What has come is kept, and the next run resumes.
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
            raise DataError(f"{url}: gave up after {PATIENCE} attempts ({reason}); run again to resume")
        time.sleep(pause * 2**idle)


def attempt(url: str, name: str, partial: Partial) -> None:
    """One request. Returns when the file is whole."""
    with opener()(partial.request(url), timeout=TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":
            raise DataError(f"{url}: the server sent a web page instead of {name}; open the address in a browser")
        begin, total = extent(response, partial.size)
        if begin != partial.size:
            partial.begin_anew()
        if begin not in (0, partial.size):
            raise BrokenOff("the server sent another part than asked")
        version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        partial.version.write_text("" if version.startswith("W/") else version, encoding="utf-8")
        room = shutil.disk_usage(partial.file.parent).free
        if total is not None and total - begin > room:
            raise DataError(f"{name}: {total - begin:,} bytes to come, and the disk has room for {room:,}")
        receive(response, name, partial, total)
    if total is not None and partial.size != total:
        raise BrokenOff(f"the server sent {partial.size} of {total} bytes")


def extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and how long the file is (None where the server does not say)."""
    if response.status != 206:
        return 0, whole(response.headers.get("Content-Length"))
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    begin, total = whole(span.partition("-")[0]), whole(span.rpartition("/")[2])
    if unit != "bytes" or begin is None:
        raise BrokenOff("the server answered a range without saying which")
    length = whole(response.headers.get("Content-Length"))
    return begin, total if total is not None or length is None else have + length


def whole(text: str | None) -> int | None:
    """A number of bytes in a header; None where it is missing, or is something else."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 20 else None


def receive(response: http.client.HTTPResponse, name: str, partial: Partial, total: int | None) -> None:
    """Append what comes to the partial file, with a progress bar. Never more than `total`."""
    bar = tqdm(desc=name, total=total, initial=partial.size, unit="B", unit_scale=True, leave=False, disable=None)
    with bar, partial.file.open("ab") as file:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
