"""How far an EER would move, had other systems been in the list: a bootstrap over systems, from their histograms.

Utterances of one system are alike, so it is the systems that were sampled, not the trials. A draw takes as many systems
as the list has, with replacement. A system drawn w times brings its target trials w times, and two systems drawn v and
w times bring the trials between them v * w times, as in Owen, "The pigeonhole bootstrap" (Annals of Applied Statistics,
2007); there are no trials between two copies of one system. Only weights change: nothing is scored again.

The interval is that of the percentiles of the draws' EERs about their median, moved to the EER of the list and widened
for the few systems there are (see `_widened`). Its coverage on simulated lists is in the tests.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from scoring.counts import Groups

LEVEL = 0.95
FEWEST = 5  # systems: fewer say nothing about their kind
AT_ONCE = 50  # draws in memory


def intervals(
    histograms: np.ndarray, groups: Groups, sizes: np.ndarray, eers: dict[str, float], *, draws: int, seed: int = 0
) -> dict[str, list[float] | None]:
    """Intervals of the EERs of a list.

    Parameters
    ----------
    histograms : (G, bins) of its systems, as `Counts.groups`
    groups : what they are
    sizes : (S,) utterances of each system
    eers : the EER by curve, "pooled" and "macro"
    draws : how many times to draw the systems
    seed : of the draws

    Returns
    -------
    for each curve [low, high], fractions; None where there are fewer than `FEWEST` systems with target trials
    """
    if min(len(sizes), int((sizes > 1).sum())) < FEWEST:
        return dict.fromkeys(eers)
    times = draw_systems(sizes, draws, np.random.default_rng(seed))
    drawn = drawn_eers(histograms, groups, sizes, times, list(eers))
    targets = (sizes * (sizes - 1) // 2).sum()
    least = 0.5 / max(targets, sizes.sum() * (sizes.sum() - 1) // 2 - targets)
    return {curve: _widened(values, eers[curve], len(sizes), float(least)) for curve, values in drawn.items()}


def draw_systems(sizes: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """(draws, S) how often each of the S systems is in each draw. Draws without both kinds of trials are left out."""
    times = generator.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=draws).astype(np.float64)
    return times[(times[:, sizes > 1] > 0).any(axis=1) & ((times > 0).sum(axis=1) > 1)]


def drawn_eers(
    histograms: np.ndarray, groups: Groups, sizes: np.ndarray, times: np.ndarray, curves: Sequence[str]
) -> dict[str, np.ndarray]:
    """For each curve, "pooled" or "macro", the (draws,) EERs of a list whose systems are drawn (draws, S) times."""
    accepted = np.cumsum(histograms[:, ::-1], axis=1)  # at falling thresholds; any weighing of it stays cumulated
    drawn = {curve: [] for curve in curves}
    with threadpool_limits(1, user_api="blas"):  # many small products: threads would wait for each other
        for start in range(0, len(times), AT_ONCE):
            for curve in curves:
                trials = _drawn(accepted, groups, sizes, times[start : start + AT_ONCE], macro=curve == "macro")
                drawn[curve].append(equal_errors(*trials))
    return {curve: np.concatenate(parts) for curve, parts in drawn.items()}


def _drawn(
    accepted: np.ndarray, groups: Groups, sizes: np.ndarray, times: np.ndarray, macro: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(draws, bins) non-target and target trials accepted in each draw, for systems drawn (draws, S) times."""
    systems = groups.systems
    own = (sizes > 1).astype(np.float64)
    if macro:
        own[sizes > 1] = 2 / (sizes[sizes > 1] * (sizes[sizes > 1] - 1.0))
    if not groups.pairs:
        kind = 2 if macro else 1
        target, between = accepted[:systems], accepted[kind * systems : (kind + 1) * systems]
        # v * w by its tangent at one draw each, v + w - 1: what is left out is of the order of one system in S
        return np.maximum(times @ between - between.sum(axis=0) / 2, 0), (times * own) @ target
    first, second = np.triu_indices(systems)
    same = first == second
    weight = times[:, first[~same]] * times[:, second[~same]]
    if macro:
        weight /= (sizes[first] * sizes[second])[~same]
    return weight @ accepted[~same], (times * own) @ accepted[same]


def equal_errors(false_alarms: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """(R,) EERs from (R, bins) trials accepted at falling borders of bins, and along straight lines between these."""
    start = np.zeros((len(hits), 1))
    fpr = np.concatenate([start, false_alarms / false_alarms[:, -1:]], axis=1)
    fnr = np.concatenate([start + 1, 1 - hits / hits[:, -1:]], axis=1)
    rows, after = np.arange(len(fpr)), np.argmax(fpr >= fnr, axis=1)
    before = after - 1
    gap_before, gap_after = (fnr - fpr)[rows, before], (fpr - fnr)[rows, after]
    share = gap_before / (gap_before + gap_after)
    return fpr[rows, before] + share * (fpr[rows, after] - fpr[rows, before])


def _widened(drawn: np.ndarray, eer: float, systems: int, least: float) -> list[float]:
    """The interval from the draws, whose EERs say nothing below `least`, half a trial of the list.

    In log-odds, so that the ends stay rates.
    """
    low, middle, high = _log_odds(np.quantile(drawn, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]), least)
    ends = _log_odds(np.array(eer), least) + widening(systems) * (np.array([low, high]) - middle)
    low, high = 1 / (1 + np.exp(-ends))
    return [min(eer, float(low)), max(eer, float(high))]


def widening(systems: int) -> float:
    """By how much an interval of so many systems must be wider than the percentiles of its draws.

    A bootstrap of S systems varies by (S - 1) / S of what S systems vary, and its percentiles are those of a normal
    where a t with S - 1 degrees of freedom is due.
    """
    tail = (1 + LEVEL) / 2
    return float(np.sqrt(systems / (systems - 1)) * stats.t.ppf(tail, systems - 1) / stats.norm.ppf(tail))


def _log_odds(rate: np.ndarray, least: float) -> np.ndarray:
    rate = np.clip(rate, least, 1 - least)
    return np.log(rate / (1 - rate))
