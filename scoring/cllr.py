"""Cllr: what scores cost whoever takes them for log-likelihood ratios, at any operating point."""

import numpy as np


def cllr(ratios: np.ndarray, targets: np.ndarray, nontargets: np.ndarray) -> float:
    """The cost of log-likelihood ratios, in bits.

    Brümmer and du Preez, "Application-independent evaluation of speaker detection" (2006), equation 29.

    Parameters
    ----------
    ratios : (T,) natural logarithms of likelihood ratios
    targets, nontargets : (T,) how many trials of each kind have this ratio

    Examples
    --------
    >>> cllr(np.zeros(1), np.ones(1), np.ones(1))
    1.0
    """
    miss = np.logaddexp(0, -ratios) @ targets / targets.sum()
    false_alarm = np.logaddexp(0, ratios) @ nontargets / nontargets.sum()
    return float((miss + false_alarm) / (2 * np.log(2)))


def min_cllr(targets: np.ndarray, nontargets: np.ndarray) -> float:
    """The least `cllr` that any rising map of the scores to ratios can have: that of the pool-adjacent-violators one.

    Parameters
    ----------
    targets, nontargets : (T,) trials of each kind at scores that rise from first to last

    Examples
    --------
    >>> min_cllr(np.array([0, 1]), np.array([1, 0]))
    0.0
    """
    seen = (targets + nontargets) > 0
    pools = []  # [targets, nontargets] at each level of the map
    for level in zip(targets[seen] / targets.sum(), nontargets[seen] / nontargets.sum(), strict=True):
        pools.append(list(level))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            above = pools.pop()
            pools[-1] = [pools[-1][0] + above[0], pools[-1][1] + above[1]]
    target, nontarget = np.array(pools).T
    both = (target > 0) & (nontarget > 0)  # elsewhere the ratio is infinite, right, and free of cost
    bits = target[both] @ np.log2(1 + nontarget[both] / target[both])
    bits += nontarget[both] @ np.log2(1 + target[both] / nontarget[both])
    return float(bits / 2)
