"""Scores of all pairs counted into bins, tile by tile, and never kept: on the CPU, one thread a core.

The score of a trial is the float32 product of two unit rows as BLAS gives it in one call, on one thread, for the whole
tile of `TILE` rows x columns of the sorted list in which the pair lies. The tiles are fixed by the list alone, so a
pass that refines sees the very values that the pass before it counted, however many threads share the work.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from engine.parallel import usable_cores
from scoring.bins import BINS, Bins
from scoring.counts import Counts, Groups, macro_weights, want
from scoring.embeddings import Utterances
from scoring.kernels import Tables, Wanted, count_tile, normalise_tile

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


def count_on_cpu(
    listed: Utterances,
    to: Bins,
    *,
    wanted: Wanted | None,
    room: int,
    groups: Groups,
    threads: int | None,
    progress: bool = False,
    title: str = "scoring",
) -> Counts:
    """See `scoring.passes.count_trials`."""
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
