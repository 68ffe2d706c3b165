"""Open-set scores against their published formulas, metrics against scikit-learn, ties included."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from scoring import openset, openset_published, openset_scores
from settings.errors import ScoringError

SYSTEMS = np.array(["bark", "tacotron", "vits", "xtts"])


def lists(seed=0, train_size=40, test_size=100):
    """Train and test: embeddings, labels, logits. Test holds the train systems and two others."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((6, 8))
    names = np.array([*SYSTEMS, "suno", "zonos"])

    def draw(size, systems):
        codes = random.integers(0, systems, size)
        codes[:systems] = np.arange(systems)
        rows = centres[codes] + 0.8 * random.standard_normal((size, 8))
        return rows.astype(np.float32), names[codes], (3 * rows @ centres[:4].T).astype(np.float32)

    return draw(train_size, 4), draw(test_size, 6)


def scored(name, seed=0, decimals=None, **settings):
    (rows, labels, logits), (test, truth, of_test) = lists(seed)
    train = openset_scores.known(rows, labels, logits)
    found = openset_scores.score(name, train, test, of_test, openset_scores.Settings(**settings))
    scores = found.scores if decimals is None else found.scores.round(decimals)
    return openset.case(scores, found.nearest, truth, train.systems)


def published_nsd(train_rows, train_logits, rows, logits):
    """The official baseline's score in torch, written out."""
    feats = F.normalize(torch.tensor(train_rows), p=2, dim=-1) * torch.logsumexp(torch.tensor(train_logits), 1)[:, None]
    cosines = F.normalize(torch.tensor(rows), p=2, dim=-1) @ feats.T
    return (cosines.mean(dim=1) * torch.logsumexp(torch.tensor(logits), 1)).numpy()


def test_nsd_is_the_published_score():
    (rows, labels, logits), (test, _, of_test) = lists()
    found = openset_scores.score("nsd", openset_scores.known(rows, labels, logits), test, of_test)
    np.testing.assert_allclose(found.scores, published_nsd(rows, logits, test, of_test), rtol=1e-5, atol=1e-5)


def test_softmax_and_energies_follow_their_formulas():
    (rows, labels, logits), (test, _, of_test) = lists()
    train, z = openset_scores.known(rows, labels, logits), torch.tensor(of_test, dtype=torch.float64)
    settings = openset_scores.Settings(temperature=0.5)
    expected = {
        "msp": z.softmax(1).max(1).values,
        "energy": 0.5 * torch.logsumexp(z / 0.5, 1),
        "sme": 0.5 * torch.logsumexp(z.softmax(1) / 0.5, 1),
    }
    for name, values in expected.items():
        found = openset_scores.score(name, train, test, of_test, settings)
        np.testing.assert_allclose(found.scores, values.numpy(), rtol=1e-12)
        np.testing.assert_array_equal(found.nearest, SYSTEMS[of_test.argmax(1)])


def test_distances_are_those_of_plain_loops():
    (rows, labels, _), (test, _, _) = lists()
    train = openset_scores.known(rows, labels, None)
    unit, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows.astype(float), test.astype(float)))
    means = np.array([unit[labels == system].mean(axis=0) for system in SYSTEMS])
    cosines = np.array([[x @ m / np.linalg.norm(m) for m in means] for x in others])
    assert_scores("centroid", train, test, cosines.max(axis=1), SYSTEMS[cosines.argmax(axis=1)])
    nearest = np.sort(others @ unit.T, axis=1)[:, ::-1]
    found = openset_scores.score("knn", train, test, None, openset_scores.Settings(neighbours=3))
    np.testing.assert_allclose(found.scores, nearest[:, 2], atol=1e-5)
    counts = {system: (labels == system).sum() for system in SYSTEMS}
    pairs = zip(unit, labels, strict=True)
    apart = np.array([(x - unit[labels == s].mean(axis=0)) / np.sqrt(counts[s] - 1) for x, s in pairs])
    within = ledoit_wolf(apart, assume_centered=True)[0] * len(apart) / 4
    squares = np.array([[(x - m) @ np.linalg.solve(within, x - m) for m in means] for x in others])
    assert_scores("mahalanobis", train, test, -squares.min(axis=1), SYSTEMS[squares.argmin(axis=1)], rtol=1e-3)


def assert_scores(name, train, test, scores, nearest, rtol=1e-5):
    found = openset_scores.score(name, train, test, None)
    np.testing.assert_allclose(found.scores, scores, rtol=rtol, atol=1e-5)
    np.testing.assert_array_equal(found.nearest, nearest)


