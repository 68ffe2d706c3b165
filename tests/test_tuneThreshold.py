"""The ancestor's three functions, and the curve beneath them, against loops and scikit-learn."""

import doctest
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import roc_curve

import tuneThreshold
from settings.errors import ScoringError
from tuneThreshold import ComputeErrorRates, ComputeMinDcf, curve_of, equal_error, tuneThresholdfromScore


def random_trials(generator):
    """A few trials with ties, duplicates and lists as short as two."""
    count = int(generator.integers(2, 60))
    labels = generator.integers(0, 2, count)
    labels[generator.permutation(count)[:2]] = 0, 1
    scores = generator.standard_normal(count) + labels * generator.uniform(-1, 3)
    if generator.random() < 0.6:
        scores = np.round(scores, int(generator.integers(0, 3)))
    return scores, labels


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(tuneThreshold).failed == 0


def test_the_curve_is_scikit_learns_with_every_threshold_kept():
    generator = np.random.default_rng(0)
    for _ in range(1500):
        scores, labels = random_trials(generator)
        fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
        curve = curve_of(scores, labels)
        np.testing.assert_array_equal(curve.thresholds, thresholds)
        np.testing.assert_array_equal(curve.fpr, fpr)
        np.testing.assert_array_equal(curve.hits, np.rint(tpr * labels.sum()))


def test_the_equal_error_is_that_of_exact_fractions_at_the_highest_of_equal_thresholds():
    generator = np.random.default_rng(1)
    for _ in range(600):
        scores, labels = random_trials(generator)
        best = None
        for threshold in [np.inf, *sorted(set(scores.tolist()), reverse=True)]:
            accepted = scores >= threshold
            fpr = Fraction(int((accepted & (labels == 0)).sum()), int((labels == 0).sum()))
            fnr = Fraction(int((~accepted & (labels == 1)).sum()), int((labels == 1).sum()))
            if best is None or abs(fnr - fpr) < best[0]:
                best = abs(fnr - fpr), threshold, max(fnr, fpr)
        point = equal_error(curve_of(scores, labels))
        assert (point.threshold, point.eer) == (best[1], float(best[2]))
        assert tuneThresholdfromScore(scores, labels, [])[1] == pytest.approx(float(best[2] * 100), abs=1e-12)


def test_dropping_thresholds_as_the_ancestor_does_would_move_the_equal_error():
    generator = np.random.default_rng(4)
    moved = 0
    for _ in range(100):
        scores, labels = random_trials(generator)
        fpr, tpr, _ = roc_curve(labels, scores)
        index = np.argmin(np.abs(1 - tpr - fpr))
        moved += abs(100 * max(fpr[index], 1 - tpr[index]) - tuneThresholdfromScore(scores, labels, [])[1]) > 1e-9
    assert moved > 10


def test_tuned_thresholds_are_the_nearest_ones_wanted_rejections_first():
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 1, 0, 1, 0, 0]
    tuned, eer, fpr, fnr = tuneThresholdfromScore(scores, labels, [1, 0.1], [0.3])
    assert tuned == [[0.8, 0.0, 1 / 3], [0.4, 1.0, 0.0], [np.inf, 0.0, 1.0]]
    assert eer == pytest.approx(100 / 3)
    assert len(fpr) == len(fnr) == 7


def test_the_call_of_the_triplet_loss_works():
    tuned, eer, fpr, fnr = tuneThresholdfromScore(np.array([-0.1, -0.9], np.float32), np.array([1, 0]), [])
    assert (tuned, eer) == ([], 0.0)
    assert fpr[0] == 0 and fnr[0] == 1


def test_error_rates_are_a_loop_over_the_sorted_scores():
    generator = np.random.default_rng(2)
    for _ in range(300):
        scores, labels = random_trials(generator)
        fnrs, fprs, thresholds = ComputeErrorRates(list(scores), list(labels))
        assert thresholds == sorted(scores)
        for fnr, fpr, threshold in zip(fnrs, fprs, thresholds, strict=True):
            assert fnr == sum(s <= threshold for s in scores[labels == 1]) / sum(labels)
            assert fpr == pytest.approx(sum(s > threshold for s in scores[labels == 0]) / sum(1 - labels), abs=1e-15)


def test_the_least_cost_is_a_loop_over_the_thresholds():
    generator = np.random.default_rng(3)
    for _ in range(300):
        rates = ComputeErrorRates(*random_trials(generator))
        p_target, c_miss, c_fa = generator.uniform(0.01, 0.99), generator.uniform(0.1, 10), generator.uniform(0.1, 10)
        costs = [c_miss * p_target * fnr + c_fa * (1 - p_target) * fpr for fnr, fpr in zip(*rates[:2], strict=True)]
        least = min(costs) / min(c_miss * p_target, c_fa * (1 - p_target))
        cost, threshold = ComputeMinDcf(*rates, p_target, c_miss, c_fa)
        assert cost == pytest.approx(least, abs=1e-14)
        assert costs[rates[2].index(threshold)] <= min(costs) + 1e-12 or len(set(rates[2])) < len(rates[2])


@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([0.1, 0.2], [1, 1], "no non-target trial among 2"),
        ([0.1, 0.2], [0, 0], "no target trial among 2"),
        ([], [], "no target trial among 0"),
        ([0.1, np.nan], [0, 1], "score 1 is NaN"),
        ([0.1, 0.2], [0, 2], "labels must be 1"),
        ([0.1, 0.2], [0], "one length"),
        (["a", "b"], [0, 1], "real numbers"),
    ],
)
def test_trials_that_have_no_error_rate_are_refused_by_name(scores, labels, said):
    for call in (lambda: tuneThresholdfromScore(scores, labels, []), lambda: ComputeErrorRates(scores, labels)):
        with pytest.raises(ScoringError, match=said):
            call()


@pytest.mark.parametrize(
    "wrong", [(0, 1, 1), (1, 1, 1), (1.5, 1, 1), (0.5, 0, 1), (0.5, 1, -1), (0.5, 1, float("nan"))]
)
def test_costs_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ScoringError):
        ComputeMinDcf([0.5], [0.5], [0.1], *wrong)
