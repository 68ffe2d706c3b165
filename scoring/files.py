"""Saved embeddings read, and results written: whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.atomic_files import atomic_write
from scoring.all_pairs import first_of_each
from scoring.embeddings import column
from scoring.plots import draw_det, draw_scores
from scoring.trial_list import TrialList
from settings.errors import ScoringError


@dataclass(frozen=True)
class Saved:
    """Embeddings (N, D) as saved, with what is known of each utterance: (N,) arrays, or None."""

    embeddings: np.ndarray
    labels: np.ndarray | None = None
    paths: np.ndarray | None = None
    languages: np.ndarray | None = None
    conditions: np.ndarray | None = None

    def deduplicated(self) -> Saved:
        """Without the utterances whose path occurred before."""
        if self.paths is None:
            raise ScoringError("repeated paths cannot be dropped: the file has no paths")
        keep = first_of_each(self.paths)
        kept = {field: None if value is None else value[keep] for field, value in vars(self).items()}
        return replace(self, **kept)


def read_embeddings(path: str | Path) -> Saved:
    """Read an .npz of `embeddings` (N, D) and, of each utterance, `labels`, `paths`, `languages` and `conditions`.

    Raises
    ------
    ScoringError
        For a file that cannot be read, has no embeddings, or columns of another length. Nothing in it is executed.
    """
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ScoringError("it holds a single array, not `embeddings` and `labels`")
            arrays = {name: archive[name] for name in Saved.__dataclass_fields__ if name in archive.files}
            found = ", ".join(archive.files) or "nothing"
    except Exception as error:  # numpy lets through whatever zipfile, zlib and its own parser raise
        raise ScoringError(f"{path} cannot be read as embeddings (.npz): {error}") from error
    if "embeddings" not in arrays:
        raise ScoringError(f"{path} has no array `embeddings`; it has {found}")
    strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:  # numpy gives the bytes of whatever is no array
        raise ScoringError(f"{path}: {', '.join(strange)} in it is no array")
    embeddings = arrays.pop("embeddings")
    if embeddings.ndim != 2:
        raise ScoringError(
            f"{path}: embeddings must be a table (utterances, dimensions), not of shape {embeddings.shape}"
        )
    return Saved(
        embeddings, **{name: column(array, f"{path}: {name}", len(embeddings)) for name, array in arrays.items()}
    )


def write_results(result: dict, out: str | Path, name: str) -> list[Path]:
    """Write eval_NAME.json and, of a whole evaluation, det_NAME.png and scores_NAME.png; returns their paths.

    Raises ConfigError where they cannot be written.
    """
    out = Path(out)
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {out / f"eval_{name}.json": lambda path: path.write_text(text, encoding="utf-8")}
    if "det" in result:
        files[out / f"det_{name}.png"] = lambda path: draw_det(result, path, name)
        files[out / f"scores_{name}.png"] = lambda path: draw_scores(result, path, name)
    for path, write in files.items():
        with atomic_write(path) as beside:
            write(beside)
    return list(files)


def check_scores_path(path: str | Path) -> None:
    """Raise a ScoringError unless the name ends as a form in which scores can be written."""
    if Path(path).suffix not in (".npz", ".txt"):
        raise ScoringError(f"scores are written as .npz or .txt, not as {Path(path).name}")


def write_scores(path: str | Path, scores: np.ndarray, trials: TrialList, names: np.ndarray) -> None:
    """Write the scores of given trials: a .txt has the lines of the trial list, each with its score after it."""
    check_scores_path(path)
    first, second = np.asarray(names)[trials.first], np.asarray(names)[trials.second]
    columns = {} if trials.labels is None else {"labels": trials.labels}
    columns |= {"first": first, "second": second, "scores": scores}

    with atomic_write(path) as beside:
        if Path(path).suffix == ".npz":
            with beside.open("wb") as file:
                np.savez(file, **columns)
            return
        with beside.open("w", encoding="utf-8") as file:
            for *words, score in zip(*columns.values(), strict=True):
                file.write(f"{' '.join(map(str, words))} {score:.9g}\n")