@pytest.mark.parametrize("decimals", [None, 1, 0])  # rounded, so that most scores are tied
@pytest.mark.parametrize("weighing", ["pooled", "macro"])
def test_metrics_are_those_of_scikit_learn(decimals, weighing):
    case = scored("energy", decimals=decimals)
    weight = np.ones(len(case.scores)) if weighing == "pooled" else openset.macro_weights(case)
    thresholds = openset.Thresholds(caught=1.0, equal=float(np.median(case.scores)))
    found = openset.measure(openset.Ranking(case), weight, thresholds)
    truth, known, accepted = case.names[case.systems], case.known, case.scores >= thresholds.equal
    assert found["auroc"] == pytest.approx(roc_auc_score(known, case.scores, sample_weight=weight))
    assert found["aupr_known"] == pytest.approx(average_precision_score(known, case.scores, sample_weight=weight))
    assert found["aupr_unknown"] == pytest.approx(average_precision_score(~known, -case.scores, sample_weight=weight))
    fpr, tpr, _ = roc_curve(known, case.scores, sample_weight=weight, drop_intermediate=False)
    assert found["fpr_at_95_tpr"] == pytest.approx(fpr[np.argmax(tpr >= 0.95 - 1e-12)])
    at = np.argmin(np.abs(1 - tpr - fpr).round(12))
    assert found["ood_eer"] == pytest.approx(max(fpr[at], 1 - tpr[at]))
    labels = np.unique(truth[known])
    by = {"average": "macro", "zero_division": 0, "sample_weight": weight}
    of_known = by | {"labels": labels, "sample_weight": weight[known]}
    assert found["known_macro_f1"] == pytest.approx(f1_score(truth[known], case.nearest[known], **of_known))
    said, true = np.where(accepted, case.nearest, "unknown"), np.where(known, truth, "unknown")
    assert found["open_macro_f1"] == pytest.approx(f1_score(true, said, labels=[*labels, "unknown"], **by))
    assert found["rejection_accuracy"] == pytest.approx(np.average(accepted == known, weights=weight))
    assert found["known_accuracy"] == pytest.approx(
        np.average(truth[known] == case.nearest[known], weights=weight[known])
    )
    assert found.keys() == openset.METRICS.keys()


def test_scores_all_equal_are_worth_chance():
    case = scored("energy")
    flat = openset.Case(np.zeros(len(case.scores)), case.systems, case.known, case.nearest, case.names)
    found = openset.measure(openset.Ranking(flat), np.ones(len(case.scores)), None)
    assert (found["auroc"], found["ood_eer"], found["fpr_at_95_tpr"]) == (0.5, 1.0, 1.0)
    assert found["aupr_known"] == pytest.approx(case.known.mean())


def test_macro_is_not_moved_by_a_system_repeated():
    case = scored("energy")
    again = np.concatenate([np.arange(len(case.scores)), *[np.flatnonzero(case.systems == 0)] * 9])
    often = openset.Case(case.scores[again], case.systems[again], case.known[again], case.nearest[again], case.names)
    one, ten = (openset.measure(openset.Ranking(c), openset.macro_weights(c), None) for c in (case, often))
    assert one == pytest.approx(ten)


def test_dev_thresholds_accept_what_they_promise():
    case = scored("energy")
    thresholds = openset.tune(case)
    assert 0.95 <= (case.scores[case.known] >= thresholds.caught).mean() <= 0.97
    found = openset.measure(openset.Ranking(case), np.ones(len(case.scores)), thresholds)
    assert found["fpr_at_dev_95_tpr"] == found["fpr_at_95_tpr"]
    assert found["tpr_at_dev_95_tpr"] >= 0.95


def test_intervals_surround_the_figures_and_repeat():
    ranking = openset.Ranking(scored("energy"))
    found = openset.intervals(ranking, None, draws=200)
    low, high = found["pooled"]["auroc"]
    assert low < openset.measure(ranking, np.ones(len(ranking.order)), None)["auroc"] < high
    assert openset.intervals(ranking, None, draws=200) == found


def test_as_published_is_the_official_baseline_padding_and_direction_included():
    (rows, _, logits), (test, truth, of_test) = lists()
    (_, _, _), (dev, dev_truth, of_dev) = lists(seed=5, test_size=130)

    def with_padding(x):
        return np.concatenate([x, np.zeros((-len(x) % 128, x.shape[1]), np.float32)])

    train = with_padding(rows), with_padding(logits)
    scores = [published_nsd(*train, with_padding(x), with_padding(z)) for x, z in ((dev, of_dev), (test, of_test))]
    known = [np.isin(labels, SYSTEMS) for labels in (dev_truth, truth)]
    unknown = [np.r_[~k, np.zeros(-len(k) % 128, bool)] for k in known]
    fpr, tpr, thresholds = roc_curve(unknown[0], scores[0])
    at = np.nanargmin(np.abs(fpr - (1 - tpr)))
    found = openset_published.as_published((rows, logits), (dev, of_dev, known[0]), (test, of_test, known[1]))
    assert found["dev_eer"] == pytest.approx(fpr[at])
    assert found["threshold"] == pytest.approx(thresholds[at], rel=1e-4)
    said = scores[1] > thresholds[at]
    assert found["accuracy"] == pytest.approx((said == unknown[1]).mean(), abs=1.01 / len(said))
    assert found["macro_f1"] == pytest.approx(f1_score(unknown[1], said, average="macro"), abs=0.01)
    assert found["unknown_recall"] < 0.5 < scored_auroc()  # the score is high for known systems, and read the other way


def scored_auroc():
    ranking = openset.Ranking(scored("nsd"))
    return openset.measure(ranking, np.ones(len(ranking.order)), None)["auroc"]


def test_what_cannot_be_scored_is_said():
    (rows, labels, logits), (test, truth, of_test) = lists()
    train = openset_scores.known(rows, labels, None)
    with pytest.raises(ScoringError, match="needs logits"):
        openset_scores.score("nsd", train, test, of_test)
    with pytest.raises(ScoringError, match="list that the model was trained on"):
        openset_scores.known(rows, labels, logits[:, :3])
    with pytest.raises(ScoringError, match="no open-set score"):
        openset_scores.score("mps", train, test, of_test)
    with pytest.raises(ScoringError, match="all 4 utterances are of known"):
        openset.case(np.zeros(4), SYSTEMS, SYSTEMS, SYSTEMS)
