"""An experiment folder for a report: configuration, epochs, results, and embeddings of its lists."""

from dataclasses import dataclass, replace
from pathlib import Path

from analysis import embeddings as saved
from analysis.embeddings import Embeddings
from analysis.from_checkpoint import embed
from engine import checkpoints
from engine.run_folder import checkpoint_of, config_lists, read_config, read_metrics, read_results, result_names
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
        return checkpoint_of(self.path)

    def lists(self) -> dict[str, tuple[str, str]]:
        """Short name of the dev list ('dev') and of each test list to the list's file and the folder of its paths."""
        config = self.config
        of = {"dev": (config["dev_list"], config["dev_path"] or config["train_path"])} if config["dev_list"] else {}
        names = result_names(config_lists(config))
        root = config["test_path"] or config["train_path"]
        return of | {names[path]: (path, root) for path in config["test_list"]}

    def known(self) -> tuple[list[str], list[str]]:
        """Systems and languages that training has seen, as the checkpoint says."""
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
    """The folder of an experiment. Raises ConfigError where it is none, or one of its files is damaged."""
    folder = Path(path)
    config = read_config(folder)
    names = result_names(config_lists(config))
    results = {names[path]: read_results(folder, names[path]) for path in config["test_list"]}
    scored = {name: found for name, found in results.items() if found}
    return Folder(folder, folder.resolve().name, config, read_metrics(folder), scored)


def read_all(paths: list[str]) -> list[Folder]:
    """Several, with names that differ: as much of the path's end as it takes."""
    folders = [read(path) for path in paths]
    depth = 1
    parts = [folder.path.resolve().parts for folder in folders]
    while len({p[-depth:] for p in parts}) < len(set(parts)):
        depth += 1
    if len(set(parts)) < len(parts):
        raise ConfigError("an experiment is named twice")
    return [replace(folder, name="/".join(p[-depth:])) for folder, p in zip(folders, parts, strict=True)]
