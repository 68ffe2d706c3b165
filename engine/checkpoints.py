"""Checkpoints: our own, with all that training needs to go on, and voxceleb_trainer's, for their encoder's weights.

Wherever a checkpoint is read, a model folder (`model_folder.py`) will do.
"""

import hashlib
import pickle
import warnings
from pathlib import Path

import torch
from torch import nn

from engine import model_folder, sealed_zip
from engine.atomic_files import atomic_write
from settings.errors import ConfigError, UserError
from settings.text import bulleted, shown, unusable

FORMAT = 1
KINDS = dict.fromkeys(("encoder", "loss", "unaveraged", "optimizer", "scaler", "progress", "config"), dict)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS |= {"filters": dict, "classes": list, "copies": list, "languages": list, "data": str}


def write(path: str | Path, state: dict) -> None:
    """A checkpoint: tensors, numbers, text, lists and dicts only, so that reading it back runs no code."""
    with atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            try:
                torch.save({"format": FORMAT, **state}, file)
            except RuntimeError as error:
                raise (error.__context__ or error) from None  # a full disk's OSError, which torch hides behind its own
        sealed_zip.seal(temporary)


def read(path: str | Path) -> dict:
    """What a checkpoint file, or a model folder, or one on the hub, holds, on the CPU; of an experiment its best model.

    Raises ConfigError where it is missing, damaged, or would run code.
    """
    if (models := Path(path) / "model").is_dir():
        path = models / ("best.model" if (models / "best.model").exists() else "last.model")
    if model_folder.is_hub_name(path):
        path = model_folder.fetched(str(path))
    state = model_folder.read(Path(path)) if Path(path).is_dir() else read_file(path)
    check_tensors(state, path)
    if "format" in state:
        check_kinds(state, path)
    return state


def read_file(path: str | Path) -> dict:
    """What a checkpoint file holds, as `read` gives it."""
    try:
        sealed_zip.check(path)
        with warnings.catch_warnings():
            for refused_below in ("Detected pickle protocol", "Sparse invariant checks"):
                warnings.filterwarnings("ignore", refused_below)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except pickle.UnpicklingError as error:
        what = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: refused, it holds more than weights and plain data ({what})") from None
    except Exception as error:  # torch lets through whatever zipfile, struct and its own parsers raise
        raise ConfigError(f"{path}: not a checkpoint, or damaged ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(state, dict):
        raise ConfigError(f"{path}: not a checkpoint; it holds a {type(state).__name__}")
    return state


def check_kinds(state: dict, path: str | Path) -> None:
    """Raises ConfigError where a checkpoint of ours holds what none of ours would."""
    if not isinstance(state["format"], int) or state["format"] != FORMAT:
        raise ConfigError(f"{path}: of format {shown(state['format'])}, and this is version {FORMAT} of the trainer's")
    wrong = [name for name, kind in KINDS.items() if name in state and not isinstance(state[name], kind)]
    texts = {name: state.get(name, []) for name in ("classes", "copies", "languages") if name not in wrong}
    names = {name: all(isinstance(word, str) and not unusable(word) for word in words) for name, words in texts.items()}
    wrong += [name for name, sound in names.items() if not sound]
    if wrong:
        raise ConfigError(f"{path}: not a checkpoint of this trainer, or tampered with (see its {', '.join(wrong)})")


def check_tensors(state: dict, path: str | Path) -> None:
    """Raises ConfigError where a tensor is sparse, or larger than its memory: none of a checkpoint's are."""
    waiting, seen = [state], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:  # lists that hold one another many times are small in memory and endless to walk
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set)):
            waiting += value
        elif isinstance(value, torch.Tensor):
            strided = value.layout is torch.strided and not value.is_quantized and not value.is_meta
            if not strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
                what = f"a tensor of {tuple(value.shape)} that is sparse, expanded or without values"
                raise ConfigError(f"{path}: refused, it holds {what}")


def is_sound(path: str | Path) -> bool:
    """Whether a checkpoint can be read."""
    try:
        read(path)
    except UserError:
        return False
    return True


def recorded_config(path: str) -> dict:
    """The configuration that a checkpoint of ours carries; {} for a foreign one."""
    return read(path).get("config", {})


def encoder_weights(state: dict) -> dict[str, torch.Tensor]:
    """The encoder's part of a checkpoint: ours, or any of the forms that voxceleb_trainer writes.

    Those are its SpeakerNet's parameters (`__S__.` the encoder, `__L__.` the loss, perhaps behind `module.`), the same
    under `model_state_dict`, and the bare encoder under `model`.
    """
    if "encoder" in state:
        return tensors(state["encoder"])
    state = state.get("model_state_dict", state)
    if isinstance(state, dict) and set(state) == {"model"}:
        state = state["model"]
    state = {name.removeprefix("module."): value for name, value in tensors(state).items()}
    if any(name.startswith("__S__.") for name in state):
        state = {name: value for name, value in state.items() if name.startswith("__S__.")}
    return {name.removeprefix("__S__."): value for name, value in state.items()}


def digest(name: str, weights: dict[str, torch.Tensor]) -> str:
    """A checksum of a network's name and weights, the same on every device and whatever the file they are kept in."""
    checksum = hashlib.sha256(name.encode())
    for key, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous()
        checksum.update(f"{key} {tuple(values.shape)} {values.dtype}".encode())
        checksum.update(values.flatten().view(torch.uint8).numpy().data)
    return checksum.hexdigest()


def tensors(state: object) -> dict[str, torch.Tensor]:
    """The weights by name among what a state dict holds; none in what is no state dict."""
    items = state.items() if isinstance(state, dict) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, torch.Tensor)}


def shapes(state: object) -> dict[str, tuple[int, ...]]:
    """The shapes of a state's weights by name."""
    return {name: tuple(value.shape) for name, value in tensors(state).items()}


def load_weights(module: nn.Module, weights: dict[str, torch.Tensor], path: str | Path) -> None:
    """Fill `module` with exactly these weights. Raises ConfigError naming what is missing, left over, misshapen."""
    own, weights = module.state_dict(), tensors(weights)
    shape = shapes(weights)
    wrong = [f"{name}: not in the checkpoint" for name in own if name not in weights]
    wrong += [f"{name}: not in the model" for name in weights if name not in own]
    wrong += [
        f"{name}: {shape[name]} in the checkpoint, {tuple(value.shape)} in the model"
        for name, value in own.items()
        if name in weights and shape[name] != tuple(value.shape)
    ]
    wrong += [
        f"{name}: of {value.dtype}, where weights of {own[name].dtype} are expected"
        for name, value in weights.items()
        if name in own and value.dtype not in (FLOATS if own[name].dtype in FLOATS else (own[name].dtype,))
    ]
    if not wrong:
        wrong = [f"{name}: NaN or infinite" for name, value in weights.items() if not value.isfinite().all()]
    if wrong:
        raise ConfigError(
            bulleted(f"{path} does not fit the model (--model, --nOut and the model's own options)", wrong)
        )
    module.load_state_dict(weights)
