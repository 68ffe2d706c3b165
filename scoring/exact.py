"""Exact answers from counted scores: histograms say in which bin an answer lies, and only that bin is looked into.

A pass over all pairs counts the scores into bins, which settles every curve at the borders of its bins, and keeps the
scores of those bins in which a random sample of trials expects the answers. Where the sample was wrong, a second pass
keeps the scores of the right bins. Where a bin holds too many to keep (equal scores, say), a pass counts its scores
into finer bins, by the bits of the float, until a bin is one number. The answers are those of sorting all scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoring.bins import BINS, Bins
from scoring.counts import NO_GROUPS, Counts, Kept, macro_weights, want
from scoring.embeddings import Utterances
from scoring.kernels import Wanted, lowest_in
from scoring.operating_points import BinsNeeded, OperatingPoint
from scoring.passes import count_trials
from scoring.sampling import DRAWS, sample
from settings.errors import ScoringError
from tuneThreshold import Curve

ROOM = 8_000_000  # scores that a pass may keep: 32 MB
FEW = 1_000_000  # so few trials are kept whole: no sample, one pass


def solve(listed: Utterances, questions: Sequence[OperatingPoint], **options) -> tuple[list, Counts]:
    """Answer questions about the scores of all pairs, exactly.

    Parameters
    ----------
    listed : the utterances
    questions : see `scoring.operating_points`
    options : `count_trials` takes them; `groups` are counted in the first pass only

    Returns
    -------
    the answers in the order of the questions, and what the first pass counted, with its bins as `counts.to`

    Raises
    ------
    ScoringError
        Where there is no target or no non-target trial.
    """
    check_both_kinds(listed)
    to, wanted, room = _plan(listed, questions)
    groups = options.pop("groups", NO_GROUPS)
    first = count_trials(listed, to, wanted=wanted, room=room, groups=groups, **options)
    points = {question: [] for question in questions}
    _look_into(listed, first, wanted, points, options)
    return [_answer(listed, question, points[question]) for question in questions], first


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


def _plan(listed: Utterances, questions: Sequence[OperatingPoint]) -> tuple[Bins, Wanted, int]:
    """Bins that span the scores, and those of them in which a random sample expects the answers."""
    if sum(listed.trials()) <= FEW:
        span = 1.0 if listed.scale is None else 50.0
        return _spanning(-span, span), want(np.ones(BINS), len(listed.systems)), sum(listed.trials())
    drawn = sample(listed)
    ends = [extreme for pair in drawn.values() for scores in pair for extreme in (scores.min(), scores.max())]
    to = _spanning(min(ends), max(ends))
    seen = {
        curve: np.stack([np.bincount(to(scores), minlength=BINS) for scores in pair]) for curve, pair in drawn.items()
    }
    heights = seen["pooled"].T @ (np.array(listed.trials()[::-1]) / DRAWS)  # expected trials in each bin
    marks = np.zeros(BINS, bool)
    for question in questions:
        edges = _falling(seen[question.curve], np.arange(BINS)[::-1], (DRAWS, DRAWS))
        likely = edges.thresholds[1:][question.expected(edges, to, DRAWS)[1:]]
        chosen = marks.copy()
        if len(likely):  # none where all of it is among equal scores: the pass will tell
            chosen[max(likely.min() - 1, 0) : likely.max() + 2] = True
        if heights[chosen].sum() < 0.8 * ROOM:
            marks = chosen
    return to, want(marks, len(listed.systems)), ROOM


def _spanning(low: float, high: float) -> Bins:
    """Bins by value from `low` to `high`, and a little beyond."""
    margin = 0.02 * (high - low) + 1e-6
    return Bins(np.float32(low - margin), np.float32(BINS / (high - low + 2 * margin)))


def _look_into(
    listed: Utterances, counts: Counts, wanted: Wanted, points: dict[OperatingPoint, list], options: dict
) -> None:
    """Collect the points of the curves that the questions need, from this pass or from as many more as it takes."""
    needs = {question: _bins_for(listed, counts, question) for question in points}
    needed = np.unique(np.concatenate([bins for need in needs.values() for bins in need]))
    if counts.to.shift == 0:
        for question, need in needs.items():
            bins = np.concatenate(need)
            points[question].append(border_points(counts, question.curve, bins, counts.to.values(bins)))
        return
    height = counts.pooled.sum(axis=0)
    needed = needed[np.argsort(height[needed], kind="stable")]
    light = needed[np.cumsum(height[needed]) <= ROOM]
    if not (counts.complete and wanted.bins[light].all()):
        marks = np.zeros(BINS)
        marks[light] = 1
        wanted = want(marks, len(listed.systems))
        counts = count_trials(listed, counts.to, wanted=wanted, room=int(height[light].sum()), **options)
        assert counts.complete, "there was room for every score of the bins just counted"
    kept = counts.kept_in(np.intersect1d(light, np.concatenate([need.all for need in needs.values()])))
    lowest = lowest_in(counts.scores, counts.to)
    for question, need in needs.items():
        mine = kept.within(np.intersect1d(need.all, light))
        points[question].append(kept_points(listed, counts, question.curve, mine))
        bins = np.intersect1d(need.lowest, light)
        points[question].append(border_points(counts, question.curve, bins, lowest[bins]))
    for bin_ in np.setdiff1d(needed, light):
        concerned = {question: points[question] for question, need in needs.items() if bin_ in np.concatenate(need)}
        finer = counts.to.zoom(int(bin_))
        nothing = want(np.zeros(BINS), len(listed.systems))
        _look_into(listed, count_trials(listed, finer, **options), nothing, concerned, options)


def _bins_for(listed: Utterances, counts: Counts, question: OperatingPoint) -> BinsNeeded:
    """The numbers of the bins that a question needs, of those that are more than all scores beyond an end."""
    edges = edges_of(listed, counts, question.curve)
    chosen = [edges.thresholds[indices] for indices in question.bins(edges, counts.to)]
    return BinsNeeded(*(bins[counts.to.inside(bins)] for bins in chosen))


def edges_of(listed: Utterances, counts: Counts, curve: str) -> Curve:
    """The curve at the borders of the occupied bins, the first point above all. Its thresholds are numbers of bins."""
    occupied = np.flatnonzero(counts.pooled.any(axis=0))[::-1]
    return _falling(counts.histogram(curve), occupied, totals(listed, curve))


def _falling(histogram: np.ndarray, bins: np.ndarray, trials: tuple[int, int]) -> Curve:
    """The curve of a (2, BINS) histogram above all bins and at the lower border of each of the given, falling ones."""
    false_alarms, hits = np.concatenate([histogram[:, :1] * 0, np.cumsum(histogram[:, bins], axis=1)], axis=1)
    return Curve(np.concatenate([[BINS], bins]), hits, false_alarms, *trials)


def _above(counts: Counts, curve: str) -> np.ndarray:
    """(2, BINS) non-target and target trials in the bins above each."""
    histogram = counts.histogram(curve)
    return histogram[:, ::-1].cumsum(axis=1)[:, ::-1] - histogram


def border_points(
    counts: Counts, curve: str, bins: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, hits and false alarms at the lowest scores of bins, which are `thresholds`."""
    false_alarms, hits = (_above(counts, curve) + counts.histogram(curve))[:, bins]
    return thresholds, hits, false_alarms


