"""The table of files to fetch: name to address, their checksums' file, the archive, and the licence to point to."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from settings.errors import ConfigError
from settings.plain_yaml import read_yaml
from settings.text import shown

DEFAULT = Path(__file__).parent / "mlaad_v5.yaml"


@dataclass(frozen=True)
class Addresses:
    """`files` are name to URL, in the order of fetching; `checksums` and `archive` are names of them, or ''."""

    files: dict[str, str]
    licence: str
    checksums: str = ""
    archive: str = ""


def read_addresses(path: str | Path = DEFAULT) -> Addresses:
    """The table of a YAML file. Raises ConfigError with everything that is wrong with it."""
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict) or not content["files"]:
        raise ConfigError(f"{path}: expected the key files, with lines of `name: address` below it")
    unknown = sorted(content.keys() - Addresses.__dataclass_fields__.keys())
    wrong = [f"no key {key} is known; there is {', '.join(Addresses.__dataclass_fields__)}" for key in unknown]
    files = content["files"]
    for name, url in files.items():
        if PurePosixPath(name).name != name or name.startswith(".") or "\\" in name:
            wrong.append(f"{name} is no plain file name")
        if not is_address(url):
            wrong.append(f"{shown(url)} is no http address")
    for key in ("checksums", "archive"):
        if content.get(key) and content[key] not in list(files):
            wrong.append(f"{key}: {shown(content[key])} is not among the files")
    if not isinstance(content.get("licence"), str):
        wrong.append("licence: say which it is, and where it stands")
    if wrong:
        raise ConfigError("\n  ".join([f"{path}:", *wrong]))
    return Addresses(files, content["licence"].strip(), content.get("checksums") or "", content.get("archive") or "")


def is_address(url: object) -> bool:
    """Whether a value is an http or https address in ASCII, as it goes over the wire."""
    try:
        parts = (
            urlsplit(url) if isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url else None
        )
        return bool(parts and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:  # brackets without an IPv6 address in them, a port that is no number
        return False
