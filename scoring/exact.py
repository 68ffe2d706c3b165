"""Exact answers from counted scores: cells of numbers say where an answer lies, and only there they are made finer.

A pass over all pairs counts the scores into bins, which settles every curve at the borders of its bins. Where a random
sample of trials expects the answers it looks closely: it keeps the scores that fall there if these are few, and counts
them more finely, down to single float32 numbers, if they are many. What the sample did not foresee, or what lies where
floats are very dense, further passes look into, until each answer lies among cells of one number. Nothing is sorted,
and memory does not grow with the trials; the answers are those of sorting all scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.bins import BINS, LARGEST_KEY, Bins, spanning
from scoring.close_look import KeptScores
from scoring.counts import NO_GROUPS, Counts, FineCounts, Groups, no_windows, segments_of, windows_in
from scoring.curve_cells import CurveCells, curve_at, of_bins
from scoring.embeddings import Utterances
from scoring.kernels_fine import Windows
from scoring.operating_points import MinCost, OperatingPoint
from scoring.passes import ALONE, PassOptions, count_kept, count_trials, score_range
from scoring.sampling import DRAWS, draws_for, sample
from settings.errors import ScoringError
from tuneThreshold import Curve, Point

CELLS = 1 << 22  # in which a pass counts finely: up to 64 MB
WEIGHED_CELLS = 1 << 19  # of them, those counted with weights, too: 16 MB
KEPT = 3 << 22  # scores that a pass keeps at most: 100 MB
LOOK = 1 << 13  # cells in which it is worth counting scores that are kept: another look costs little
FEW = 1_000_000  # trials: their range costs less than a sample, and all are kept


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
    plan = _plan(listed, asked, groups, options)
    to, lowest = plan.to, plan.lowest
    kept, windows, cells = None, no_windows(), (0, 0)
    if options.keeps_scores and plan.inside <= 0.9 * KEPT:
        segments, room = segments_of(listed, by_system=groups.pairs), min(KEPT, sum(listed.trials()))
        kept = KeptScores(segments, plan.likely.any(axis=0), lowest, room)
    else:
        windows, *cells = _fitting(plan, asked)
    how = {"options": options, "title": title}
    first = count_trials(listed, to, windows=windows, cells=cells, kept=kept, groups=groups, **how)
    fine, passes = first.fine, plan.passes + 1
    curves = {name: of_bins(lowest, first.histogram(name), totals(listed, name)) for name in ("pooled", "macro")}
    while True:
        curves = _divided(curves, windows, fine, asked)
        points = {name: curve.points for name, curve in curves.items()}
        needed = {point: point.needed(points[point.curve]) for point in asked}
        stretches = _still_open(curves, points, needed)
        if not stretches:
            answers = {point: point.read(curve_at(points[point.curve], needed[point])) for point in asked}
            return Solution(answers, first, passes)
        if kept and kept.holds(first_key for first_key, _ in stretches):
            windows, *cells = _windows_of(stretches, lowest, LOOK, LOOK // 2)
            fine = count_kept(kept, to, windows, cells, options=options)
        else:
            windows, *cells = _windows_of(stretches, lowest, CELLS, WEIGHED_CELLS)
            fine = count_trials(listed, to, windows=windows, cells=cells, **how).fine
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


@dataclass(frozen=True)
class Plan:
    """What a pass is to look at.

    Attributes
    ----------
    to : bins that span the scores
    lowest : (BINS,) int64, the key of the least number of each
    likely : (questions, BINS) bool, the bins in which the answer of each is expected
    inside : about how many scores lie in any of these
    passes : how many passes it took to know
    """

    to: Bins
    lowest: np.ndarray
    likely: np.ndarray
    inside: float
    passes: int


def _plan(listed: Utterances, asked: Sequence[OperatingPoint], groups: Groups, options: PassOptions) -> Plan:
    """From the range of all scores where these are few, else from a sample, which is process 0's."""
    trials, first = sum(listed.trials()), options.shard.first
    if trials <= FEW:
        low, high = first(np.array(score_range(listed, options=options)))
        to = spanning(low, high)
        return Plan(to, to.lowest_keys(), np.ones((len(asked), BINS), bool), trials, passes=1)
    drawn = sample(listed, DRAWS if groups.bins else draws_for(trials))  # reported histograms span the largest sample
    ends = first(np.array([end for pair in drawn.values() for scores in pair for end in (scores.min(), scores.max())]))
    to = spanning(float(min(ends)), float(max(ends)))
    lowest, likely = to.lowest_keys(), np.zeros((len(asked), BINS), bool)
    counts = {
        curve: np.stack([np.bincount(to(kind), minlength=BINS) for kind in pair]) for curve, pair in drawn.items()
    }
    draws = len(drawn["pooled"][0])
    points = {curve: of_bins(lowest, both, (draws, draws)).points for curve, both in counts.items()}
    for point, bins in zip(asked, likely, strict=True):
        curve = points[point.curve]
        chosen = np.searchsorted(lowest, curve.thresholds[1:][point.expected(curve, draws)[1:]])
        if len(chosen):  # none where all of it is among equal scores: the pass will show
            bins[max(chosen.min() - 1, 0) : chosen.max() + 2] = True
    likely = first(likely.astype(np.int64)).astype(bool)
    inside = counts["pooled"][:, likely.any(axis=0)].sum(axis=1) / draws @ listed.trials()[::-1]
    return Plan(to, lowest, likely, float(first(np.array([inside]))[0]), passes=0)


