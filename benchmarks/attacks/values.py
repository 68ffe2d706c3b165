"""Well-formed checkpoints, their digests right, that hold what none of ours does: given to all that reads one."""

import io
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import Wav2Vec2Config

import analyse
import export
import identify
from benchmarks.attacks.hostile import any_value, planted
from benchmarks.attacks.material import AUDIO, Material
from benchmarks.attacks.worker import OTHER, Attack, Fault, by_command
from engine import checkpoints, sealed_zip
from SpeakerNet import load_model
from trainSpeakerNet import main as trainer

SECONDS, MEMORY = 60.0, 2 << 30
SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
EVIL = "import pathlib\nfrom transformers import Wav2Vec2Config as C, Wav2Vec2Model as M\npathlib.Path({!r}).touch()\n"


def attempt(path: Path, use: Callable, dice: np.random.Generator, folder: Path) -> str:
    """A hostile copy of a checkpoint, used."""
    state = checkpoints.read(path)
    hostile, owned = folder / "exp/model/last.model", folder / "owned"
    hostile.parent.mkdir(parents=True)
    if dice.random() < 0.05:
        state["config"] = state["config"] | with_code(folder / "speech", owned, dice)
    else:
        state = planted(state, dice, any_value)
    torch.save(state, hostile)
    sealed_zip.seal(hostile)
    del state
    sys.stdin = io.StringIO("y\n" * 1_000)  # somebody who agrees to everything
    try:
        return use(hostile, folder)
    finally:
        if owned.exists():
            raise Fault("code beside a model was run")


def with_code(speech: Path, owned: Path, dice: np.random.Generator) -> dict:
    """Options that name a speech model whose configuration asks for code beside it."""
    Wav2Vec2Config(**SIZES, conv_dim=[16] * 7).save_pretrained(speech)
    content = json.loads((speech / "config.json").read_text())
    content |= {"auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    content |= {"model_type": "evil"} if dice.random() < 0.5 else {}
    (speech / "config.json").write_text(json.dumps(content))
    (speech / "evil.py").write_text(EVIL.format(str(owned)))
    return {"model": str(dice.choice(["Wav2Vec2AASIST", "SSLPooling"])), "ssl_path": str(speech)}


def loaded(sound: Path, hostile: Path, folder: Path) -> str:  # noqa: ARG001 all are called alike
    """From Python."""
    if not np.isfinite(load_model(hostile, "cpu").embed([sound])).all():
        raise Fault("embeddings that are not finite")
    return OTHER


def attacks(material: Material) -> list[Attack]:
    """Every command that reads a checkpoint."""
    small, last = material.file("dev.csv"), {"ema": 0.9, "average": 2}
    listed = {name: None for name in material.options if name not in ("train_path", "device")}
    uses = {
        "resume": lambda _, f: by_command(trainer, material.words(save_path=f / "exp", **last)),
        "--initial_model": lambda m, f: by_command(trainer, material.words(save_path=f / "new", initial_model=m)),
        "--eval": lambda m, f: by_command(
            trainer,
            [*material.words(**listed | {"test_list": small, "save_path": f / "out"}, initial_model=m), "--eval"],
        ),
        "load_model": partial(loaded, sorted(AUDIO.rglob("*.ogg"))[0]),
        "identify enrol": lambda m, f: by_command(
            identify.main, ["enrol", small, "--path", AUDIO, "--checkpoint", m, "--out", f / "bank.npz"]
        ),
        "analyse": lambda m, f: by_command(
            analyse.main, ["neighbours", "--checkpoint", m, "--list", small, "--path", AUDIO, "--out", f / "out"]
        ),
        "export hf": lambda m, f: by_command(export.main, [m, "--format", "hf", "--out", f / "out"]),
        "export voxceleb_trainer": lambda m, f: by_command(
            export.main, [m, "--format", "voxceleb_trainer", "--out", f / "out"]
        ),
    }
    resumed = material.models / "model000000001.model"  # an epoch is left to train
    attacked = {name: resumed if name == "resume" else material.models / "average.model" for name in uses}
    return [Attack(name, partial(attempt, attacked[name], use), SECONDS, MEMORY) for name, use in uses.items()]
