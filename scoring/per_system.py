"""The EER of each system: its target trials against the trials between it and any other."""

from __future__ import annotations

import numpy as np

from scoring.bins import BINS
from scoring.counts import Counts, Groups, Kept, want
from scoring.embeddings import Utterances
from scoring.exact import ROOM
from scoring.passes import count_trials
from tuneThreshold import Curve, Point, equal_error


def by_system(listed: Utterances, counts: Counts, groups: Groups, **options) -> list[Point | None]:
    """The equal-error point of each system, exact unless a handful of systems have millions of equal scores.

    Parameters
    ----------
    listed : the utterances
    counts : of a pass that counted `groups`
    options : `count_trials` takes them

    Returns
    -------
    (S,) points; None for a system with one utterance, which has no target trial. A second pass keeps the scores of the
    bins in which the systems' curves cross; should there be more than `ROOM`, the threshold told is the border of a bin
    """
    histograms = _own_histograms(counts.groups, groups)
    crossings = [_crossing(histogram) if histogram[1].any() else None for histogram in histograms]
    scale = BINS // groups.bins
    nothing = want(np.zeros(BINS), len(listed.systems))
    height = 0
    for system, crossing in enumerate(crossings):
        if crossing:
            lowest, highest = crossing
            nothing.first[system], nothing.last[system] = lowest * scale, (highest + 1) * scale - 1
            height += histograms[system][:, lowest : highest + 1].sum()
    if height > ROOM:
        return [
            None if c is None else _at_border(h, c, counts, scale) for h, c in zip(histograms, crossings, strict=True)
        ]
    kept = count_trials(listed, counts.to, wanted=nothing, room=int(height), **options).kept_in(np.arange(BINS))
    at_least = np.append(np.bincount(kept.bins, minlength=BINS)[::-1].cumsum()[::-1], 0)  # kept in a bin or above
    points = []
    for system, (histogram, crossing) in enumerate(zip(histograms, crossings, strict=True)):
        if crossing is None:
            points.append(None)
            continue
        lowest, highest = crossing
        part = kept.part(slice(at_least[(highest + 1) * scale], at_least[lowest * scale]))
        points.append(_equal_error(histogram, highest, part.part((part.first == system) | (part.second == system))))
    return points


def _own_histograms(histograms: np.ndarray, groups: Groups) -> np.ndarray:
    """(S, 2, bins) non-target and target trials of each system."""
    systems = groups.systems
    if not groups.pairs:
        return np.stack([histograms[systems : 2 * systems], histograms[:systems]], axis=1)
    own = np.zeros((systems, 2, groups.bins))
    for (first, second), histogram in zip(np.column_stack(np.triu_indices(systems)), histograms, strict=True):
        if first == second:
            own[first, 1] = histogram
        else:
            own[first, 0] += histogram
            own[second, 0] += histogram
    return own


def _crossing(histogram: np.ndarray) -> tuple[int, int]:
    """The bin in which the curves cross and, for the threshold above it, the next occupied one."""
    occupied = np.flatnonzero(histogram.any(axis=0))
    fpr, hit_rate = histogram[:, occupied[::-1]].cumsum(axis=1) / histogram.sum(axis=1, keepdims=True)
    place = int(np.argmax(fpr >= 1 - hit_rate))
    return int(occupied[::-1][place]), int(occupied[::-1][max(place - 1, 0)])


def _equal_error(histogram: np.ndarray, highest: int, kept: Kept) -> Point:
    """The point of one system, from its scores in the bins of its crossing, the upper of which is `highest`."""
    scores, target = kept.scores, kept.first == kept.second
    last = np.append(scores[1:] != scores[:-1], True)
    above = histogram[:, highest + 1 :].sum(axis=1).astype(np.int64)
    nontargets, targets = histogram.sum(axis=1).astype(np.int64)
    return equal_error(
        Curve(
            np.append(np.nextafter(scores[0], np.float32(np.inf)), scores[last]),
            np.append(0, np.cumsum(target)[last]) + above[1],
            np.append(0, np.cumsum(~target)[last]) + above[0],
            int(targets),
            int(nontargets),
        )
    )


def _at_border(histogram: np.ndarray, crossing: tuple[int, int], counts: Counts, scale: int) -> Point:
    """The better of the borders around the crossing: as near as the histogram tells."""
    nontargets, targets = histogram.sum(axis=1)
    borders = np.arange(crossing[0] + 1, crossing[0] - 1, -1)
    accepted = histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
    false_alarms, hits = np.append(accepted, np.zeros((2, 1)), axis=1)[:, borders].astype(np.int64)
    values = counts.to.low + borders * scale / counts.to.scale
    return equal_error(Curve(values, hits, false_alarms, int(targets), int(nontargets)))
