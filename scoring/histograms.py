"""Scores of all pairs counted into bins, tile by tile, and never kept: on the CPU, one thread a core.

The score of a trial is the float32 product of two unit rows as BLAS gives it in one call, on one thread, for the whole
tile of `TILE` rows x columns of the sorted list in which the pair lies. The tiles are fixed by the list alone, so a
pass that refines sees the very values that the pass before it counted, however many threads share the work.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from engine.parallel import usable_cores
from scoring.bins import BINS, Bins
from scoring.embeddings import Utterances
from scoring.kernels import Tables, Wanted, count_tile, normalise_tile, places_in

TILE = (512, 1024)  # 2 MiB of scores: they are counted while still in the processor's cache


@dataclass(frozen=True)
class Groups:
    """Which histograms of systems a pass keeps beside those of the whole list.

    Either one for each pair of systems i <= j, in the order of the upper triangle; or, where these would be too many,
    three for each system: first of all systems' target trials, then of the trials between each and any other, then of
    the macro weights of the latter.
    """

    systems: int
    bins: int  # of each histogram; 0: none kept
    pairs: bool

    @property
    def count(self) -> int:
        """How many histograms."""
        if not self.bins:
            return 0
        return self.systems * (self.systems + 1) // 2 if self.pairs else 3 * self.systems


NO_GROUPS = Groups(0, 0, False)
GROUP_MEMORY = 24 << 20  # bytes, for each thread


def groups_for(systems: int) -> Groups:
    """The finest histograms of so many systems that the memory allows, of pairs if these can be of use."""
    for pairs, coarsest in ((True, 256), (False, 64)):
        bins = BINS // 4
        while bins > coarsest and Groups(systems, bins, pairs).count * bins * 8 > GROUP_MEMORY:
            bins //= 2
        if Groups(systems, bins, pairs).count * bins * 8 <= GROUP_MEMORY:
            break
    return Groups(systems, bins, pairs)


@dataclass
class Counts:
    """What one pass over all trials saw. Row 0 of a table is non-target trials, row 1 target ones.

    Attributes
    ----------
    to : the bins
    pooled : (2, BINS) int64, every trial counting once
    macro : (2, BINS) float64, every system's target trials weighing the same in total, and every pair of systems'
        non-target trials
    groups : (G, bins) float64, see `Groups`
    scores : (W,) float32, those that fell into wanted bins
    runs : (R, 3) int32, of every run of scores of one pair of systems how many there are, and the two systems
    complete : whether there was room for all of these
    """

    to: Bins
    pooled: np.ndarray
    macro: np.ndarray
    groups: np.ndarray
    scores: np.ndarray
    runs: np.ndarray
    complete: bool

    def histogram(self, curve: str) -> np.ndarray:
        """(2, BINS) what the trials count on the curve "pooled" or "macro"."""
        return self.pooled if curve == "pooled" else self.macro

    def kept_in(self, bins: np.ndarray) -> Kept:
        """The scores kept in some bins."""
        marks = np.zeros(BINS, np.uint8)
        marks[bins] = 1
        places = places_in(self.scores, self.to, marks)
        run = np.searchsorted(np.cumsum(self.runs[:, 0], dtype=np.int64), places, side="right")
        order = np.argsort(-self.scores[places])
        scores = self.scores[places[order]]
        run = run[order]
        return Kept(scores, self.to(scores), self.runs[:, 1][run], self.runs[:, 2][run])


@dataclass(frozen=True)
class Kept:
    """(K,) scores, falling; the bins they are in, and the two systems of each."""

    scores: np.ndarray
    bins: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def part(self, chosen: slice | np.ndarray) -> Kept:
        """Those of a slice or a (K,) mask."""
        return Kept(self.scores[chosen], self.bins[chosen], self.first[chosen], self.second[chosen])

    def within(self, bins: np.ndarray) -> Kept:
        """Those in some bins."""
        return self.part(np.isin(self.bins, bins))


def want(bins: np.ndarray, systems: int) -> Wanted:
    """Scores in the bins of a (BINS,) mask, of any trial."""
    bins = np.asarray(bins, np.uint8)
    return Wanted(bins, np.zeros(systems, np.int64), np.full(systems, -1, np.int64), bins.copy())


def tiles(count: int) -> list[tuple[int, int]]:
    """Corners of the tiles that hold the upper triangle of a list of `count` utterances."""
    return [
        (row, column) for row in range(0, count, TILE[0]) for column in range(row // TILE[1] * TILE[1], count, TILE[1])
    ]


def score_tile(listed: Utterances, row: int, column: int, memory: np.ndarray) -> np.ndarray:
    """(rows, columns) float32, the scores of one tile, written to the front of `memory`. BLAS must be on one thread."""
    left, right = listed.rows[row : row + TILE[0]], listed.rows[column : column + TILE[1]]
    tile = memory[: len(left) * len(right)].reshape(len(left), len(right))
    np.matmul(left, right.T, out=tile)
    if listed.scale is not None:
        normalise_tile(tile, row, column, listed.scale, listed.shift)
    return tile


def macro_weights(sizes: np.ndarray) -> np.ndarray:
    """(2, S) float64: a target trial of system i weighs [1, i], a trial of systems i and j [0, i] * [0, j].

    A system's target trials then weigh 1 in total, and so do the trials of each pair of systems.
    """
    own = sizes * (sizes - 1) / 2
    return np.stack([1 / sizes, np.divide(1, own, out=np.zeros(len(sizes)), where=own > 0)])


def count_trials(
    listed: Utterances,
    to: Bins,
    *,
    wanted: Wanted | None = None,
    room: int = 0,
    groups: Groups = NO_GROUPS,
    threads: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    title: str = "scoring",
) -> Counts:
    """Score all pairs of a list once, and count the scores.

    Parameters
    ----------
    listed : the utterances
    to : which bin a score falls into
    wanted : the bins whose scores are kept
    room : how many scores may be kept
    groups : which histograms of systems are wanted
    threads : how many threads share the work; by default one for each core this process may use
    device : "cpu", or a torch device that does the work instead
    progress : whether to show a bar on stderr where the work is long, called `title`
    """
    if device != "cpu":
        from scoring.histograms_torch import count_on_device

        return count_on_device(
            listed, to, wanted=wanted, room=room, groups=groups, device=device, progress=progress, title=title
        )
    corners = tiles(len(listed.rows))
    threads = min(threads or usable_cores(), len(corners))
    work, lock = iter(corners), threading.Lock()
    with (
        threadpool_limits(1, user_api="blas"),
        tqdm(total=len(corners), desc=title, unit="tile", delay=1, leave=False, disable=not progress) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        jobs = [pool.submit(_count_share, listed, to, wanted, room, groups, work, lock, bar) for _ in range(threads)]
        try:
            shares = [job.result() for job in jobs]
        finally:
            with lock:
                for _ in work:  # an interruption leaves the other threads nothing to go on with
                    pass
    total = shares[0]
    for share in shares[1:]:
        total.pooled += share.pooled
        total.macro += share.macro
        total.groups += share.groups
    total.scores = np.concatenate([share.scores for share in shares])
    total.runs = np.concatenate([share.runs for share in shares])
    total.complete = all(share.complete for share in shares)
    return total


def _count_share(listed, to, wanted, room, groups, work, lock, bar) -> Counts:
    """What one thread counts: tile after tile of `work`, until there is none."""
    keeping = wanted is not None
    tables = _tables(listed, groups, room if keeping else 0)
    weights, codes = macro_weights(listed.sizes), listed.codes
    memory = np.empty(TILE[0] * TILE[1], np.float32)
    wanted = wanted or want(np.zeros(BINS), len(listed.systems))
    wanted = wanted._replace(marks=wanted.bins.copy())  # this thread's own
    n, runs = 0 if keeping else -1, []
    while True:
        with lock:
            corner = next(work, None)
            bar.update(corner is not None)
        if corner is None:
            break
        tile = score_tile(listed, *corner, memory)
        n, written = count_tile(tile, *corner, listed.starts, codes, weights, to, tables, wanted, n)
        runs.append(tables.runs[:written].copy())
    complete = n >= 0 or not keeping
    runs = np.concatenate(runs) if complete and runs else np.empty((0, 3), np.int32)
    return Counts(
        to,
        tables.pooled,
        tables.macro,
        tables.groups,
        scores=tables.kept[: max(n, 0)],
        runs=runs,
        complete=complete,
    )


def _tables(listed: Utterances, groups: Groups, room: int) -> Tables:
    """Empty tables for one thread."""
    systems = len(listed.systems)
    blocks = min(TILE[0], systems) * min(TILE[1], systems)
    return Tables(
        pooled=np.zeros((2, BINS), np.int64),
        macro=np.zeros((2, BINS)),
        groups=np.zeros((groups.count, groups.bins)),
        kind=0 if not groups.bins else 1 if groups.pairs else 2,
        group_shift=(BINS // groups.bins).bit_length() - 1 if groups.bins else 0,
        block=np.zeros(BINS, np.int32),
        bins=np.empty(TILE[1], np.uint16),
        kept=np.empty(room + TILE[1] if room else 0, np.float32),  # a whole row of a tile is written before it is cut
        runs=np.empty((blocks, 3), np.int32),
    )
