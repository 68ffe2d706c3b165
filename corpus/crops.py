"""Which part of an utterance is used: random crops to train on, evenly spaced ones or the whole to evaluate."""

import numpy as np

from corpus.samplers import CROPS, epoch_rng


def crop_samples(frames: int) -> int:
    """Samples that `frames` frames of 25 ms every 10 ms span, at 16 kHz (voxceleb_trainer's rule)."""
    return frames * 160 + 240


def crop_starts(lengths: np.ndarray, plan: np.ndarray, length: int, seed: int, epoch: int) -> np.ndarray:
    """Where the crop of each utterance of an epoch's plan begins, uniform over all places where it fits.

    A crop is a function of (seed, epoch), the utterance and which use of it in the epoch this is.

    Parameters
    ----------
    lengths : (N,) int64
        Samples of each utterance of the list.
    plan : (batches, B) int64
        Utterances of every batch, as a sampler draws them.
    length : int
        Samples of a crop.

    Returns
    -------
    (batches, B) int64
    """
    free = np.maximum(lengths - length, 0) + 1
    use = use_in_epoch(plan.ravel())
    starts = np.empty(plan.size, np.int64)
    for n in range(int(use.max(initial=-1)) + 1):
        stream = (CROPS, n) if n else (CROPS,)
        drawn = (epoch_rng(seed, epoch, *stream).random(len(lengths)) * free).astype(np.int64)
        starts[use == n] = drawn[plan.ravel()[use == n]]
    return starts.reshape(plan.shape)


def use_in_epoch(rows: np.ndarray) -> np.ndarray:
    """(T,) int64: how often each of the rows (T,) occurred before."""
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(rows)])
    use = np.empty(len(rows), np.int64)
    use[order] = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows))))
    return use


def eval_starts(samples: int, length: int, count: int) -> np.ndarray:
    """(count,) int64: where evenly spaced crops of `length` begin in an utterance of so many samples."""
    return np.linspace(0, max(0, samples - length), count).round().astype(np.int64)
