"""Calibration against what is known of normal scores, scikit-learn, and the Netherlands Forensic Institute's `lir`."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scoring.calibration import (
    Comparisons,
    costs,
    drawn_lines,
    fit,
    least_cllr,
    left_out_ratios,
    weighted_cllr,
    weights,
)
from scoring.calibration_bounds import elub
from settings.errors import ScoringError


def normal_scores(systems=8, each=50, seed=0, apart=2.0, utterances=None):
    """Comparisons of `each` utterances a system with every system; targets N(apart, 1), non-targets N(0, 1)."""
    random = np.random.default_rng(seed)
    source = np.repeat(np.arange(systems), each * systems)
    against = np.tile(np.arange(systems), systems * each)
    scores = random.standard_normal(len(source)) + apart * (source == against)
    return Comparisons(scores, source, against, utterances or systems * each)


def test_the_line_is_the_log_likelihood_ratio_of_two_normals():
    line = fit(normal_scores(each=2000))  # N(2, 1) over N(0, 1): log ratio 2 x - 2
    assert line.slope == pytest.approx(2, abs=0.05)
    assert line.offset == pytest.approx(-2, abs=0.05)


def test_the_line_is_that_of_weighted_logistic_regression():
    comparisons = normal_scores()
    line = fit(comparisons, doubt=0)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(
        comparisons.scores[:, None], comparisons.targets, sample_weight=weights(comparisons)
    )
    assert line.slope == pytest.approx(reference.coef_[0, 0], rel=1e-4)
    assert line.offset == pytest.approx(reference.intercept_[0], rel=1e-4)


def test_a_system_with_half_the_list_does_not_decide():
    even = normal_scores(seed=1)
    skewed = np.concatenate([np.flatnonzero(even.source == 0)] * 60)  # the same utterances, sixty times
    more = [np.concatenate([values, values[skewed]]) for values in (even.scores, even.source, even.against)]
    line, repeated = fit(even), fit(Comparisons(*more, even.utterances))
    assert repeated.slope == pytest.approx(line.slope, rel=1e-6)
    assert repeated.offset == pytest.approx(line.offset, rel=1e-6)


def test_scores_that_separate_have_an_answer_only_with_doubt():
    separated = normal_scores(apart=40.0)
    line = fit(separated)
    highest = line(separated.scores).max()
    assert 0 < highest < 30
    assert fit(normal_scores(apart=40.0, utterances=4)).slope < line.slope  # fewer utterances, more doubt
    with pytest.raises(ScoringError, match="do not overlap"):
        fit(separated, doubt=0)


def test_calibrating_takes_cllr_nearly_to_its_least():
    comparisons = normal_scores(each=400)
    least = least_cllr(comparisons)
    before, after = (weighted_cllr(r, comparisons) for r in (comparisons.scores, left_out_ratios(comparisons)))
    assert least < after < least + 0.01 < before
    miss, alarm = costs(comparisons.scores, comparisons)
    assert before == pytest.approx((miss + alarm) / 2)


def test_a_condition_without_targets_has_the_other_cost_alone():
    comparisons = normal_scores()
    part = comparisons.take(~comparisons.targets)
    assert costs(part.scores, part)[0] is None
    assert weighted_cllr(part.scores, part) is None


def test_lines_of_other_systems_spread_around_the_one_of_all():
    comparisons = normal_scores(systems=12, each=20)
    line = fit(comparisons)
    lines = drawn_lines(comparisons, line, draws=100)
    assert 90 <= len(lines) <= 100
    low, high = np.percentile(lines[:, 0], [2.5, 97.5])
    assert low < line.slope < high
    assert high - low < 1.5
    np.testing.assert_array_equal(lines, drawn_lines(comparisons, line, draws=100))


def test_a_system_left_out_is_calibrated_by_the_others():
    comparisons = normal_scores()
    shifted = np.where(comparisons.source == 3, comparisons.scores + 100, comparisons.scores)
    ratios = left_out_ratios(Comparisons(shifted, comparisons.source, comparisons.against, comparisons.utterances))
    rest = (comparisons.source != 3) & (comparisons.against != 3)
    line = fit(comparisons.take(rest))
    np.testing.assert_allclose(ratios[comparisons.source == 3], line(shifted[comparisons.source == 3]))


def slow_elub(tens, is_target, count):
    """The bounds by a plain loop over thresholds, every comparison weighing the same."""
    low, high, step = 0.0, 0.0, 0.01
    limit = np.log10(count + 1)
    ends = max(tens.min(), -limit), min(tens.max(), limit)

    def supported(k):
        t = 10 ** (k * step)
        miss = (np.sum(tens[is_target] <= k * step) / is_target.sum() * count + 1) / (count + 1)
        alarm = (np.sum(tens[~is_target] > k * step) / (~is_target).sum() * count + 1) / (count + 1)
        return min(1, t) >= miss + t * alarm

    up = range(0, int(ends[1] // step) + 2)
    down = range(0, int(ends[0] // step) - 1, -1)
    fails = [next((k for k in ks if not supported(k)), None) for ks in (up, down)]
    high = (up[-1] if fails[0] is None else fails[0] - 1) * step
    low = (down[-1] if fails[1] is None else fails[1] + 1) * step
    return min(low, 0.0), max(high, 0.0)


@pytest.mark.parametrize("apart", [0.0, 1.0, 3.0, 12.0])
def test_bounds_are_those_of_a_plain_loop(apart):
    comparisons = normal_scores(apart=apart)
    ratios = apart * comparisons.scores - apart**2 / 2
    expected = slow_elub(ratios / np.log(10), comparisons.targets, comparisons.utterances)
    np.testing.assert_allclose(np.array(elub(ratios, comparisons)) / np.log(10), expected, atol=1e-9)


def test_more_utterances_support_larger_ratios():
    few, many = (elub(100 * (c.scores - 10), c) for c in (normal_scores(each=5, apart=20), normal_scores(apart=20)))
    assert many[0] < few[0] < 0 < few[1] < many[1]


class TestAgainstLir:
    """The Netherlands Forensic Institute's package as an independent oracle."""

    @pytest.fixture
    def lir(self):
        return pytest.importorskip("lir.metrics", reason="lir is not installed: pip install lir")

    def test_cllr(self, lir):
        from lir.data.models import LLRData

        comparisons = normal_scores()
        ratios = fit(comparisons)(comparisons.scores)
        data = LLRData(features=ratios[:, None] / np.log(10), labels=comparisons.targets.astype(int))
        assert weighted_cllr(ratios, comparisons) == pytest.approx(lir.cllr(data), rel=1e-9)
        assert least_cllr(comparisons) == pytest.approx(lir.cllr_min(data), rel=1e-6)

    def test_calibration(self, lir):  # noqa: ARG002 its presence is what counts
        from lir.algorithms.logistic_regression import LogitCalibrator

        comparisons = normal_scores()
        theirs = LogitCalibrator(C=np.inf).fit(comparisons.scores[:, None], comparisons.targets.astype(int))
        scores = np.linspace(-3, 5, 9)
        ours = fit(comparisons, doubt=0)(scores) / np.log(10)
        np.testing.assert_allclose(ours, np.ravel(theirs.transform(scores[:, None])), rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("apart", [1.0, 3.0, 12.0])
    def test_bounds(self, lir, apart):  # noqa: ARG002
        from lir.algorithms.bayeserror import elub as their_elub

        random = np.random.default_rng(5)  # one target and one non-target an utterance: what they count is what we do
        source = np.repeat(np.arange(200), 2)
        against = source + np.tile([0, 200], 200)
        scores = random.standard_normal(400) + apart * (source == against)
        ratios = apart * scores - apart**2 / 2
        ours = np.array(elub(ratios, Comparisons(scores, source, against, 200))) / np.log(10)
        theirs = their_elub(ratios / np.log(10), (source == against).astype(int))
        np.testing.assert_allclose(ours, theirs, atol=0.011)


@pytest.mark.parametrize("scores", [[1.0, 1, 1, 1], [1.0, np.nan, 2, 3]])
def test_scores_that_say_nothing_are_refused(scores):
    with pytest.raises(ScoringError, match="score"):
        fit(Comparisons(np.array(scores), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), 2))
