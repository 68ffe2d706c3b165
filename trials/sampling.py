"""A random sample of trials, which guesses where a pass over all of them should look closely."""

from __future__ import annotations

import numba
import numpy as np

from trials.arrays import Utterances

DRAWS = 1 << 16  # trials of each kind: tells a rate of 25 % to +-0.17 %


def sample(listed: Utterances, draws: int = DRAWS) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of random trials.

    Returns
    -------
    for "pooled" and for "macro", the (draws,) float32 scores of non-target and of target trials: drawn evenly from all
    trials, or evenly from the systems (the pairs of systems) and then from their trials
    """
    generator = np.random.default_rng(0)
    sizes = listed.sizes.astype(np.float64)
    own, can = sizes * (sizes - 1), sizes > 1
    drawn = {}
    for curve, of_system, of_pair in (("pooled", own, sizes), ("macro", can.astype(float), np.ones(len(sizes)))):
        system = _choose(generator, of_system, draws)
        target = _pair_within(generator, listed, system)
        first, second = _two_systems(generator, of_pair, draws)
        nontarget = (_member(generator, listed, first), _member(generator, listed, second))
        drawn[curve] = (_scores_of(listed, *nontarget), _scores_of(listed, *target))
    return drawn


def _choose(generator: np.random.Generator, weights: np.ndarray, draws: int) -> np.ndarray:
    """Random systems, each as likely as its weight."""
    edges = np.cumsum(weights)
    return np.minimum(np.searchsorted(edges, generator.random(draws) * edges[-1], side="right"), len(weights) - 1)


def _two_systems(generator: np.random.Generator, weights: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs of two different systems: draws of one system twice are thrown away, and others repeated."""
    first, second = _choose(generator, weights, 4 * draws), _choose(generator, weights, 4 * draws)
    differ = np.flatnonzero(first != second)
    if not len(differ):  # one system has nearly all utterances: any pair will do for a guess
        return np.zeros(draws, np.int64), np.ones(draws, np.int64)
    chosen = np.resize(differ, draws)
    return first[chosen], second[chosen]


def _member(generator: np.random.Generator, listed: Utterances, system: np.ndarray) -> np.ndarray:
    """A random row of each system."""
    return listed.starts[system] + (generator.random(len(system)) * listed.sizes[system]).astype(np.int64)


def _pair_within(
    generator: np.random.Generator, listed: Utterances, system: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two different random rows of each system."""
    sizes = listed.sizes[system]
    first = (generator.random(len(system)) * sizes).astype(np.int64)
    step = 1 + (generator.random(len(system)) * (sizes - 1)).astype(np.int64)
    return listed.starts[system] + first, listed.starts[system] + (first + step) % sizes


def _scores_of(listed: Utterances, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    scores = np.empty(len(first), np.float32)
    _products(listed.rows, first, second, scores)
    if listed.scale is not None:
        scale, shift = listed.scale, listed.shift
        scores = scores * (scale[first] + scale[second]) - (shift[first] + shift[second])
    return scores


@numba.njit(nogil=True, cache=True, fastmath=True)
def _products(rows, first, second, scores):
    """Products of rows[first] and rows[second]. Rounded otherwise than BLAS rounds: good for a guess only."""
    for trial in range(len(first)):
        left, right = rows[first[trial]], rows[second[trial]]
        total = np.float32(0)
        for d in range(rows.shape[1]):
            total += left[d] * right[d]
        scores[trial] = total
