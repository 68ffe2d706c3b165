"""Embeddings of known systems to a bank: new, or into one that is there."""

from dataclasses import dataclass, replace

import numpy as np

from identification.bank import Bank, today
from identification.prototypes import prototypes
from identification.words import UNKNOWN
from scoring.backends import Backend, check_same_model
from scoring.embeddings import unit_rows
from settings.errors import DataError
from settings.text import enumerated

KEPT = 200  # utterances of a system, above which prototypes stand for them
PROTOTYPES = 50


@dataclass(frozen=True)
class Keeping:
    """Up to `most` utterances of a system are kept as they are; of more, `prototypes` that stand for all."""

    most: int = KEPT
    prototypes: int = PROTOTYPES


def new_bank(
    embeddings: np.ndarray,
    labels: list[str],
    paths: list[str],
    *,
    backend: Backend,
    checkpoint: str,
    model: str,
    scorer: str = "centroid",
    keeping: Keeping = Keeping(),
) -> Bank:
    """A bank of utterances with embeddings (N, D).

    Raises
    ------
    DataError
        For a system that is called "unknown", and a back-end that does not fit the scorer.
    """
    if (backend.name == "plda") != (scorer == "plda"):
        raise DataError("the scorer plda and the back-end plda belong together: give both or neither")
    check_same_model("the back-end", backend.checkpoint, checkpoint, "the checkpoint")
    if UNKNOWN in labels:
        raise DataError(f"no system can be called {UNKNOWN}: that is the answer for those that are not enrolled")
    rows = unit_rows(embeddings, paths)
    systems, codes = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(systems), rows.shape[1]))
    np.add.at(sums, codes, rows)
    flat = [str(systems[s]) for s in np.flatnonzero(np.linalg.norm(sums, axis=1) < 1e-6)]
    if flat:
        raise DataError(f"the embeddings of {enumerated(flat)} cancel each other out: such a system has no mean")
    kept = [_kept(rows, np.flatnonzero(codes == system), keeping) for system in range(len(systems))]
    chosen = np.concatenate(kept)
    return Bank(
        systems=systems.tolist(),
        counts=np.bincount(codes).astype(np.int64),
        sums=sums,
        rows=rows[chosen],
        owners=np.repeat(np.arange(len(systems)), [len(part) for part in kept]),
        paths=[paths[row] for row in chosen],
        dates=[today()] * len(systems),
        checkpoint=checkpoint,
        model=model,
        backend=backend,
        scorer=scorer,
    )


def _kept(rows: np.ndarray, own: np.ndarray, keeping: Keeping) -> np.ndarray:
    """The places of a system's utterances that are kept, rising."""
    return own if len(own) <= keeping.most else own[prototypes(rows[own], keeping.prototypes)]


def joined(bank: Bank, more: Bank) -> Bank:
    """A bank with what another one has in addition, uncalibrated. The back-end and the scorer stay.

    A system that is in both gets the other's utterances, too. Raises DataError where files are enrolled already, and
    ScoringError where the two are of different models.
    """
    check_same_model("the bank", bank.checkpoint, more.checkpoint, "what is to be enrolled")
    twice = sorted(set(bank.paths) & set(more.paths))
    if twice:
        raise DataError(f"{len(twice)} files are enrolled already, for example {enumerated(twice, 2)}")
    systems = sorted({*bank.systems, *more.systems})
    place = {system: number for number, system in enumerate(systems)}
    counts, sums = np.zeros(len(systems), np.int64), np.zeros((len(systems), bank.sums.shape[1]))
    dates, owners = [""] * len(systems), []
    for part in (bank, more):
        places = np.array([place[system] for system in part.systems])
        counts[places] += part.counts
        sums[places] += part.sums
        owners.append(places[part.owners])
        for number, day in zip(places, part.dates, strict=True):
            dates[number] = max(dates[number], day)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    paths = [*bank.paths, *more.paths]
    return replace(
        bank,
        systems=systems,
        counts=counts,
        sums=sums,
        rows=np.concatenate([bank.rows, more.rows])[order],
        owners=owner[order],
        paths=[paths[row] for row in order],
        dates=dates,
        calibration=None,
    )
