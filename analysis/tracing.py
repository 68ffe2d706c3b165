"""How well embeddings trace a list: `scoring`'s results, with the conditions that training defines."""

from dataclasses import dataclass

import numpy as np

import scoring
from analysis.embeddings import Embeddings
from corpus.conditions import printed, resolve_conditions


@dataclass(frozen=True)
class Rates:
    """Fractions; the EERs None where a condition lacks a kind of trial, `interval` with too few systems."""

    utterances: int
    systems: int
    eer: float | None
    macro_eer: float | None
    interval: tuple[float, float] | None
    fpr: np.ndarray
    fnr: np.ndarray

    def cell(self) -> dict:
        """As `scoring.plots.det_figure` takes it."""
        return {"eer": self.eer, "det": {"fpr": self.fpr, "fnr": self.fnr}}


def trace(embeddings: Embeddings, systems: list[str], languages: list[str]) -> dict[str, Rates]:
    """Rates of all pairs ('all'), and of the pairs within each condition.

    Parameters
    ----------
    systems, languages : of the train list; empty where they are not known. See `corpus.conditions.resolve_conditions`

    Returns
    -------
    'all', then the conditions as people read them, to their rates

    Raises
    ------
    ScoringError
        The list has one system only, or one utterance of each.
    """
    known = embeddings.conditions, embeddings.systems, embeddings.languages
    conditions = resolve_conditions(*known, systems, languages)
    names = embeddings.paths
    found = scoring.evaluate(embeddings.vectors, embeddings.systems, conditions=conditions, names=names, progress=True)
    cells = {printed(condition): cell for condition, cell in (found["conditions"] or {}).items()}
    return {name: rates(cell) for name, cell in ({"all": found} | cells).items()}


def rates(cell: dict) -> Rates:
    """What a report shows of a list or a condition."""
    interval = (cell.get("intervals") or {}).get("eer")
    det = cell.get("det") or {"fpr": [], "fnr": []}
    return Rates(
        cell["utterances"],
        cell["systems"],
        cell.get("eer"),
        cell.get("macro_eer"),
        tuple(interval) if interval else None,
        np.array(det["fpr"]),
        np.array(det["fnr"]),
    )
