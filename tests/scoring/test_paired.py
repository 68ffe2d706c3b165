"""Two recipes compared over seeds and systems: the ratio is that of the EERs, and its interval covers what is true."""

import numpy as np
import pytest

from scoring.all_pairs import evaluate
from scoring.embeddings import utterances
from scoring.paired import compare
from settings.errors import ScoringError

SYSTEMS, EACH, DIMENSIONS = 12, 8, 6


def embedded(generator, spread, centres):
    """A list as a model embeds it: systems' centres, each with utterances around it."""
    rows = np.repeat(centres, EACH, axis=0) + spread * generator.standard_normal((SYSTEMS * EACH, DIMENSIONS))
    return rows.astype(np.float32), np.repeat(np.arange(SYSTEMS), EACH)


def recipes(seed, spreads, seeds=4):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((SYSTEMS, DIMENSIONS))
    return [[embedded(generator, spread, centres) for _ in range(seeds)] for spread in spreads]


def test_eers_are_those_of_the_lists_and_the_ratio_that_of_their_means():
    lists = recipes(0, (0.9, 0.6))
    found = compare(*([utterances(*one) for one in recipe] for recipe in lists), draws=50)
    for curve, key in (("pooled", "eer"), ("macro", "macro_eer")):
        expected = [[evaluate(*one, quick=True)[key] for one in recipe] for recipe in lists]
        np.testing.assert_allclose([found[curve]["before"], found[curve]["after"]], expected, rtol=0, atol=1e-12)
        assert found[curve]["ratio"] == pytest.approx(np.mean(expected[1]) / np.mean(expected[0]), abs=1e-12)


def test_a_recipe_with_fewer_errors_is_known_and_one_with_as_many_is_not():
    better = compare(*([utterances(*one) for one in recipe] for recipe in recipes(1, (0.9, 0.5))), draws=200)["pooled"]
    assert better["fewer"] > 0.99
    assert better["interval"][0] < better["ratio"] < better["interval"][1] < 1
    wrong = 0
    for seed in range(10):  # the same spread: 1 is in nineteen of twenty intervals, give or take
        alike = compare(*([utterances(*one) for one in recipe] for recipe in recipes(seed, (0.8, 0.8), 3)), draws=60)
        low, high = alike["pooled"]["interval"]
        wrong += not low <= 1 <= high
    assert wrong <= 2


def test_one_recipe_against_itself_is_a_tie_in_every_draw():
    recipe = [utterances(*one) for one in recipes(2, (0.9,))[0]]
    found = compare(recipe, recipe, draws=50)["macro"]
    assert (found["ratio"], found["interval"], found["fewer"]) == (1, [1, 1], 0.5)


def test_pairing_makes_the_interval_narrower_than_that_of_an_unpaired_comparison():
    """Seeds and systems that are hard for one recipe are hard for the other: they cancel out."""
    first = [utterances(*one) for one in recipes(3, (0.9,))[0]]
    low, high = compare(first, first, draws=100)["pooled"]["interval"]
    eers = evaluate(*recipes(3, (0.9,))[0][0], draws=100)
    assert high - low < np.diff(eers["intervals"]["eer"])[0] / eers["eer"]


def test_too_little_has_no_interval_and_different_lists_are_refused():
    rows, labels = recipes(4, (0.9,), 1)[0][0]
    one = utterances(rows, labels)
    assert compare([one], [one])["pooled"]["interval"] is None
    few = one.subset(one.codes < 4)
    assert compare([few, few], [few, few])["pooled"]["fewer"] is None
    with pytest.raises(ScoringError, match="different lists"):
        compare([one], [few])
    with pytest.raises(ScoringError, match="2 and 1 files"):
        compare([one, one], [one])


def test_no_errors_before_leave_no_ratio():
    rows = np.repeat(np.eye(6, dtype=np.float32), 3, axis=0)
    clean = utterances(rows, np.repeat(np.arange(6), 3))
    found = compare([clean, clean], [clean, clean])["pooled"]
    assert (found["before"], found["ratio"], found["interval"], found["fewer"]) == ([0, 0], None, None, None)
