"""What is drawn of a list's scores: a trade-off curve and two densities, in a few hundred numbers each."""

import numpy as np
from scipy import stats

from scoring.counts import Counts

POINTS = 200  # of a trade-off curve, or fewer
BARS = 256  # of a density


def trade_off(counts: Counts) -> dict[str, list[float]]:
    """Pooled false acceptance and false rejection rates at rising thresholds, evenly spread on a DET plot's axes."""
    accepted = counts.pooled[:, ::-1].cumsum(axis=1)[:, ::-1]
    fpr, hit_rate = accepted / accepted[:, :1]
    fnr = 1 - hit_rate
    shown = (fpr > 0) & (fnr > 0)
    fpr, fnr = fpr[shown], fnr[shown]
    if len(fpr) > POINTS:
        way = np.cumsum(np.hypot(*np.diff(stats.norm.ppf(np.clip([fpr, fnr], 1e-9, 1 - 1e-9)), axis=1, prepend=-6)))
        picked = np.unique(np.searchsorted(way, np.linspace(way[0], way[-1], POINTS)))
        fpr, fnr = fpr[picked], fnr[picked]
    return {"fpr": fpr.tolist(), "fnr": fnr.tolist()}


def densities(counts: Counts) -> dict[str, list[float]]:
    """Densities of the scores of non-target and of target trials, over equal steps from `low` to `high`."""
    bars = counts.pooled.reshape(2, BARS, -1).sum(axis=2)
    low = float(counts.to.low)
    step = bars.size and counts.pooled.shape[1] / BARS / float(counts.to.scale)
    nontarget, target = bars / bars.sum(axis=1, keepdims=True) / step
    return {"low": low, "high": low + BARS * step, "nontarget": nontarget.tolist(), "target": target.tolist()}
