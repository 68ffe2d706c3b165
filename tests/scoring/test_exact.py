"""The streamed answers are those of sorting all scores, whatever the scores are like."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from scoring import exact
from scoring.counts import macro_weights
from scoring.embeddings import utterances
from scoring.histograms import TILE, score_tile, tiles
from scoring.operating_points import AtThreshold, EqualError, FalseAcceptance, LeastCost
from tuneThreshold import Curve, curve_of

QUESTIONS = [
    EqualError("pooled"),
    EqualError("macro"),
    FalseAcceptance(0.01),
    FalseAcceptance(0.001),
    LeastCost(0.05),
    LeastCost(0.5),
    LeastCost(0.01, 10, 1),
    AtThreshold(0.2),
    AtThreshold(-3.0),
    AtThreshold(3.0),
]


def all_scores(listed):
    """Every trial's score and its two systems, held in memory."""
    count = len(listed.rows)
    matrix, memory = np.empty((count, count), np.float32), np.empty(TILE[0] * TILE[1], np.float32)
    with threadpool_limits(1, user_api="blas"):
        for row, column in tiles(count):
            tile = score_tile(listed, row, column, memory)
            matrix[row : row + len(tile), column : column + tile.shape[1]] = tile
    first, second = np.triu_indices(count, 1)
    return matrix[first, second], listed.codes[first], listed.codes[second]


def sorted_curves(listed):
    """The pooled and the macro curve of a list by sorting all its scores."""
    scores, first, second = all_scores(listed)
    target = first == second
    weights = macro_weights(listed.sizes)
    weight = np.where(target, weights[1, first], weights[0, first] * weights[0, second])
    order = np.argsort(-scores, kind="stable")
    scores, target, weight = scores[order], target[order], weight[order]
    last = np.append(scores[1:] != scores[:-1], True)
    above = np.nextafter(scores[0], np.float32(np.inf))
    macro = Curve(
        np.append(above, scores[last]),
        np.append(0, np.cumsum(weight * target, dtype=np.longdouble)[last]).astype(float),
        np.append(0, np.cumsum(weight * ~target, dtype=np.longdouble)[last]).astype(float),
        *exact.totals(listed, "macro"),
    )
    pooled = curve_of(scores, target.astype(int))
    return {"pooled": Curve(macro.thresholds, pooled.hits, pooled.false_alarms, *listed.trials()), "macro": macro}


def random_list(generator):
    """Embeddings and labels of a few utterances: continuous, tied, repeated, orthogonal, or in pieces of a circle."""
    while True:
        count = int(generator.integers(3, 150))
        systems, size = int(generator.integers(2, min(count, 20))), int(generator.integers(1, 20))
        labels = generator.integers(0, systems, count)
        embeddings = generator.standard_normal((count, size))
        embeddings += generator.uniform(0, 3) * generator.standard_normal((systems, size))[labels]
        kind = generator.integers(0, 5)
        if kind == 1:
            embeddings = np.sign(embeddings)
        if kind == 2:
            embeddings = np.round(embeddings * generator.integers(1, 4)) + 0.5
        if kind == 3:
            embeddings = embeddings[generator.integers(0, count, count)]
        if kind == 4:
            embeddings = np.eye(size)[generator.integers(0, size, count)]
        if min(utterances(embeddings, labels).trials()) > 0:
            return embeddings, labels


def numbers(answer):
    """An answer as an array."""
    point = answer[1] if isinstance(answer, tuple) else answer
    return np.array([point.threshold, point.fpr, point.fnr, answer[0] if isinstance(answer, tuple) else 0])


def same(question, answer, curve):
    """Whether an answer is the curve's own: to the last digit where trials are counted, within 1e-12 where weighed."""
    tolerance = 0 if question.curve == "pooled" else 1e-12
    return np.allclose(numbers(answer), numbers(question.read(curve)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("few", [exact.FEW, 0], ids=["kept whole", "streamed"])
@pytest.mark.parametrize("room", [exact.ROOM, 400, 3], ids=["roomy", "tight", "tiny"])
def test_answers_are_those_of_a_full_sort(monkeypatch, few, room):
    monkeypatch.setattr(exact, "FEW", few)
    monkeypatch.setattr(exact, "ROOM", room)
    generator = np.random.default_rng(room)
    for _ in range(12 if not few else 60 if room == 3 else 200):
        listed = utterances(*random_list(generator))
        curves = sorted_curves(listed)
        answers, _ = exact.solve(listed, QUESTIONS, threads=2)
        for question, answer in zip(QUESTIONS, answers, strict=True):
            assert same(question, answer, curves[question.curve]), question


@pytest.mark.parametrize("systems", [5, 700])
def test_a_list_of_several_tiles_is_counted_whole_and_exactly(monkeypatch, systems):
    monkeypatch.setattr(exact, "FEW", 0)
    generator = np.random.default_rng(5)
    labels = generator.integers(0, systems, 2100)
    listed = utterances(generator.standard_normal((2100, 8)) + generator.standard_normal((systems, 8))[labels], labels)
    answers, counts = exact.solve(listed, QUESTIONS, threads=2)
    assert counts.pooled.sum(axis=1).tolist() == list(reversed(listed.trials()))
    np.testing.assert_allclose(counts.macro.sum(axis=1), exact.totals(listed, "macro")[::-1])
    curves = sorted_curves(listed)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        assert same(question, answer, curves[question.curve]), question


def test_the_number_of_threads_changes_nothing():
    generator = np.random.default_rng(6)
    labels = generator.integers(0, 9, 2500)
    listed = utterances(generator.standard_normal((2500, 24)) + generator.standard_normal((9, 24))[labels], labels)
    one, three = (exact.solve(listed, QUESTIONS, threads=threads)[0] for threads in (1, 3))
    for question, first, second in zip(QUESTIONS, one, three, strict=True):
        np.testing.assert_allclose(numbers(first), numbers(second), rtol=0, atol=1e-12 * (question.curve == "macro"))