def kept_points(
    listed: Utterances, counts: Counts, curve: str, kept: Kept
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, hits and false alarms at every distinct score of bins whose scores were all kept."""
    target = kept.first == kept.second
    weights = _weights(listed, curve, kept)
    place = np.arange(len(kept.scores))
    new_bin = np.append(True, kept.bins[1:] != kept.bins[:-1])[: len(place)]
    start = np.maximum.accumulate(np.where(new_bin, place, 0))  # of the scores of the same bin
    last_of_tie = np.append(kept.scores[1:] != kept.scores[:-1], True)[: len(kept.scores)]
    # weights are added up in long double: a hundred thousand roundings of one bin would show in the 11th digit
    exact = np.int64 if curve == "pooled" else np.longdouble
    accepted = []
    for kind, above in zip((False, True), _above(counts, curve), strict=True):
        sums = np.concatenate([np.zeros(1, exact), np.cumsum(weights * (target == kind), dtype=exact)])
        inside = (sums[1:] - sums[start]).astype(weights.dtype)
        accepted.append((above[kept.bins] + inside)[last_of_tie])
    return kept.scores[last_of_tie], accepted[1], accepted[0]


def _weights(listed: Utterances, curve: str, kept: Kept) -> np.ndarray:
    """(K,) what each kept trial counts."""
    if curve == "pooled":
        return np.ones(len(kept.scores), np.int64)
    alike, between = macro_weights(listed.sizes)[::-1]
    return np.where(kept.first == kept.second, alike[kept.first], between[kept.first] * between[kept.second])


def _answer(listed: Utterances, question: OperatingPoint, points: list) -> object:
    """What the question reads from its points, and from the one above all scores."""
    thresholds, hits, false_alarms = (np.concatenate(parts) for parts in zip(*points, strict=True))
    order = np.argsort(-thresholds, kind="stable")
    above = np.nextafter(thresholds.max(initial=-np.inf), np.float32(np.inf), dtype=np.float32)
    return question.read(
        Curve(
            np.concatenate([[above], thresholds[order]]),
            np.concatenate([np.zeros(1, hits.dtype), hits[order]]),
            np.concatenate([np.zeros(1, hits.dtype), false_alarms[order]]),
            *totals(listed, question.curve),
        )
    )
