"""A random sample of trials, which guesses where a pass over all of them should look closely."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from scoring.embeddings import Utterances

DRAWS = 1 << 18  # trials of each kind: gives a rate of 25 % within +-0.085 %
FEWEST_DRAWS, MOST_DRAWS = 1 << 12, 1 << 20


def draws_for(trials: int) -> int:
    """How many trials of each kind to draw of so many: few take less time, but the pass then has more to look at."""
    return max(FEWEST_DRAWS, min(MOST_DRAWS, trials // 2048))


def sample(listed: Utterances, draws: int = DRAWS) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of random trials.

    Returns
    -------
    for "pooled" and for "macro", the (draws,) float32 scores of non-target and of target trials: drawn evenly from all
    trials, or evenly from the systems (the pairs of systems) and then from their trials
    """
    several = np.flatnonzero(listed.sizes > 1)
    edges = np.cumsum(listed.sizes * (listed.sizes - 1.0))

    def targets_evenly(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        system = np.searchsorted(edges, generator.random(draws) * edges[-1], side="right")
        return _pair_within(generator, listed, np.minimum(system, several[-1]))

    def targets_by_system(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return _pair_within(generator, listed, several[generator.integers(0, len(several), draws)])

    kinds = (
        lambda generator: _different_rows(generator, listed, draws),
        targets_evenly,
        lambda generator: _different_systems(generator, listed, draws),
        targets_by_system,
    )
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(lambda kind, seed: _scores_of(listed, *kind(np.random.default_rng(seed))), kind, seed)
            for seed, kind in enumerate(kinds)
        ]
        scores = [job.result() for job in jobs]
    return {"pooled": (scores[0], scores[1]), "macro": (scores[2], scores[3])}


def _different_rows(generator: np.random.Generator, listed: Utterances, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pairs of rows; those of one system are replaced by pairs that are not, as often as need be."""
    first, second = generator.integers(0, len(listed.rows), (2, 2 * draws), dtype=np.int32)
    codes = listed.codes
    differ = np.flatnonzero(codes[first] != codes[second])
    if not len(differ):  # one system has nearly all utterances: any pair will do for a guess
        return _different_systems(generator, listed, draws)
    chosen = np.resize(differ, draws)
    return first[chosen], second[chosen]


def _different_systems(generator: np.random.Generator, listed: Utterances, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows of random pairs of two systems."""
    systems = len(listed.systems)
    first = generator.integers(0, systems, draws)
    second = (first + generator.integers(1, systems, draws)) % systems
    return _member(generator, listed, first), _member(generator, listed, second)


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
    """(draws,) float32 scores of these pairs of rows."""
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
