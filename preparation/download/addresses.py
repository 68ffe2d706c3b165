"""The table of files to fetch: name to address, their checksums' file, the archive, and the licence to point to."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml

from settings.errors import ConfigError

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
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict) or not content["files"]:
        raise ConfigError(f"{path}: expected the key files, with lines of `name: address` below it")
    unknown = sorted(map(str, content.keys() - Addresses.__dataclass_fields__.keys()))
    wrong = [f"no key {key} is known; there is {', '.join(Addresses.__dataclass_fields__)}" for key in unknown]
    files = {str(name): str(url) for name, url in content["files"].items()}
    for name, url in files.items():
        if PurePosixPath(name).name != name or name.startswith(".") or "\\" in name:
            wrong.append(f"{name} is no plain file name")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            wrong.append(f"{url} is no http address")
    for key in ("checksums", "archive"):
        if content.get(key) and content[key] not in files:
            wrong.append(f"{key}: {content[key]} is not among the files")
    if not isinstance(content.get("licence"), str):
        wrong.append("licence: say which it is, and where it stands")
    if wrong:
        raise ConfigError("\n  ".join([f"{path}:", *wrong]))
    return Addresses(files, content["licence"].strip(), content.get("checksums") or "", content.get("archive") or "")
