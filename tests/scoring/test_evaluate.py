"""What the evaluation reports of a list, against loops over its trials."""

import doctest
import json

import numpy as np
import pytest

import scoring
from corpus.conditions import CONDITIONS, conditions_of
from corpus.lists import first_of_each
from scoring import cllr, evaluate, exact
from scoring.cllr import min_cllr
from scoring.embeddings import unit_rows, utterances
from scoring.table import table
from settings.errors import ScoringError
from tuneThreshold import curve_of, equal_error


def example(count=300, systems=8, seed=0, size=6):
    """Embeddings, systems, languages of a list whose systems are separated now and then."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, systems, count)
    embeddings = generator.standard_normal((count, size)) + generator.standard_normal((systems, size))[codes]
    labels = np.array([f"system-{code}" for code in codes])
    return embeddings, labels, np.array(["en", "fi", "de"])[(codes + generator.integers(0, 2, count)) % 3]


def pairs_of(embeddings, labels, keep=slice(None)):
    """Scores and target labels of all pairs, by a plain product."""
    rows, labels = unit_rows(embeddings)[keep], np.asarray(labels)[keep]
    first, second = np.triu_indices(len(rows), 1)
    return np.einsum("td,td->t", rows[first], rows[second]), (labels[first] == labels[second]).astype(int)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(cllr).failed == 0


def test_the_quick_evaluation_is_a_part_of_the_whole_one():
    embeddings, labels, languages = example()
    whole = evaluate(embeddings, labels, languages=languages, draws=100)
    for key, value in evaluate(embeddings, labels, quick=True).items():
        assert whole[key] == value or key == "passes"


def test_counts_and_rates_are_those_of_the_pairs():
    embeddings, labels, _ = example()
    result = evaluate(embeddings, labels, quick=True)
    scores, target = pairs_of(embeddings, labels)
    assert (result["utterances"], result["systems"]) == (300, 8)
    assert (result["target_trials"], result["nontarget_trials"]) == (target.sum(), len(target) - target.sum())
    point = equal_error(curve_of(scores, target))
    assert result["eer"] == pytest.approx(point.eer, abs=1e-9)
    assert result["threshold"] == pytest.approx(point.threshold, abs=1e-6)


def test_everything_is_plain_data_that_json_takes():
    embeddings, labels, languages = example()
    conditions = conditions_of(labels, languages, {"system-1", "system-2"}, {"en"})
    result = evaluate(
        embeddings, labels, languages=languages, conditions=conditions, threshold=0.3, names=labels, draws=50
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_conditions_and_languages_are_lists_of_their_own():
    embeddings, labels, languages = example()
    conditions = conditions_of(labels, languages, {f"system-{i}" for i in range(4)}, {"en"})
    conditions = np.array(conditions)
    result = evaluate(embeddings, labels, languages=languages, conditions=conditions, draws=0)
    assert set(result["conditions"]) == set(CONDITIONS)
    for cells, values in (("conditions", conditions), ("languages", languages)):
        for value, cell in result[cells].items():
            alone = evaluate(embeddings[values == value], labels[values == value], quick=True)
            assert alone.pop("min_dcf") and alone.pop("passes") >= 1
            assert {key: cell[key] for key in alone} == alone


def test_a_systems_error_is_of_its_own_trials_against_those_with_any_other():
    for seed, count, few in ((0, 300, exact.FEW), (1, 1600, 0)):
        embeddings, labels, _ = example(count, seed=seed)
        exact.FEW, before = few, exact.FEW
        try:
            result = evaluate(embeddings, labels, draws=0)
        finally:
            exact.FEW = before
        rows, (first, second) = unit_rows(embeddings), np.triu_indices(count, 1)
        scores = np.einsum("td,td->t", rows[first], rows[second])
        for system, cell in result["by_system"].items():
            mine = (labels[first] == system) | (labels[second] == system)
            target = (labels[first] == labels[second])[mine].astype(int)
            point = equal_error(curve_of(scores[mine], target))
            assert (cell["target_trials"], cell["nontarget_trials"]) == (target.sum(), (1 - target).sum())
            assert cell["eer"] == pytest.approx(point.eer, abs=2e-6)
            assert cell["threshold"] == pytest.approx(point.threshold, abs=1e-3)


def test_a_cell_that_can_have_no_error_rate_says_why():
    embeddings, labels, _ = example(30, 3)
    labels[:2] = "rare", "scarce"
    languages = np.where(np.arange(30) < 2, "fi", np.where(labels == "system-0", "de", "en"))
    result = evaluate(embeddings, labels, languages=languages, draws=0)
    assert result["languages"]["fi"]["note"].startswith("one utterance of each system")
    assert result["languages"]["de"]["note"].startswith("one system only")
    assert result["by_system"]["rare"]["note"].startswith("one utterance only")
    assert "one system only" in table(result)


def test_a_threshold_of_another_list_gives_the_rates_and_the_cost_there():
    embeddings, labels, _ = example()
    result = evaluate(embeddings, labels, threshold=0.4, costs=((0.05, 1, 1), (0.5, 2, 1)), draws=0)
    scores, target = pairs_of(embeddings, labels)
    fpr, fnr = (scores[target == 0] >= 0.4).mean(), (scores[target == 1] < 0.4).mean()
    assert (result["at_dev_threshold"]["fpr"], result["at_dev_threshold"]["fnr"]) == pytest.approx((fpr, fnr), abs=1e-4)
    assert result["at_dev_threshold"]["dcf"][0]["dcf"] == pytest.approx((0.05 * fnr + 0.95 * fpr) / 0.05, abs=1e-3)
    assert result["at_dev_threshold"]["dcf"][1]["dcf"] == pytest.approx((fnr + 0.5 * fpr) / 0.5, abs=1e-3)
    assert result["min_dcf"][1]["min_dcf"] <= result["at_dev_threshold"]["dcf"][1]["dcf"]


def test_hits_are_told_at_the_wanted_false_acceptance():
    embeddings, labels, _ = example()
    scores, target = pairs_of(embeddings, labels)
    for rates in evaluate(embeddings, labels, false_acceptances=(0.01, 0.2), draws=0)["at_false_acceptance"]:
        allowed = np.sort(scores[target == 0])[::-1][int(rates["wanted"] * (target == 0).sum())]
        assert rates["fpr"] <= rates["wanted"]
        assert rates["tpr"] == pytest.approx((scores[target == 1] > allowed).mean(), abs=1e-3)


def test_cllr_is_that_of_the_scores():
    embeddings, labels, _ = example(2000)
    result = evaluate(embeddings, labels, draws=0)
    scores, target = pairs_of(embeddings, labels)
    cost = (np.log2(1 + np.exp(-scores[target == 1])).mean() + np.log2(1 + np.exp(scores[target == 0])).mean()) / 2
    assert result["cllr"] == pytest.approx(cost, abs=1e-6)
    assert result["min_cllr"] < min(1, result["cllr"])


def test_the_least_cllr_is_that_of_isotonic_regression():
    from sklearn.isotonic import IsotonicRegression

    generator = np.random.default_rng(3)
    for _ in range(50):
        targets, nontargets = generator.integers(0, 6, (2, 40))
        trials = np.repeat(np.arange(40), targets + nontargets)
        labels = np.concatenate([[1] * t + [0] * n for t, n in zip(targets, nontargets, strict=True)])
        weights = np.where(labels == 1, 1 / targets.sum(), 1 / nontargets.sum())
        odds = IsotonicRegression(y_min=1e-12, y_max=1 - 1e-12).fit(trials, labels, weights).predict(trials)
        bits = -np.log2(np.where(labels == 1, odds, 1 - odds)) @ weights / 2
        assert min_cllr(targets, nontargets) == pytest.approx(bits, abs=1e-6)


def test_any_dtype_and_a_memory_mapped_array_give_the_same(tmp_path):
    embeddings, labels, _ = example(200)
    embeddings = np.round(embeddings * 8)
    embeddings[(embeddings == 0).all(axis=1)] = 1
    np.save(tmp_path / "e.npy", embeddings.astype(np.float32))
    wanted = evaluate(embeddings, labels, quick=True)
    mapped = np.load(tmp_path / "e.npy", mmap_mode="r")
    for other in (
        embeddings.astype(np.float16),
        embeddings.astype(np.int8),
        mapped,
        embeddings * 1e200,
        embeddings / 1e200,
    ):
        assert evaluate(other, labels, quick=True) == wanted


def test_rows_are_of_length_one_whatever_their_size():
    rows = unit_rows(np.array([[3e38, 4e38], [3e-300, 4e-300], [0, 5]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.6, 0.8], [0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, _: e.__setitem__((3, 1), np.nan), r"path-3 \(NaN\)"),
        (lambda e, _: e.__setitem__((3, 1), np.inf), r"path-3 \(infinite\)"),
        (lambda e, _: e.__setitem__(slice(2, 10), 0), r"path-2 \(all zero\), .* and 3 more"),
        (lambda _, labels: labels.__setitem__(slice(None), "one"), "no non-target trial: all 30 utterances"),
        (lambda _, labels: labels.__setitem__(slice(None), [f"s{i}" for i in range(30)]), "no target trial"),
    ],
)
def test_lists_that_cannot_be_scored_are_refused_by_name(change, said):
    embeddings, labels, _ = example(30, 3)
    change(embeddings, labels)
    with pytest.raises(ScoringError, match=said):
        evaluate(embeddings, labels, names=[f"path-{i}" for i in range(30)], quick=True)


@pytest.mark.parametrize(
    ("embeddings", "labels", "said"),
    [
        (np.ones((1, 3)), ["a"], "needs two utterances"),
        (np.ones((0, 3)), [], "needs two utterances"),
        (np.ones(3), ["a", "b", "c"], "must be a table"),
        (np.ones((3, 0)), ["a", "b", "c"], "must be a table"),
        (np.ones((3, 2)), ["a", "b"], "one value for each of 3 utterances"),
        (np.ones((2, 2)), ["a", None], "utterance 1 has none"),
        (np.ones((2, 2)), [0.5, 0.5], "text or integers"),
        (np.array([["a"], ["b"]]), ["a", "b"], "real numbers"),
        (np.ones((2, 2)) * 1j, ["a", "b"], "real numbers"),
    ],
)
def test_arrays_of_the_wrong_form_are_refused(embeddings, labels, said):
    with pytest.raises(ScoringError, match=said):
        evaluate(embeddings, labels, quick=True)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"costs": ((1.0, 1, 1),)}, "p_target"),
        ({"costs": ((0.1, 1),)}, "three numbers"),
        ({"false_acceptances": (1.5,)}, "fraction between 0 and 1"),
        ({"threshold": float("nan")}, "threshold must be a number"),
        ({"draws": -1}, "0 or more draws"),
        ({"languages": ["en"]}, "languages must name one value"),
        ({"cohort": np.ones((1, 6))}, "cohort needs 2"),
        ({"cohort": np.ones((5, 3))}, "cohort has 3 dimensions"),
        ({"cohort": np.ones((5, 6))}, "all equal"),
        ({"cohort": np.eye(6), "top": 1}, "2 or more highest"),
    ],
)
def test_options_out_of_range_are_refused(option, said):
    embeddings, labels, _ = example(30, 3)
    with pytest.raises(ScoringError, match=said):
        evaluate(embeddings, labels, **option)


def test_two_utterances_of_each_of_two_systems_are_enough():
    result = evaluate(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), [7, 7, 9, 9])
    assert (result["eer"], result["macro_eer"], result["intervals"]["eer"]) == (0.0, 0.0, None)
    assert result["min_dcf"][0]["min_dcf"] == 0


def test_repeated_paths_are_counted_and_can_be_dropped():
    embeddings, labels, _ = example(40, 3)
    names = [f"wav/{i % 36}" for i in range(40)]
    assert evaluate(embeddings, labels, names=names, draws=0)["repeated"] == 4
    assert first_of_each(names).tolist() == list(range(36))


@pytest.mark.parametrize("few", [exact.FEW, 0])
def test_normalised_scores_are_counted_as_finely_as_cosines(monkeypatch, few):
    monkeypatch.setattr(exact, "FEW", few)
    embeddings, labels, _ = example()
    cohort = np.random.default_rng(1).standard_normal((50, 6))
    bars = evaluate(embeddings, labels, cohort=cohort, top=20, draws=0)["densities"]
    height = np.add(bars["target"], bars["nontarget"])
    assert (height > 0).mean() > 0.7 and bars["high"] - bars["low"] < 30  # not bars of 0.4 from -50 to 50


def test_score_normalisation_is_its_formula_in_a_loop(monkeypatch):
    embeddings, labels, _ = example(120, 5)
    cohort, top = np.random.default_rng(9).standard_normal((50, 6)), 20
    rows, strangers = unit_rows(embeddings).astype(float), unit_rows(cohort).astype(float)
    scores, target = [], []
    for i in range(120):
        for j in range(i + 1, 120):
            ends = []
            for end in (i, j):
                nearest = sorted((float(rows[end] @ stranger) for stranger in strangers), reverse=True)[:top]
                ends.append((float(rows[i] @ rows[j]) - np.mean(nearest)) / np.std(nearest))
            scores.append(sum(ends) / 2)
            target.append(int(labels[i] == labels[j]))
    point = equal_error(curve_of(scores, target))
    given = scoring.score_pairs(embeddings, *np.triu_indices(120, 1), cohort=cohort, top=top)
    np.testing.assert_allclose(given, scores, atol=2e-5)
    for few in (exact.FEW, 0):
        monkeypatch.setattr(exact, "FEW", few)
        result = evaluate(embeddings, labels, cohort=cohort, top=top, quick=True)
        assert result["eer"] == pytest.approx(point.eer, abs=1e-3)
        assert result["threshold"] == pytest.approx(point.threshold, abs=1e-3)


def test_the_table_speaks_percent():
    embeddings, labels, languages = example()
    result = evaluate(embeddings, labels, languages=languages, threshold=0.3, draws=100)
    text = table(result, "dev")
    assert f"{100 * result['eer']:.3f} %" in text and text.startswith("dev\n300 utterances of 8 systems")
    assert "system-7" in text and "95% interval" in text and max(map(len, text.splitlines())) <= 120


def test_utterances_are_sorted_by_system_and_say_where_they_stood():
    listed = utterances(np.array([[1.0, 0], [0, 1], [1, 1]]), ["b", "a", "b"])
    assert (listed.order.tolist(), listed.starts.tolist(), listed.trials()) == ([1, 0, 2], [0, 1, 3], (1, 2))


@pytest.mark.parametrize("few", [exact.FEW, 0])
def test_a_perfect_and_a_blind_encoder_are_told_exactly(monkeypatch, few):
    monkeypatch.setattr(exact, "FEW", few)
    labels = np.arange(1500) % 4
    perfect = evaluate(np.eye(4)[labels], labels, quick=True)
    assert (perfect["eer"], perfect["macro_eer"], perfect["threshold"]) == (0, 0, 1)
    blind = evaluate(np.ones((1500, 4)), labels, quick=True)
    assert (blind["eer"], blind["macro_eer"], blind["min_dcf"][0]["min_dcf"]) == (1, 1, 1)
