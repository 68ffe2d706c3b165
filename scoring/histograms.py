"""Scores of all pairs counted, tile by tile, and never kept: on the CPU, one thread a core.

The score of a trial is the float32 product of two unit rows as BLAS gives it in one call, on one thread, for the whole
tile of `TILE` rows x columns of the sorted list in which the pair lies. The tiles are fixed by the list alone, so a
pass that refines sees the very values that the pass before it counted, however many threads share the work.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from engine.parallel import usable_cores
from scoring.bins import BINS, Bins, floats_of
from scoring.close_look import CountedCells, KeptScores
from scoring.counts import Counts, Groups, Ranges, segments_of
from scoring.embeddings import Utterances
from scoring.kernels import Segments, Tables, count_tile, extremes, normalise_tile
from scoring.kernels_fine import find_inside, name_pairs
from scoring.kernels_systems import count_marginals, count_own, keep_own

TILE = (512, 1024)  # 2 MiB of scores: they are counted while still in the processor's cache


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


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process. To look for them takes as long as to score a thousand utterances."""
    return ThreadpoolController()


def each_tile(
    listed: Utterances,
    worker: Callable[[threading.Lock], Callable[[np.ndarray, int, int], None]],
    *,
    threads: int | None = None,
    shard: tuple[int, int] = (0, 1),
    progress: bool = False,
    title: str = "scoring",
) -> None:
    """Score all tiles of a list, and hand each to a worker of the thread that scored it.

    Parameters
    ----------
    worker : makes the function of one thread, which takes a tile and its corner; it is given a lock that all share
    threads : how many threads share the work; by default one for each core this process may use
    shard : (rank, world), of the tiles every `world`-th, beginning with number `rank`
    progress, title : whether to show a bar on stderr where the work is long, and what it is called
    """
    corners = tiles(len(listed.rows))[shard[0] :: shard[1]]
    work, lock, shared = iter(corners), threading.Lock(), threading.Lock()

    def share() -> None:
        consume, memory = worker(shared), np.empty(TILE[0] * TILE[1], np.float32)
        while True:
            with lock:
                corner = next(work, None)
                bar.update(corner is not None)
            if corner is None:
                return
            consume(score_tile(listed, *corner, memory), *corner)

    threads = max(1, min(threads or usable_cores(), len(corners)))
    with (
        _libraries().limit(limits=1, user_api="blas"),
        tqdm(total=len(corners), desc=title, unit="tile", delay=1, leave=False, disable=not progress) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        jobs = [pool.submit(share) for _ in range(threads)]
        try:
            for job in jobs:
                job.result()
        finally:
            with lock:
                for _ in work:  # an interruption leaves the other threads nothing to go on with
                    pass


def range_on_cpu(listed: Utterances, **how) -> tuple[float, float]:
    """The lowest and the highest score of all pairs; `how` as in `each_tile`."""
    ends = []

    def worker(lock: threading.Lock) -> Callable:  # noqa: ARG001
        return lambda tile, row, column: ends.append(extremes(tile, row, column))

    each_tile(listed, worker, **how)
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def count_on_cpu(listed: Utterances, to: Bins, closely: CountedCells | KeptScores, groups: Groups, **how) -> Counts:
    """See `scoring.passes.count_trials`; `how` as in `each_tile`. `closely` is given the scores in its spans."""
    by_system, segments = segments_of(listed, by_system=True), segments_of(listed, by_system=groups.pairs)
    marginals = 0 if groups.pairs else groups.bins
    all_tables, all_marginals = [], []

    def worker(lock: threading.Lock) -> Callable[[np.ndarray, int, int], None]:
        tables = _tables(groups)
        all_tables.append(tables)
        own = np.zeros((3, groups.systems, groups.bins)) if marginals else None
        bins = np.empty(TILE, np.uint16) if marginals else None
        all_marginals.append(own)
        hand_over = _finder(closely, segments, lock) if len(closely.spans.low) else None

        def consume(tile: np.ndarray, row: int, column: int) -> None:
            count_tile(tile, row, column, segments, to, tables)
            if hand_over:
                hand_over(tile, row, column)
            if marginals:
                count_marginals(tile, row, column, by_system, segments, to, groups.shift, bins, own)

        return consume

    each_tile(listed, worker, **how)
    counted = all_marginals if marginals else [tables.pairs for tables in all_tables]
    return Counts(
        to,
        pooled=sum(tables.pooled for tables in all_tables),
        macro=sum(tables.macro for tables in all_tables),
        groups=sum(counted[1:], counted[0]).reshape(groups.count, groups.bins),
        fine=closely.counts(),
    )


def _finder(
    closely: CountedCells | KeptScores, segments: Segments, lock: threading.Lock
) -> Callable[[np.ndarray, int, int], None]:
    """What one thread does with a tile and its corner: find the scores in the spans, and hand them over."""
    scores, places = (np.empty(TILE[0] * TILE[1] + 1, kind) for kind in (np.float32, np.int32))
    flags = np.zeros(TILE[1] + 8, np.uint8)

    def hand_over(tile: np.ndarray, row: int, column: int) -> None:
        found = find_inside(tile, row, column, closely.spans, flags, scores, places)
        name_pairs(places[:found], tile.shape[1], row, column, segments)
        with lock:
            closely.add(scores[:found], places[:found])

    return hand_over


def count_own_on_cpu(listed: Utterances, ranges: Ranges, **how) -> np.ndarray:
    """See `scoring.passes.count_ranges`; `how` as in `each_tile`."""
    codes, counts = listed.codes, np.zeros((len(listed.systems), 2, ranges.cells), np.int64)
    none = ranges.first > ranges.last
    low = np.where(none, np.float32(np.inf), floats_of(np.where(none, 0, ranges.first)))[codes]
    high = np.where(none, np.float32(-np.inf), floats_of(np.where(none, 0, ranges.last)))[codes]

    def worker(lock: threading.Lock) -> Callable[[np.ndarray, int, int], None]:
        scores, places = (np.empty(TILE[0] * TILE[1] + 1, kind) for kind in (np.float32, np.int32))

        def consume(tile: np.ndarray, row: int, column: int) -> None:
            kept = keep_own(tile, row, column, low, high, scores, places)
            with lock:
                ends = (tile.shape[1], row, column, codes)
                count_own(scores[:kept], places[:kept], *ends, ranges.first, ranges.last, ranges.shift, counts)

        return consume

    each_tile(listed, worker, **how)
    return counts


def _tables(groups: Groups) -> Tables:
    """Empty tables for one thread."""
    pairs = (groups.count, groups.bins) if groups.pairs else (0, 0)
    return Tables(
        pooled=np.zeros((2, BINS), np.int64),
        macro=np.zeros((2, BINS)),
        pairs=np.zeros(pairs),
        shift=groups.shift,
        block=np.zeros((2, BINS), np.int32),
        bins=np.empty(TILE[1], np.uint16),
    )
