"""The runs of a sweep as one table: rows model, loss, sampler; columns nOut; means over seeds beside the paper's."""

import csv
import io
from dataclasses import dataclass

import numpy as np

from settings.errors import ConfigError
from settings.files import read_text
from settings.text import for_csv, for_terminal
from sweeping.grid import Run
from sweeping.run_status import State

LARGEST = 1 << 20  # bytes of a file of published figures
ROW = ("model", "trainfunc", "sampler")


@dataclass(frozen=True)
class Score:
    """Percent: mean over seeds, deviation (None for one seed), the paper's value (None where it has none)."""

    mean: float
    deviation: float | None
    paper: float | None


@dataclass(frozen=True)
class Cell:
    """One place of the table. `scores` by (list, measure), empty until a seed is done; `missing` says what is not."""

    scores: dict[tuple[str, str], Score]
    done: int
    seeds: int
    missing: str


@dataclass(frozen=True)
class Table:
    """`rows` are tuples of texts, named by `header`; `columns` the dimensions; `lists` dev and the test lists."""

    header: list[str]
    rows: list[tuple[str, ...]]
    columns: list[int]
    lists: list[str]
    cells: dict[tuple[tuple[str, ...], int], Cell]

    def best(self, of: str, measure: str) -> float | None:
        """The least mean of a list."""
        return min((c.scores[of, measure].mean for c in self.cells.values() if (of, measure) in c.scores), default=None)


def tabulate(states: dict[Run, State], paper: dict) -> Table:
    """The table of runs. `paper` as `read_paper` gives it; {} where there is nothing to compare with."""
    varied = list(dict.fromkeys(name for run in states for name in run.varied))
    groups: dict[tuple, dict[Run, State]] = {}
    for run, found in states.items():
        values = run.config.flat()
        row = tuple(str(values.get(name, "")) for name in (*ROW, *varied))
        groups.setdefault((row, values["nOut"]), {})[run] = found
    tests = list(dict.fromkeys(name for found in states.values() for name in found.tests))
    cells = {key: cell(group, tests, paper.get((*key[0][: len(ROW)], key[1]), {})) for key, group in groups.items()}
    return Table(
        [*ROW, *varied],
        list(dict.fromkeys(row for row, _ in groups)),
        sorted({column for _, column in groups}),
        ["dev", *tests],
        cells,
    )


def cell(group: dict[Run, State], tests: list[str], paper: dict[str, float]) -> Cell:
    """A cell of its seeds' states. The paper's test figure stands beside the first test list."""
    done = [found for found in group.values() if found.kind == "done"]
    published = {"dev": paper.get("dev_eer_percent")} | dict.fromkeys(tests[:1], paper.get("test_eer_percent"))
    scores = {}
    for of in ["dev", *tests]:
        for measure in ("eer", "macro_eer"):
            found = [(state.dev if of == "dev" else state.tests.get(of, {})).get(measure) for state in done]
            values = [100 * value for value in found if value is not None]
            if values:
                deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
                published_here = published.get(of) if measure == "eer" else None
                scores[of, measure] = Score(float(np.mean(values)), deviation, published_here)
    return Cell(scores, len(done), len(group), missing(group))


def missing(group: dict[Run, State]) -> str:
    """What is not done yet, in words; '' where all is."""
    words = []
    for run, found in group.items():
        seed = f"seed {run.config.seed} " if len(group) > 1 else ""
        if found.kind == "failed":
            words.append(f"{seed}failed: {found.reason}")
        elif found.kind in ("running", "interrupted"):
            words.append(f"{seed}{found.kind} at epoch {found.epochs} of {run.config.max_epoch}")
        elif found.kind == "waiting":
            words.append(f"{seed}not run")
    return "; ".join(words)


def read_paper(path: str) -> dict[tuple, dict[str, float]]:
    """(model, trainfunc, sampler, nOut) to published figures, from a CSV; lines that begin with # name its source."""
    text = read_text(path, LARGEST)
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    try:
        return {
            (*(row[key] for key in ROW), int(row["nOut"])): {
                name: percentage(row[name]) for name in ("dev_eer_percent", "test_eer_percent")
            }
            for row in rows
        }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        wanted = ",".join((*ROW, "nOut", "dev_eer_percent", "test_eer_percent"))
        raise ConfigError(
            f"paper {path}: expected the columns {wanted} with numbers ({for_terminal(str(error))})"
        ) from None


def percentage(text: str) -> float:
    """A number from 0 to 100. Raises ValueError."""
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(f"{text} is no percentage")
    return value


def as_csv(table: Table) -> str:
    """One line a cell, every figure in its own column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    figures = [f"{of}_{name}" for of in table.lists for name in (*FIGURES["eer"], *FIGURES["macro_eer"])]
    writer.writerow([*table.header, "nOut", "seeds", "done", *figures, "missing"])
    for row in table.rows:
        for column in table.columns:
            if (row, column) in table.cells:
                found = table.cells[row, column]
                texts = [
                    text for of in table.lists for m in FIGURES for text in figure_texts(found.scores.get((of, m)), m)
                ]
                writer.writerow([*map(for_csv, row), column, found.seeds, found.done, *texts, for_csv(found.missing)])
    return out.getvalue()


FIGURES = {
    "eer": ("eer_percent", "eer_percent_std", "paper_eer_percent", "difference"),
    "macro_eer": ("macro_eer_percent", "macro_eer_percent_std"),
}


def figure_texts(score: Score | None, measure: str) -> list[str]:
    """The texts of one measure's columns, '' for what is not known."""
    if score is None:
        return [""] * len(FIGURES[measure])
    known = [score.mean, score.deviation]
    if measure == "eer":
        known += [score.paper, None if score.paper is None else score.mean - score.paper]
    return ["" if value is None else f"{value:.3f}" for value in known]
