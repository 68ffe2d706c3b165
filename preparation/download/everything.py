"""All files of a table fetched, checked and unpacked; what is done already is not done again."""

from pathlib import Path

from engine.atomic_files import write_text
from preparation.download.addresses import Addresses
from preparation.download.checksums import Verifier, read_sums
from preparation.download.transfer import fetch
from preparation.download.unpack import unpack
from settings.errors import ConfigError, DataError


def download(addresses: Addresses, out: Path, unpacking: bool = True, pause: float = 1.0) -> list[str]:
    """Bring the folder `out` to hold every file of the table, and the archive's content. What was done, a line each.

    Raises
    ------
    DataError
        As `fetch`, `Verifier.check` and `unpack`. The next run resumes.
    ConfigError
        The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        verifier = Verifier(out)
        done = fetch_all(addresses, out, pause, verifier)
        return done + (unpack_once(addresses, out, verifier) if unpacking else [])
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: {error.strerror or error}") from None


def fetch_all(addresses: Addresses, out: Path, pause: float, verifier: Verifier) -> list[str]:
    sums, done, unchecked = {}, [], []
    first = [addresses.checksums] if addresses.checksums else []
    for name in [*first, *(name for name in addresses.files if name not in first)]:
        path = out / name
        if not path.exists():
            fetch(addresses.files[name], path, pause)
            done.append(f"{name}: fetched, {path.stat().st_size:,} bytes")
        if name == addresses.checksums:
            sums = read_sums(path)
        elif name in sums:
            read = verifier.check(path, sums[name])
            done.append(f"{name}: MD5 as published" + ("" if read else ", by an earlier run; not changed since"))
        else:
            unchecked.append(name)
    if unchecked:
        done.append(f"no checksum is published for {', '.join(unchecked)}")
    return done


def unpack_once(addresses: Addresses, out: Path, verifier: Verifier) -> list[str]:
    """Unpack the archive, every part of it checked by this process, unless a note says that this very one has been."""
    if not addresses.archive:
        return []
    archive, note = out / addresses.archive, out / f".{addresses.archive}.unpacked"
    status = archive.stat()
    stamp = f"{status.st_size} {status.st_mtime_ns}\n"
    if note.exists() and note.read_text() == stamp:
        return [f"{archive.name}: unpacked before"]
    sums = read_sums(out / addresses.checksums) if addresses.checksums else {}
    for name in addresses.files.keys() & sums.keys():
        verifier.check(out / name, sums[name], remembered=False)
    names = unpack(archive, out)
    if not names:
        raise DataError(f"{archive}: the archive is empty")
    write_text(note, stamp)
    return [f"{archive.name}: unpacked to {', '.join(str(out / name) for name in names)}"]
