"""How far a likelihood ratio may go: beyond some value, the list it was learned from cannot speak.

The empirical lower and upper bounds (ELUB) of Vergeer, van Es, de Jongh, Alberink and Stoel, "Numerical likelihood
ratios outputted by LR systems are often based on extrapolation: when to stop extrapolating?" (Science and Justice 56,
2016). Somebody who decides by the ratio at threshold t pays, per unit, P(miss) + t P(false alarm). One more target, and
one more non-target, are added that came out as misleading as can be. Where deciding without the ratios would cost less,
the list does not support a ratio of that size.
"""

import numpy as np

from scoring.calibration import Comparisons, weights

STEP = 0.01  # log10 between thresholds tried


def elub(ratios: np.ndarray, comparisons: Comparisons) -> tuple[float, float]:
    """Lowest and highest natural log-likelihood ratio that a list supports.

    Error rates are weighed as `weights` does: every system the same. The misleading comparison that is added weighs one
    in `comparisons.utterances`, not one in the number of comparisons: those of one utterance are not independent.

    Parameters
    ----------
    ratios : (T,) natural log-likelihood ratios of the comparisons

    Returns
    -------
    low, high : low <= 0 <= high
    """
    count, weight = comparisons.utterances, weights(comparisons)
    tens = np.asarray(ratios, np.float64) / np.log(10)
    ends = max(tens.min(), -np.log10(count + 1)), min(tens.max(), np.log10(count + 1))
    first, last = min(0, int(ends[0] // STEP)), max(0, int(ends[1] // STEP) + 1)
    thresholds = np.linspace(first * STEP, last * STEP, last - first + 1)
    targets = comparisons.targets
    missed = 1 - _above(tens[targets], weight[targets], thresholds)
    alarms = _above(tens[~targets], weight[~targets], thresholds)
    share = 1 / (count + 1)
    t = 10**thresholds
    with_ratios = missed * (1 - share) + share + t * (alarms * (1 - share) + share)
    without = np.where(t < 1, t, 1.0)  # accept all below 1, which is the ratio of no evidence, and reject all above
    worse = without < with_ratios
    low = thresholds[(thresholds <= 0) & worse].max(initial=thresholds[0] - STEP) + STEP
    high = thresholds[(thresholds >= 0) & worse].min(initial=thresholds[-1] + STEP) - STEP
    return min(float(low), 0.0) * np.log(10), max(float(high), 0.0) * np.log(10)


def _above(values: np.ndarray, weight: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(thresholds,) share of weight whose value is above each threshold."""
    order = np.argsort(values)
    total = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
    return total[np.searchsorted(values[order], thresholds, side="right")] / weight.sum()
