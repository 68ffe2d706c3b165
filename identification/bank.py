"""A bank: what is kept of enrolled systems, as plain arrays in one file."""

import json
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np

from engine import sealed_zip
from identification.calibration import Calibration, calibration_arrays, calibration_from
from identification.words import SCORERS, UNKNOWN
from scoring.arrays import read_arrays
from scoring.backends import Backend, backend_arrays, backend_from
from settings.errors import DataError, ScoringError
from settings.text import CONTROL, enumerated, suggestion

NEIGHBOURS = 5  # of `knn`


@dataclass(frozen=True)
class Bank:
    """S enrolled systems.

    Attributes
    ----------
    systems : S names
    counts : (S,) int64, utterances enrolled of each
    sums : (S, D) float64, sums of their embeddings of length one
    rows : (R, D) float32 of length one, the utterances that are kept, by system
    owners : (R,) int64, the system of each
    paths : R names of their files
    dates : S days of the last enrolment, ISO
    checkpoint, model : digest of the model that embeds, and where its file was
    backend : what scores are computed through
    scorer : one of `SCORERS`: cosine to a system's mean, mean of the highest cosines to its utterances, or a ratio
    calibration : None until `calibrate`
    """

    systems: list[str]
    counts: np.ndarray
    sums: np.ndarray
    rows: np.ndarray
    owners: np.ndarray
    paths: list[str]
    dates: list[str]
    checkpoint: str
    model: str
    backend: Backend
    scorer: str = "centroid"
    calibration: Calibration | None = field(default=None)

    def number(self, system: str) -> int:
        """The number of a system. Raises DataError where it is not enrolled."""
        if system not in self.systems:
            raise DataError(f"{system} is not enrolled{suggestion(system, self.systems)}")
        return self.systems.index(system)

    def without(self, systems: list[str]) -> "Bank":
        """The bank without some systems, uncalibrated. Raises DataError where one is not there, or none remains."""
        gone = [self.number(system) for system in systems]
        keep = np.setdiff1d(np.arange(len(self.systems)), gone)
        if not len(keep):
            raise DataError("a bank without systems answers nothing: delete the file instead")
        kept = np.isin(self.owners, keep)
        return replace(
            self,
            systems=[self.systems[s] for s in keep],
            counts=self.counts[keep],
            sums=self.sums[keep],
            rows=self.rows[kept],
            owners=np.searchsorted(keep, self.owners[kept]),
            paths=[path for path, stays in zip(self.paths, kept, strict=True) if stays],
            dates=[self.dates[s] for s in keep],
            calibration=None,
        )


def write_bank(bank: Bank, path: str | Path) -> None:
    """The bank as an .npz of plain arrays, whole or not at all. Raises ConfigError as `atomic_write`."""
    arrays = {
        "systems": np.array(bank.systems),
        "counts": bank.counts,
        "sums": bank.sums,
        "rows": bank.rows,
        "owners": bank.owners,
        "paths": np.array(bank.paths),
        "dates": np.array(bank.dates),
        "about": np.array(json.dumps({"checkpoint": bank.checkpoint, "model": bank.model, "scorer": bank.scorer})),
    }
    arrays |= backend_arrays(bank.backend)
    arrays |= {} if bank.calibration is None else calibration_arrays(bank.calibration)
    sealed_zip.write_arrays(path, arrays)


def read_bank(path: str | Path) -> Bank:
    """Read what `write_bank` wrote.

    Raises
    ------
    DataError
        For anything else, in one line. Nothing in the file is executed.
    """
    try:
        return _checked(read_arrays(path, "a bank"), path)
    except ScoringError as error:
        raise DataError(str(error)) from None


KINDS = {"counts": (np.int64, 1), "sums": (np.float64, 2), "rows": (np.float32, 2), "owners": (np.int64, 1)}


def _checked(arrays: dict[str, np.ndarray], path: str | Path) -> Bank:
    texts = {name: _texts(arrays, name, path) for name in ("systems", "paths", "dates")}
    for name, (kind, dimensions) in KINDS.items():
        array = arrays.get(name)
        if array is None or array.dtype != kind or array.ndim != dimensions or not np.isfinite(array).all():
            raise DataError(f"{path}: no bank, or damaged: `{name}` must be finite numbers, {dimensions}-dimensional")
    counts, sums, rows, owners = (arrays[name] for name in KINDS)
    systems = len(texts["systems"])
    wrong = {
        "systems": not systems or len(set(texts["systems"])) < systems or UNKNOWN in texts["systems"],
        "dates": len(texts["dates"]) != systems,
        "counts": counts.shape != (systems,) or (counts < 1).any(),
        "sums": sums.shape != (systems, rows.shape[1]) or not sums.any(axis=1).all(),
        "rows": not rows.size or (np.abs(np.linalg.norm(rows, axis=1) - 1) > 1e-3).any(),
        "paths": len(texts["paths"]) != len(rows),
        "owners": owners.shape != (len(rows),) or not np.array_equal(np.unique(owners), np.arange(systems)),
    }
    if any(wrong.values()):
        raise DataError(f"{path}: damaged: {enumerated([name for name, bad in wrong.items() if bad])} cannot be so")
    about, backend = _about(arrays, path), backend_from(arrays, path)
    if len(backend.mean) != rows.shape[1] or (about["scorer"] == "plda") != (backend.name == "plda"):
        raise DataError(f"{path}: damaged: its back-end does not fit its embeddings or its scorer")
    return Bank(
        **texts,
        counts=counts,
        sums=sums,
        rows=rows,
        owners=owners,
        **about,
        backend=backend,
        calibration=calibration_from(arrays, path),
    )


def _about(arrays: dict[str, np.ndarray], path: str | Path) -> dict[str, str]:
    """What is said of the bank in words."""
    try:
        about = json.loads(str(arrays["about"]))
        found = {name: about[name] for name in ("checkpoint", "model", "scorer")}
    except (KeyError, TypeError, ValueError, RecursionError):
        found = {}
    words = [value for value in found.values() if isinstance(value, str) and not CONTROL.search(value)]
    if len(words) != 3 or found["scorer"] not in SCORERS:
        raise DataError(f"{path}: no bank, or damaged: `about` is not what enrol writes")
    return found


def _texts(arrays: dict[str, np.ndarray], name: str, path: str | Path) -> list[str]:
    array = arrays.get(name)
    if array is None or array.ndim != 1 or array.dtype.kind != "U" or CONTROL.search("".join(array.tolist())):
        raise DataError(f"{path}: no bank, or damaged: `{name}` must be names, one-dimensional")
    return array.tolist()


def today() -> str:
    """The day, ISO."""
    return date.today().isoformat()