def _fitting(plan: Plan, asked: Sequence[OperatingPoint]) -> tuple[Windows, int, int]:
    """Windows of the likely bins of each question, of as many as fit down to single numbers."""
    stretches = np.stack([plan.lowest, np.append(plan.lowest[1:], LARGEST_KEY + 1) - 1], axis=1)
    sizes = stretches[:, 1] - stretches[:, 0] + 1
    dense = sizes > CELLS // 16  # bins around zero, where floats lie so dense that even a part of them does not fit
    marked, weighed = np.zeros(BINS, bool), np.zeros(BINS, bool)
    for point, bins in zip(asked, plan.likely, strict=True):
        heavier = weighed | bins if point.curve == "macro" else weighed
        more = marked | bins
        rooms = ((heavier, WEIGHED_CELLS), (more & ~heavier, CELLS - WEIGHED_CELLS))
        if all(sizes[kind & ~dense].sum() <= 15 * room // 16 for kind, room in rooms):
            marked, weighed = more, heavier
    marked &= sizes > 0  # a bin narrower than the floats are dense may hold none
    return windows_in(plan.lowest, stretches[marked], weighed[marked], CELLS, WEIGHED_CELLS)


def _divided(
    curves: dict[str, CurveCells], windows: Windows, counted: FineCounts, asked: Sequence[OperatingPoint]
) -> dict[str, CurveCells]:
    """The curves with those cells divided in which answers may lie, as far as the windows of a pass have counted them.

    Most of what a pass counts finely proves not to be needed, and takes up no memory here.
    """
    fine = {"pooled": counted.pooled, "macro": counted.macro}
    while True:
        divided = {}
        for name, curve in curves.items():
            points = curve.points
            needed = [points.thresholds[point.needed(points)] for point in asked if point.curve == name]
            divided[name] = curve.refined(windows, fine[name], np.concatenate([[0], *needed])) if needed else curve
        if all(divided[name] is curve for name, curve in curves.items()):
            return curves
        curves = divided


def _still_open(
    curves: dict[str, CurveCells], points: dict[str, Curve], needed: dict[OperatingPoint, np.ndarray]
) -> dict[tuple[int, int], bool]:
    """The needed cells of more than one number: first and last key, and whether they are needed with weights."""
    stretches = {}
    for point, chosen in needed.items():
        first = points[point.curve].thresholds[chosen]
        last = curves[point.curve].last(first)
        for stretch in zip(first[last > first].tolist(), last[last > first].tolist(), strict=True):
            stretches[stretch] = stretches.get(stretch, False) or point.curve == "macro"
    return stretches


def _windows_of(
    stretches: dict[tuple[int, int], bool], lowest: np.ndarray, room: int, weighed_room: int
) -> tuple[Windows, int, int]:
    """Windows of the stretches, or of the lowest of them, where they are very many: the others wait."""
    most = sorted(stretches)[: weighed_room // 4]
    return windows_in(lowest, np.array(most), np.array([stretches[stretch] for stretch in most]), room, weighed_room)
