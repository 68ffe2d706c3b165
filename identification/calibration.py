"""What `calibrate` learns and a bank keeps: lines from scores to ratios, their bounds, a threshold, how good it was."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scoring.calibration import Line
from settings.errors import DataError
from settings.text import CONTROL

LEVEL = 0.95


@dataclass(frozen=True)
class Ratios:
    """From scores to log10 likelihood ratios.

    Attributes
    ----------
    line : natural log-likelihood ratio of a score
    drawn : (B, 2) float64, slopes and offsets had other systems been in the list
    low, high : natural log-likelihood ratios beyond which the list cannot speak
    """

    line: Line
    drawn: np.ndarray
    low: float
    high: float

    def natural(self, scores: np.ndarray) -> np.ndarray:
        """Natural log-likelihood ratios, not bounded: what ranks and meets thresholds."""
        return self.line(scores)

    def log10(self, scores: np.ndarray) -> np.ndarray:
        """Log10 likelihood ratios within the bounds."""
        return np.clip(self.line(scores), self.low, self.high) / np.log(10)

    def interval(self, scores: np.ndarray) -> np.ndarray:
        """(2, ...) ends of the 95 % interval of `log10(scores)`, itself inside."""
        scores = np.asarray(scores, np.float64)
        drawn = self.drawn if len(self.drawn) else np.array([[self.line.slope, self.line.offset]])
        ends = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
        slopes, offsets = (column.reshape(-1, *[1] * scores.ndim) for column in drawn.T)
        found = np.clip(np.percentile(slopes * scores + offsets, ends, axis=0), self.low, self.high) / np.log(10)
        value = self.log10(scores)
        return np.stack([np.minimum(found[0], value), np.maximum(found[1], value)])

    def at_bound(self, score: float) -> bool:
        """Whether the list supports no ratio as far from 1 as the line gives."""
        return not self.low < float(self.line(score)) < self.high


@dataclass(frozen=True)
class Calibration:
    """Learned from a development list.

    Attributes
    ----------
    identify : of an utterance against an enrolled system
    compare : of two utterances
    threshold : natural log-likelihood ratio of the best system below which the answer is "unknown"
    about : plain data for headers and reports: `list`, `date`, `rule` of the threshold, `known`, `unknown` (systems),
        `utterances`, `left_out` (whether enrolled systems were left out in turn), `languages`, `cllr_before`,
        `cllr_after`, `min_cllr`, `conditions` (a row each), `false_alarm`, `miss`
    """

    identify: Ratios
    compare: Ratios
    threshold: float
    about: dict


NEEDED = {"list": str, "date": str, "rule": str, "known": int, "unknown": int, "languages": list, "conditions": list}
NUMBERS = ("cllr_before", "cllr_after", "min_cllr", "compare_cllr", "false_alarm", "miss")


def calibration_arrays(calibration: Calibration) -> dict[str, np.ndarray]:
    """The arrays that a bank keeps of a calibration."""
    arrays = {"calibration_about": np.array(json.dumps(calibration.about, ensure_ascii=False))}
    for name, ratios in (("identify", calibration.identify), ("compare", calibration.compare)):
        numbers = [ratios.line.slope, ratios.line.offset, ratios.low, ratios.high]
        arrays[f"calibration_{name}"] = np.array(numbers)
        arrays[f"calibration_{name}_drawn"] = ratios.drawn
    return arrays | {"calibration_threshold": np.array(calibration.threshold)}


def calibration_from(arrays: dict[str, np.ndarray], path: str | Path) -> Calibration | None:
    """The calibration in a bank's arrays, None where there is none. Raises DataError where it is damaged."""
    if not any(name.startswith("calibration_") for name in arrays):
        return None
    try:
        about = json.loads(str(arrays["calibration_about"]))
        found = {name: _ratios(arrays, name) for name in ("identify", "compare")}
        threshold = arrays["calibration_threshold"]
        sound = threshold.shape == () and np.isfinite(threshold)
        sound &= all(isinstance(about[name], kind) for name, kind in NEEDED.items())
        sound &= all(isinstance(about[name], int | float) and np.isfinite(about[name]) for name in NUMBERS)
        sound &= all(isinstance(language, str) for language in about["languages"])
        sound &= not CONTROL.search(json.dumps(about, ensure_ascii=False))
        if not sound:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise DataError(f"{path}: its calibration is damaged: calibrate it again") from None
    return Calibration(**found, threshold=float(threshold), about=about)


def _ratios(arrays: dict[str, np.ndarray], name: str) -> Ratios:
    """Raises KeyError or ValueError where the arrays hold no sound line."""
    numbers, drawn = arrays[f"calibration_{name}"], arrays[f"calibration_{name}_drawn"]
    fits = numbers.shape == (4,) and drawn.ndim == 2 and drawn.shape[1] == 2
    if not fits or any(array.dtype != np.float64 or not np.isfinite(array).all() for array in (numbers, drawn)):
        raise ValueError
    slope, offset, low, high = numbers.tolist()
    if not low <= 0 <= high or slope <= 0:
        raise ValueError
    return Ratios(Line(slope, offset), drawn, low, high)
