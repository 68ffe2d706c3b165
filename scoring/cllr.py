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
    from scipy.special import xlogy  # these take longer to import than all that scoring a list needs
    from sklearn.isotonic import isotonic_regression

    seen = (targets + nontargets) > 0
    target, nontarget = targets[seen] / targets.sum(), nontargets[seen] / nontargets.sum()
    both = target + nontarget
    posterior = isotonic_regression(target / both, sample_weight=both)  # of a target trial, the prior being a half
    bits = xlogy(target, posterior).sum() + xlogy(nontarget, 1 - posterior).sum()
    return max(0.0, float(-bits / (2 * np.log(2))))
