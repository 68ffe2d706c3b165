"""Results and scores written: whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.atomic_files import atomic_write
from scoring.plots import draw_det, draw_scores
from scoring.trial_list import TrialList
from settings.errors import ScoringError


def write_results(result: dict, out: str | Path, name: str, condition_name: Callable[[str], str] = str) -> list[Path]:
    """Write eval_NAME.json and, of a whole evaluation, det_NAME.png and scores_NAME.png; returns their paths.

    `condition_name` says what the pictures call a condition. Raises ConfigError where they cannot be written.
    """
    out = Path(out)
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {out / f"eval_{name}.json": lambda path: path.write_text(text, encoding="utf-8")}
    if "det" in result:
        files[out / f"det_{name}.png"] = lambda path: draw_det(result, path, name, condition_name)
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
