"""What is attacked: a short run on data/demo with all that users make of it."""

from dataclasses import dataclass
from pathlib import Path

import torch

import export
import identify
from benchmarks.demo_runs import ROOT, thinned_lists
from corpus.build_cache import build_cache
from corpus.embedding_file import SavedEmbeddings, read_embeddings, write_embeddings
from corpus.lists import read_list
from engine import checkpoints
from models import ThinResNet34
from scoring.backends import learn, write_backend
from SpeakerNet import load_model
from trainSpeakerNet import main as trainer

AUDIO = ROOT / "data/demo"
TINY = {"nOut": 8, "batch_size": 8, "max_frames": 40, "max_epoch": 2, "warmup_epochs": 1, "test_interval": 1}
TINY |= {"lr": 1e-3, "device": "cpu", "eval_frames": 60, "num_eval": 1, "nDataLoaderThread": 1, "train_path": AUDIO}


@dataclass(frozen=True)
class Material:
    """Where everything is: lists, the experiment `exp`, and below `folder` what was made of it."""

    folder: Path
    options: dict

    @property
    def models(self) -> Path:
        return self.folder / "exp/model"

    def file(self, name: str) -> Path:
        return self.folder / name

    def words(self, **changes: object) -> list[str]:
        """The trainer's command line, with some options set otherwise; None leaves one out."""
        chosen = self.options | changes
        return [str(word) for name, value in chosen.items() if value is not None for word in (f"--{name}", value)]


def make(folder: Path) -> Material:
    """Train, embed, enrol, export: a minute's work."""
    torch.set_num_threads(1)  # the workers are forked
    ThinResNet34.FILTERS, ThinResNet34.BLOCKS = (8, 8, 16, 16), (1, 1, 1, 1)  # checkpoints of kilobytes
    thinned_lists(folder, every=9)
    lists = {f"{name}_list": folder / f"{name}.csv" for name in ("train", "dev", "test")}
    material = Material(folder, TINY | lists | {"save_path": folder / "exp"})
    succeed(trainer(material.words(ema=0.9, average=2)))
    state = checkpoints.read(material.models / "best.model")
    foreign = {f"__S__.{name}": value for name, value in state["encoder"].items()}
    torch.save(foreign | {f"__L__.{name}": value for name, value in state["loss"].items()}, folder / "foreign.model")
    for name in ("train", "dev", "test"):
        table = read_list(folder / f"{name}.csv")
        build_cache(folder / "cache", table, AUDIO, threads=1)
        embeddings_of(material, table, folder / f"{name}.npz")
    saved = read_embeddings(folder / "train.npz")
    write_backend(learn("plda", saved.embeddings, saved.labels, checkpoint=saved.checkpoint), folder / "plda.npz")
    enrolled = ["enrol", folder / "train.npz", "--checkpoint", material.models / "best.model"]
    succeed(identify.main([str(word) for word in [*enrolled, "--out", folder / "bank.npz"]]))
    succeed(identify.main(["calibrate", str(folder / "bank.npz"), str(folder / "dev.npz"), "--draws", "5"]))
    succeed(export.main([str(material.models / "best.model"), "--out", str(folder / "hf"), "--format", "hf"]))
    return material


def embeddings_of(material: Material, table, path: Path) -> None:
    """The embeddings of a list by the best model, as a file."""
    model = load_model(material.models / "best.model", "cpu")
    found = model.embed([AUDIO / name for name in table.paths])
    columns = {"labels": table.systems, "paths": table.paths, "languages": table.languages}
    write_embeddings(path, SavedEmbeddings(found, **columns, logits=model.logits(found), checkpoint=model.digest))


def succeed(status: int) -> None:
    """Raises SystemExit where what is to be attacked could not be made."""
    if status:
        raise SystemExit(f"the material could not be made: exit status {status}")
