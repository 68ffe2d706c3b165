"""How well embeddings trace a list: `scoring`'s results, with the conditions that training defines."""

from dataclasses import dataclass

import numpy as np

import scoring
from analysis.embeddings import Embeddings


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


def trace(embeddings: Embeddings, systems: list[str], languages: list[str]) -> dict[str, Rates]:
    """Rates of all pairs ('all'), and of the pairs within each condition.

    Parameters
    ----------
    systems, languages : that training has seen; where they are not known (empty), the list's own conditions are taken

    Raises
    ------
    ScoringError
        The list has one system only, or one utterance of each.
    """
    conditions = embeddings.conditions
    if systems:
        conditions = scoring.conditions_of(embeddings.systems, embeddings.languages, systems, languages).tolist()
    given = conditions if any(conditions) else None
    names = embeddings.paths
    found = scoring.evaluate(embeddings.vectors, embeddings.systems, conditions=given, names=names, progress=True)
    return {name: rates(cell) for name, cell in ({"all": found} | (found["conditions"] or {})).items()}


def rates(cell: dict) -> Rates:
    """What a report tells of a list or a condition."""
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
