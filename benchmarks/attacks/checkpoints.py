"""Damaged checkpoints: what is read of them is the original to the last bit, or nothing."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.attacks.damage import damaged, same
from benchmarks.attacks.material import Material
from benchmarks.attacks.worker import EQUAL, OTHER, Attack, Fault
from engine import checkpoints


def attempt(path: Path, others: list[Path], checked: bool, dice: np.random.Generator, folder: Path) -> str:
    """A damaged copy of a checkpoint. `checked`: whether the form has a checksum at all."""
    hostile = folder / path.name
    hostile.write_bytes(damaged(path.read_bytes(), dice, [other.read_bytes() for other in others]))
    return compared(hostile, path, checked)


def attempt_folder(model: Path, name: str, dice: np.random.Generator, folder: Path) -> str:
    """A model folder, one of whose files is damaged."""
    hostile = folder / "hf"
    shutil.copytree(model, hostile)
    content = (model / name).read_bytes()
    (hostile / name).write_bytes(damaged(content, dice, [(model / "config.json").read_bytes()]))
    return compared(hostile, model, checked=True)


def compared(hostile: Path, original: Path, checked: bool) -> str:
    """Read both. Raises Fault where something else was read, and the form has a checksum."""
    found = checkpoints.read(hostile)
    if same(found, checkpoints.read(original)):
        return EQUAL
    if checked:
        raise Fault("damage taken for the original")
    return OTHER


def attacks(material: Material) -> list[Attack]:
    models = material.models
    legacy = material.file("legacy.model")
    torch.save(torch.load(material.file("foreign.model")), legacy, _use_new_zipfile_serialization=False)
    files = {
        "with all that resumes": (models / "last.model", [models / "average.model"], True),
        "an average": (models / "average.model", [models / "last.model"], True),
        "voxceleb_trainer's": (material.file("foreign.model"), [models / "average.model"], True),
        "of torch before 1.6, no checksum": (legacy, [models / "average.model"], False),
    }
    hf = material.file("hf")
    parts = {f"model folder: {name}": name for name in ("model.safetensors", "config.json")}
    return [
        *(Attack(name, partial(attempt, *which)) for name, which in files.items()),
        *(Attack(name, partial(attempt_folder, hf, part)) for name, part in parts.items()),
    ]
