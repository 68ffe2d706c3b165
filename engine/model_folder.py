"""A model as a folder of the Hugging Face kind: model.safetensors and config.json, and for some a folder ssl/.

Nothing in it is executed or unpickled: the weights are plain numbers, the rest is JSON. A hub's name for such a folder
(`owner/name`) will do, too, where huggingface_hub has it in its cache or can fetch it.
"""

import hashlib
import json
import re
from pathlib import Path

from settings.errors import ConfigError
from settings.files import open_regular, parse_json, read_text
from settings.text import shown

WEIGHTS, CONFIG, SSL_CONFIG = "model.safetensors", "config.json", "ssl/config.json"
FILES = [WEIGHTS, CONFIG, SSL_CONFIG]  # all that is ever read of such a folder
PARTS = ("encoder", "loss")
KEYS = ("format", "classes", "languages")
KNOWN = {*KEYS, "options", "copies", "sha256", "ssl_sha256", "digest"}
SIZE = 1 << 24  # bytes of the largest config.json that is read


def is_hub_name(path: str | Path) -> bool:
    """Whether this can only mean a model on the hub: `owner/name`, and there is no such folder, nor one `owner`."""
    text = str(path)
    named = re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not text.endswith((".model", ".pt", ".ckpt"))
    return bool(named) and not Path(text).exists() and not Path(text).parent.exists()


def fetched(name: str, revision: str | None = None) -> Path:
    """The folder of a model on the hub, from the local cache where it is there. Raises ConfigError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        try:
            return Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"{name}: no such file or folder here, and no such model on the hub: {reason}") from None


def read(folder: Path) -> dict:
    """What a checkpoint would hold: `encoder`, `loss`, `config`, `classes`, `copies`, `languages`, `format`.

    Raises ConfigError where a file is missing, damaged or of another kind.
    """
    about = described(folder)
    weights = tensors(folder / WEIGHTS, about.get("sha256"))
    if "ssl_sha256" in about and checksum(folder / SSL_CONFIG) != about["ssl_sha256"]:
        raise ConfigError(f"{folder / SSL_CONFIG}: damaged or exchanged: its SHA-256 is not the one in {CONFIG}")
    state = {part: {} for part in PARTS}
    for name, tensor in weights.items():
        part, _, rest = name.partition(".")
        if part not in PARTS or not rest:
            raise ConfigError(f"{folder / WEIGHTS}: not a model of this trainer (it holds {shown(name)})")
        state[part][rest] = tensor
    state |= {"config": inside(about["options"], folder), "copies": about.get("copies", [])}
    return state | {key: about[key] for key in KEYS}


def described(folder: Path) -> dict:
    """config.json, looked at as far as this module relies on it."""
    path = folder / CONFIG
    about = parse_json(read_text(path, SIZE), str(path))
    if not isinstance(about, dict) or not isinstance(about.get("options"), dict) or not set(KEYS) <= about.keys():
        raise ConfigError(f"{path}: not of a model of this trainer, which has {', '.join(KEYS)} and options")
    if about.keys() - KNOWN or about.get("digest", digest(about)) != digest(about):
        raise ConfigError(f"{path}: damaged or changed: its content is not what its digest is of")
    return about


def digest(about: dict) -> str:
    """SHA-256 of what config.json holds besides it."""
    rest = {name: value for name, value in about.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def tensors(path: Path, expected: object) -> dict:
    """The file's tensors on the CPU. Raises ConfigError where its checksum is not the one that config.json records."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if checksum(path) != expected:
            raise ConfigError(f"{path}: damaged or exchanged: its SHA-256 is not the one in {CONFIG}")
        return load_file(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise ConfigError(f"{path}: not a file of safetensors ({' '.join(str(error).split())[:200]})") from None


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal text. Raises ConfigError where it cannot be read."""
    found = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def inside(options: dict, folder: Path) -> dict:
    """Options whose text begins with ./ name what lies in the folder. Raises ConfigError where one leads out of it."""
    found = dict(options)
    for name, value in options.items():
        if isinstance(value, str) and value.startswith("./"):
            path = folder / value
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ConfigError(f"{folder / CONFIG}: {name} leads out of the folder: {shown(value)}")
            found[name] = str(path)
    return found
