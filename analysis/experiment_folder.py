"""An experiment folder as plain data, for a report: configuration, epochs, results, and embeddings of its lists."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis import embeddings as saved
from analysis.embeddings import Embeddings
from analysis.from_checkpoint import embed
from engine import checkpoints
from evaluation import result_names
from settings.errors import ConfigError


@dataclass(frozen=True)
class Folder:
    """`rows` are the epochs' metrics; `results` the scored lists' by short name; all as the trainer wrote them."""

    path: Path
    name: str
    config: dict
    rows: list[dict]
    results: dict[str, dict]

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint on dev; the last where there is no dev list."""
        best = self.path / "model" / "best.model"
        return best if best.exists() else self.path / "model" / "last.model"

    def lists(self) -> dict[str, tuple[str, str]]:
        """Short name of the dev list ('dev') and of each test list to the list's file and the folder of its paths."""
        config = self.config
        of = {"dev": (config["dev_list"], config["dev_path"] or config["train_path"])} if config["dev_list"] else {}
        names = result_names(config["test_list"])
        root = config["test_path"] or config["train_path"]
        return of | {name: (path, root) for name, path in zip(names, config["test_list"], strict=True)}

    def known(self) -> tuple[list[str], list[str]]:
        """Systems and languages that training has seen, as the checkpoint tells."""
        state = checkpoints.read(self.checkpoint)
        return state.get("classes", []), state.get("languages", [])

    def embeddings(self, name: str) -> Embeddings:
        """Embeddings of a list by the checkpoint; kept in result/, so that a second report is quick."""
        kept = self.path / "result" / f"embeddings_{name}.npz"
        if kept.exists() and kept.stat().st_mtime > self.checkpoint.stat().st_mtime:
            return saved.read(kept)
        path, root = self.lists()[name]
        made = embed(str(self.checkpoint), path, root)
        saved.write(kept, made)
        return made


def read(path: str) -> Folder:
    """The folder of an experiment. Raises ConfigError where it is none, or one of its files cannot be read."""
    folder = Path(path)
    if not (folder / "config.yaml").exists():
        raise ConfigError(f"{path}: no experiment (there is no config.yaml in it)")
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        metrics = folder / "result" / "metrics.jsonl"
        rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        names = result_names(config["test_list"])
        files = {name: folder / "result" / f"eval_{name}.json" for name in names}
        results = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as an experiment ({' '.join(str(error).split())})") from None
    return Folder(folder, folder.resolve().name, config, rows, results)


def read_all(paths: list[str]) -> list[Folder]:
    """Several, with names that tell them apart: as much of the path's end as it takes."""
    folders = [read(path) for path in paths]
    depth = 1
    parts = [folder.path.resolve().parts for folder in folders]
    while len({p[-depth:] for p in parts}) < len(set(parts)):
        depth += 1
    if len(set(parts)) < len(parts):
        raise ConfigError("an experiment is named twice")
    return [
        Folder(f.path, "/".join(p[-depth:]), f.config, f.rows, f.results) for f, p in zip(folders, parts, strict=True)
    ]
