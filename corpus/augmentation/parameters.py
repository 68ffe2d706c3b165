"""What the parameters of a kind may be: numbers within bounds, ranges to draw from, names out of a few."""

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]  # drawn from uniformly, both ends included; a recipe may give one number for both
WholeRange = tuple[int, int]
Names = tuple[str, ...]  # one of them is drawn


@dataclass(frozen=True)
class Between:
    """Bounds of a number or of both ends of a range, with their unit for messages."""

    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        return f"between {self.low:g} and {self.high:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class OneOf:
    """The names that there are."""

    names: Names


def uniform(random: np.random.Generator, bounds: Range) -> float:
    return float(random.uniform(*bounds))


def whole(random: np.random.Generator, bounds: WholeRange) -> int:
    return int(random.integers(bounds[0], bounds[1], endpoint=True))


def peak(samples: np.ndarray) -> float:
    """The largest magnitude of (T,) samples, 0 of none."""
    return float(np.abs(samples).max(initial=0.0))


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """(length,) float32: the end cut off, or zeros after it where a codec or a resampler gave a few samples less."""
    kept = np.asarray(samples[:length], np.float32)
    return np.ascontiguousarray(kept if len(kept) == length else np.pad(kept, (0, length - len(kept))))
