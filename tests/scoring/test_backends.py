"""Back-ends against scikit-learn and against the densities that define them."""

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import ledoit_wolf as reference_ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from scoring import backends
from scoring.all_pairs import evaluate
from scoring.shrinkage import ledoit_wolf, spread
from settings.errors import ScoringError
from tuneThreshold import curve_of, equal_error


def clusters(systems=6, each=20, dimensions=8, seed=0, spread=1.0):
    """Embeddings (N, D) of systems that differ in all directions, their utterances mostly in one; labels (N,)."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(systems), each)
    noise = random.standard_normal((systems * each, dimensions)) * np.r_[3 * spread, np.full(dimensions - 1, 0.3)]
    return random.standard_normal((systems, dimensions))[labels] + noise, labels


def test_shrinkage_is_that_of_ledoit_and_wolf():
    rows = np.random.default_rng(1).standard_normal((30, 12)) * np.arange(1, 13)
    expected, share = reference_ledoit_wolf(rows, assume_centered=True)
    assert 0.01 < share < 0.99
    np.testing.assert_allclose(ledoit_wolf(rows), expected, rtol=1e-12)


def test_within_covariance_is_the_mean_of_the_systems_own():
    random = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], [400, 4000, 1])  # the second has ten times as many, and no more say
    rows = random.standard_normal((4401, 3)) * np.where(labels == 1, 2.0, 1.0)[:, None]
    within = spread(rows, labels).within
    own = [np.cov(rows[labels == system].T) for system in (0, 1)]
    np.testing.assert_allclose(within, np.mean(own, axis=0), atol=0.12)


def test_a_system_repeated_tenfold_changes_nothing_but_the_shrinkage():
    rows, labels = clusters(each=300)
    often = np.concatenate([rows, *[rows[labels == 0]] * 9])
    of_often = np.concatenate([labels, np.zeros(2700, int)])
    once, repeated = (backends.learn("wccn", x, y) for x, y in ((rows, labels), (often, of_often)))
    np.testing.assert_allclose(repeated.matrix, once.matrix, rtol=0.03, atol=0.03 * np.abs(once.matrix).max())


def test_wccn_makes_the_within_covariance_the_identity_where_data_abound():
    rows, labels = clusters(each=2000)
    within = spread(backends.mapped(backends.learn("wccn", rows, labels), rows), labels).within
    np.testing.assert_allclose(within, np.eye(8), atol=0.05)


def test_lda_finds_the_subspace_that_scikit_learn_finds():
    rows, labels = clusters(each=500)
    ours = backends.mapped(backends.learn("lda", rows, labels), rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(unit, labels).transform(unit)[:, :5]
    bases = [np.linalg.qr(x - x.mean(axis=0))[0] for x in (ours, theirs)]
    assert np.linalg.svd(bases[0].T @ bases[1])[1].min() > 0.999  # cosines of the angles between the two subspaces


def plda_by_densities(backend, x, enrolled):
    """Log-likelihood ratio of (K,) x and (n, K) enrolled from one system against two, from joint normal densities."""
    total = 0.0
    for k, p in enumerate(backend.between):
        values = np.r_[x[k], enrolled[:, k]]
        n = len(values)
        same = stats.multivariate_normal(np.zeros(n), p * np.ones((n, n)) + np.eye(n)).logpdf(values)
        rest = stats.multivariate_normal(np.zeros(n - 1), p * np.ones((n - 1, n - 1)) + np.eye(n - 1))
        total += same - rest.logpdf(enrolled[:, k]) - stats.norm(0, np.sqrt(1 + p)).logpdf(x[k])
    return total


def test_plda_score_is_the_ratio_of_the_joint_densities():
    rows, labels = clusters()
    backend = backends.learn("plda", rows, labels)
    points = backends.mapped(backend, rows)
    first, second = points[[0, 3, 50]], points[[1, 70, 110]]
    expected = [plda_by_densities(backend, a, b[None]) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(backends.score_rows(backend, first, second), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", backends.NAMES)
def test_all_pairs_of_a_back_end_have_the_eer_of_its_scores_pair_by_pair(name):
    rows, labels = clusters()
    backend = backends.learn(name, rows, labels)
    points = backends.mapped(backend, rows)
    first, second = np.triu_indices(len(rows), 1)
    scores = backends.score_rows(backend, points[first], points[second])
    slow = equal_error(curve_of(scores, (labels[first] == labels[second]).astype(int)))
    fast = evaluate(rows, labels, backend=backend, quick=True)
    assert fast["eer"] == pytest.approx(slow.eer, abs=2 / len(scores))
    assert fast["threshold"] == pytest.approx(slow.threshold, abs=1e-3)


def test_what_is_learned_on_some_systems_helps_on_others():
    train, labels = clusters(systems=30, seed=3)
    test, others = clusters(systems=10, seed=4)
    plain = evaluate(test, others, quick=True)["eer"]
    for name in ("wccn", "plda"):
        backend = backends.learn(name, train, labels)
        assert evaluate(test, others, backend=backend, quick=True)["eer"] < plain - 0.05


@pytest.mark.parametrize("name", backends.NAMES)
def test_a_file_gives_the_same_back_end(name, tmp_path):
    backend = backends.learn(name, *clusters(), checkpoint="ab12")
    backends.write_backend(backend, tmp_path / "b.npz")
    read = backends.read_backend(tmp_path / "b.npz")
    assert (read.name, read.checkpoint) == (name, "ab12")
    np.testing.assert_array_equal(read.matrix, backend.matrix)


@pytest.mark.parametrize(
    "change",
    [
        {"backend_name": np.array("nearest")},
        {"backend_matrix": np.full((8, 8), np.nan)},
        {"backend_matrix": np.eye(7)},
        {"backend_mean": np.zeros(8, np.float32)},
        {"backend_between": np.array(["a"] * 8)},
        {"backend_between": -np.ones(8)},
        {"backend_checkpoint": np.array(3)},
    ],
)
def test_a_file_that_was_tampered_with_is_refused_in_one_line(change, tmp_path):
    backend = backends.learn("plda", *clusters())
    np.savez(tmp_path / "b.npz", **backends.backend_arrays(backend) | change)
    with pytest.raises(ScoringError, match=r"^[^\n]*b\.npz[^\n]*$"):
        backends.read_backend(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("labels", "message"), [(np.zeros(120), "2 systems"), (np.arange(120), "alike or alone"), (None, "wcn")]
)
def test_what_cannot_be_learned_is_said(labels, message):
    rows, good = clusters()
    with pytest.raises(ScoringError, match=message):
        backends.learn("wccn" if labels is not None else "wcn", rows, good if labels is None else labels)


def test_a_back_end_of_another_model_is_refused():
    backends.check_same_model("B.npz", "", "12", "E.npz")
    with pytest.raises(ScoringError, match="another model"):
        backends.check_same_model("B.npz", "ab", "12", "E.npz")
