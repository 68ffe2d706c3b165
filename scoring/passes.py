"""Passes over all pairs of a list: on the processor or on a torch device, alone or shared with other processes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scoring import histograms
from scoring.bins import Bins
from scoring.close_look import CountedCells, KeptScores
from scoring.counts import NO_GROUPS, Counts, FineCounts, Groups, Ranges, no_windows, segments_of
from scoring.embeddings import Utterances
from scoring.kernels_fine import Windows


@dataclass(frozen=True)
class Shard:
    """This process's share of the tiles of a pass, and how the shares are added.

    `total` takes this process's array, and gives the sum over all `world` processes to each of them: they all must make
    the same passes, on the same embeddings.
    """

    rank: int = 0
    world: int = 1
    total: Callable[[np.ndarray], np.ndarray] = field(default=lambda own: own)

    def first(self, own: np.ndarray) -> np.ndarray:
        """Process 0's array, to the last bit, whatever this process made of the same question."""
        return self.total(own if self.rank == 0 else np.zeros_like(own))


@dataclass(frozen=True)
class PassOptions:
    """How passes are made.

    Attributes
    ----------
    threads : by default one for each core this process may use
    device : "cpu", or a torch device such as "cuda"
    progress : whether long work shows a bar on stderr
    shard : of several processes
    """

    threads: int | None = None
    device: str = "cpu"
    progress: bool = False
    shard: Shard = Shard()

    @property
    def keeps_scores(self) -> bool:
        """Whether a pass can keep scores: on a device it counts them all."""
        return self.device == "cpu"

    def of_cpu(self, title: str) -> dict:
        """As `scoring.histograms.each_tile` takes them."""
        shard = (self.shard.rank, self.shard.world)
        return {"threads": self.threads, "shard": shard, "progress": self.progress, "title": title}

    def of_device(self, title: str) -> dict:
        """As `scoring.histograms_torch` takes them."""
        shard = (self.shard.rank, self.shard.world)
        return {"device": self.device, "shard": shard, "progress": self.progress, "title": title}


ALONE = PassOptions()  # all cores of the processor, one process


def score_range(listed: Utterances, *, options: PassOptions = ALONE) -> tuple[float, float]:
    """The lowest and the highest score of all pairs, as the processor has them: on a device, all but for rounding."""
    return histograms.range_on_cpu(listed, threads=options.threads)


def count_trials(
    listed: Utterances,
    to: Bins,
    *,
    windows: Windows | None = None,
    cells: tuple[int, int] = (0, 0),
    kept: KeptScores | None = None,
    groups: Groups = NO_GROUPS,
    options: PassOptions = ALONE,
    title: str = "scoring",
) -> Counts:
    """Score all pairs of a list once, and count the scores.

    Parameters
    ----------
    listed : the utterances
    to : which bin a score falls into
    windows : where to count finely, too
    cells : how many cells the windows have, and how many of them, the first, are counted with weights, too
    kept : instead of windows, where `options.keeps_scores`: filled with this process's scores in chosen bins
    groups : which histograms of systems are wanted
    title : of the bar
    """
    windows = windows or no_windows()
    if options.device == "cpu":
        closely = kept or CountedCells(segments_of(listed, by_system=groups.pairs), to, windows, cells)
        counts = histograms.count_on_cpu(listed, to, closely, groups, **options.of_cpu(title))
    else:
        from scoring.histograms_torch import count_on_device  # torch, which the processor does not need

        counts = count_on_device(listed, to, windows, cells, groups, **options.of_device(title))
    total = options.shard.total
    if kept:
        kept.complete = not total(np.array([not kept.complete], np.int64)).any()  # all decide alike what comes next
    fine = FineCounts(*(total(part) for part in counts.fine))
    return Counts(to, total(counts.pooled), total(counts.macro), total(counts.groups), fine)


def count_kept(
    kept: KeptScores, to: Bins, windows: Windows, cells: tuple[int, int], *, options: PassOptions = ALONE
) -> FineCounts:
    """What a pass over all pairs would count in windows, from the scores that a pass has kept."""
    return FineCounts(*(options.shard.total(part) for part in kept.counted(to, windows, cells)))


def count_ranges(listed: Utterances, ranges: Ranges, *, options: PassOptions, title: str) -> np.ndarray:
    """Score all pairs of a list once, and count the scores that lie in the range of either of their systems.

    Returns (S, 2, cells) int64: of each system, the non-target and the target trials in the cells of its range.
    """
    if options.device == "cpu":
        counts = histograms.count_own_on_cpu(listed, ranges, **options.of_cpu(title))
    else:
        from scoring.histograms_torch import count_own_on_device

        counts = count_own_on_device(listed, ranges, **options.of_device(title))
    return options.shard.total(counts)
