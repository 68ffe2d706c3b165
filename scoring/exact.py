"""Exact answers from counted scores: cells of numbers say where an answer lies, and only there they are made finer.

A pass over all pairs counts the scores into bins, which settles every curve at the borders of its bins; where a random
sample of trials expects the answers it counts them more finely, down to single float32 numbers. What the sample did not
foresee, or what lies where floats are very dense, further passes look into, until each answer lies among cells of one
number. Nothing is sorted and no score is kept, so memory does not grow with the trials; the answers are those of
sorting all scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.bins import BINS, LARGEST_KEY, Bins, spanning
from scoring.counts import NO_GROUPS, Counts, Groups, no_windows, windows_in
from scoring.curve_cells import CurveCells, curve_at, of_bins
from scoring.embeddings import Utterances
from scoring.kernels import Windows
from scoring.operating_points import MinCost, OperatingPoint
from scoring.passes import ALONE, PassOptions, count_trials, score_range
from scoring.sampling import DRAWS, sample
from settings.errors import ScoringError
from tuneThreshold import Curve, Point

CELLS = 3 << 20  # in which a pass counts finely: up to 48 MB
WEIGHED_CELLS = 1 << 19  # of them, those counted with weights, too: 16 MB
FEW = 1_000_000  # trials: their range costs less than a sample


@dataclass(frozen=True)
class Solution:
    """The answers by what was asked, what the first pass counted, and how many passes there were."""

    answers: dict[OperatingPoint, Point | MinCost]
    counts: Counts
    passes: int


def solve(
    listed: Utterances,
    asked: Sequence[OperatingPoint],
    *,
    groups: Groups = NO_GROUPS,
    options: PassOptions = ALONE,
    title: str = "scoring",
) -> Solution:
    """Answer questions about the scores of all pairs, exactly.

    Parameters
    ----------
    listed : the utterances
    asked : see `scoring.operating_points`
    groups : histograms of systems, which the first pass counts, too
    options, title : of the passes

    Raises
    ------
    ScoringError
        Where there is no target or no non-target trial.
    """
    check_both_kinds(listed)
    to, likely = _plan(listed, asked, options)
    lowest = to.lowest_keys()
    windows, *cells = _fitting(lowest, likely)
    counts = first = count_trials(listed, to, windows=windows, cells=cells, groups=groups, options=options, title=title)
    curves = {name: of_bins(lowest, counts.histogram(name), totals(listed, name)) for name in ("pooled", "macro")}
    passes = 1
    while True:
        curves = _divided(curves, windows, counts, asked)
        points = {name: curve.points() for name, curve in curves.items()}
        needed = {point: point.needed(points[point.curve]) for point in asked}
        windows, *cells = _still_open(lowest, curves, points, needed)
        if not len(windows.first):
            answers = {point: point.read(curve_at(points[point.curve], needed[point])) for point in asked}
            return Solution(answers, first, passes)
        counts = count_trials(listed, to, windows=windows, cells=cells, options=options, title=title)
        passes += 1


def check_both_kinds(listed: Utterances) -> None:
    """Raise a ScoringError unless there is a target and a non-target trial."""
    targets, nontargets = listed.trials()
    if not targets:
        raise ScoringError(f"no target trial: each of the {len(listed.systems)} systems has one utterance only")
    if not nontargets:
        raise ScoringError(f"no non-target trial: all {len(listed.rows)} utterances are of system {listed.systems[0]}")


def totals(listed: Utterances, curve: str) -> tuple[int, int]:
    """Target and non-target trials of a curve, or what they weigh in all."""
    if curve == "pooled":
        return listed.trials()
    systems = len(listed.systems)
    return int((listed.sizes > 1).sum()), systems * (systems - 1) // 2


def _plan(
    listed: Utterances, asked: Sequence[OperatingPoint], options: PassOptions
) -> tuple[Bins, list[tuple[str, np.ndarray]]]:
    """Bins that span the scores, and of each question the curve and the bins in which a sample expects its answer."""
    if sum(listed.trials()) <= FEW:
        return spanning(*score_range(listed, options=options)), []
    drawn = sample(listed)
    ends = [end for pair in drawn.values() for scores in pair for end in (scores.min(), scores.max())]
    to = spanning(float(min(ends)), float(max(ends)))
    lowest, likely = to.lowest_keys(), []
    for point in asked:
        counts = np.stack([np.bincount(to(scores), minlength=BINS) for scores in drawn[point.curve]])
        points = of_bins(lowest, counts, (DRAWS, DRAWS)).points()
        chosen = np.searchsorted(lowest, points.thresholds[1:][point.expected(points, DRAWS)[1:]])
        if len(chosen):  # none where all of it is among equal scores: the pass will show
            likely.append((point.curve, np.arange(max(chosen.min() - 1, 0), min(chosen.max() + 2, BINS))))
    return to, likely


def _fitting(lowest: np.ndarray, likely: list[tuple[str, np.ndarray]]) -> tuple[Windows, int, int]:
    """Windows of the likely bins of each question, of as many as fit down to single numbers."""
    stretches = np.stack([lowest, np.append(lowest[1:], LARGEST_KEY + 1) - 1], axis=1)
    sizes = stretches[:, 1] - stretches[:, 0] + 1
    dense = sizes > CELLS // 16  # bins around zero, where floats lie so dense that even a part of them does not fit
    marked, weighed = np.zeros(BINS, bool), np.zeros(BINS, bool)
    for curve, bins in likely:
        more, heavier = marked.copy(), weighed.copy()
        more[bins] = True
        heavier[bins] |= curve == "macro"
        rooms = ((heavier, WEIGHED_CELLS), (more & ~heavier, CELLS - WEIGHED_CELLS))
        if all(sizes[kind & ~dense].sum() <= 15 * room // 16 for kind, room in rooms):
            marked, weighed = more, heavier
    marked &= sizes > 0  # a bin narrower than the floats are dense may hold none
    return windows_in(lowest, stretches[marked], weighed[marked], CELLS, WEIGHED_CELLS)


def _divided(
    curves: dict[str, CurveCells], windows: Windows, counts: Counts, asked: Sequence[OperatingPoint]
) -> dict[str, CurveCells]:
    """The curves with those cells divided in which answers may lie, as far as the windows of a pass have counted them.

    Most of what a pass counts finely proves not to be needed, and takes up no memory here.
    """
    fine = {"pooled": counts.fine.pooled, "macro": counts.fine.macro}
    while True:
        divided = {}
        for name, curve in curves.items():
            points = curve.points()
            needed = [points.thresholds[point.needed(points)] for point in asked if point.curve == name]
            divided[name] = curve.refined(windows, fine[name], np.concatenate([[0], *needed])) if needed else curve
        if all(divided[name] is curve for name, curve in curves.items()):
            return curves
        curves = divided


def _still_open(
    lowest: np.ndarray,
    curves: dict[str, CurveCells],
    points: dict[str, Curve],
    needed: dict[OperatingPoint, np.ndarray],
) -> tuple[Windows, int, int]:
    """Windows of the needed cells of more than one number: none where every answer is known."""
    stretches = {}
    for point, chosen in needed.items():
        first = points[point.curve].thresholds[chosen]
        last = curves[point.curve].last(first)
        for stretch in zip(first[last > first].tolist(), last[last > first].tolist(), strict=True):
            stretches[stretch] = stretches.get(stretch, False) or point.curve == "macro"
    if not stretches:
        return no_windows(), 0, 0
    most = sorted(stretches)[: WEIGHED_CELLS // 4]  # the others wait for the next pass
    weighed = np.array([stretches[stretch] for stretch in most])
    return windows_in(lowest, np.array(most), weighed, CELLS, WEIGHED_CELLS)
