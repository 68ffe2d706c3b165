"""The intervals cover a known EER as often as they say."""

import numpy as np
import pytest
from scipy import stats

from scoring.bootstrap import FEWEST, intervals
from scoring.counts import Groups, groups_for

BORDERS = np.linspace(-6, 9, 513)
SPREAD_TARGET, SPREAD_OTHER, DISTANCE = 0.6, 0.4, 2.0
# a target score is N(2 + a system's own shift, 1), a non-target one N(sum of its two systems' shifts, 1)
KNOWN = stats.norm.cdf(-DISTANCE / (np.hypot(1, SPREAD_TARGET) + np.sqrt(1 + 2 * SPREAD_OTHER**2)))


def simulated(generator, systems):
    """Histograms of each pair of systems, as if each had endlessly many utterances."""
    own, other = generator.normal(0, SPREAD_TARGET, systems), generator.normal(0, SPREAD_OTHER, systems)
    first, second = np.triu_indices(systems)
    centres = np.where(first == second, DISTANCE + own[first], other[first] + other[second])
    return np.diff(stats.norm.cdf(BORDERS[None] - centres[:, None]), axis=1)


@pytest.mark.parametrize("systems", [6, 20])
def test_the_interval_covers_the_known_eer(systems):
    generator = np.random.default_rng(systems)
    groups, sizes, covered, lists = Groups(systems, 512, True), np.full(systems, 20), 0, 100
    weight = np.where(np.equal(*np.triu_indices(systems)), 190, 400)[:, None]
    for _ in range(lists):
        histograms = simulated(generator, systems)
        accepted = np.cumsum((histograms * weight)[:, ::-1], axis=1)
        same = np.equal(*np.triu_indices(systems))
        fpr, hit = (accepted[kind].sum(axis=0) / accepted[kind].sum(axis=0)[-1] for kind in (~same, same))
        eer = fpr[np.argmin(np.abs(fpr + hit - 1))]
        low, high = intervals(histograms * weight, groups, sizes, {"pooled": eer}, draws=100)["pooled"]
        covered += low <= KNOWN <= high
    assert 0.88 <= covered / lists <= 1  # 95 %, give or take the sampling error of 100 lists


def test_marginals_give_nearly_the_interval_of_pairs():
    systems, generator = 60, np.random.default_rng(0)
    histograms, sizes = simulated(generator, systems), np.full(systems, 20)
    first, second = np.triu_indices(systems)
    same = first == second
    between = np.zeros((systems, 512))
    np.add.at(between, first[~same], histograms[~same])
    np.add.at(between, second[~same], histograms[~same])
    marginals = np.concatenate([histograms[same], between, between / 400])
    eers = {"pooled": KNOWN, "macro": KNOWN}
    exact = intervals(histograms, Groups(systems, 512, True), sizes, eers, draws=300)
    near = intervals(marginals, Groups(systems, 512, False), sizes, eers, draws=300)
    for curve in eers:
        np.testing.assert_allclose(near[curve], exact[curve], rtol=0.05)


def test_few_systems_have_no_interval():
    systems = FEWEST - 1
    histograms = simulated(np.random.default_rng(0), systems)
    found = intervals(
        histograms, Groups(systems, 512, True), np.full(systems, 9), {"pooled": 0.2, "macro": 0.2}, draws=9
    )
    assert found == {"pooled": None, "macro": None}


@pytest.mark.parametrize("stray", [0, 1])
def test_an_eer_of_no_or_one_false_alarm_has_an_interval_to_match(stray):
    """Most draws have an EER of nothing, of which a log-odds would make whatever one likes."""
    systems, sizes = 7, np.full(7, 9)
    first, second = np.triu_indices(systems)
    histograms = np.zeros((len(first), 512))
    histograms[first == second, 400] = 36
    histograms[first != second, 100] = 81
    histograms[1, [100, 410]] = 81 - stray, stray
    eer = stray / (81 * 21)
    low, high = intervals(histograms, Groups(systems, 512, True), sizes, {"pooled": eer}, draws=200)["pooled"]
    assert low <= eer <= high < 0.02


def test_the_same_seed_gives_the_same_interval():
    histograms, sizes = simulated(np.random.default_rng(0), 9), np.full(9, 20)
    one, two, other = (
        intervals(histograms, Groups(9, 512, True), sizes, {"pooled": 0.2}, draws=50, seed=seed) for seed in (1, 1, 2)
    )
    assert one == two != other


@pytest.mark.parametrize(("systems", "pairs"), [(2, True), (64, True), (150, True), (400, False), (2400, False)])
def test_histograms_of_systems_fit_their_memory(systems, pairs):
    groups = groups_for(systems)
    assert groups.pairs == pairs
    assert groups.count * groups.bins * 8 <= 24 << 20
