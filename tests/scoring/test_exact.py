"""The streamed answers are those of sorting all scores, whatever the scores are like."""

import dataclasses

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from scoring import counts as counts_of
from scoring import exact, per_system
from scoring.bins import BINS, spanning
from scoring.counts import macro_weights
from scoring.embeddings import utterances
from scoring.histograms import TILE, score_tile, tiles
from scoring.operating_points import AtThreshold, EqualError, FalseAcceptance, LeastCost, MinCost
from scoring.passes import PassOptions, count_trials
from tuneThreshold import Curve, curve_of, equal_error

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
    point, cost = (answer.point, answer.cost) if isinstance(answer, MinCost) else (answer, 0)
    return np.array([point.threshold, point.fpr, point.fnr, cost])


def same(question, answer, curve):
    """Whether an answer is the curve's own: to the last digit where trials are counted, within 1e-12 where weighed."""
    tolerance = 0 if question.curve == "pooled" else 1e-12
    return np.allclose(numbers(answer), numbers(question.read(curve)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("few", [exact.FEW, 0], ids=["range", "sample"])
@pytest.mark.parametrize("room", [exact.CELLS, 4096, 64], ids=["roomy", "tight", "tiny"])
@pytest.mark.parametrize("kept", [exact.KEPT, 0], ids=["kept", "counted"])
def test_answers_are_those_of_a_full_sort(monkeypatch, few, room, kept):
    monkeypatch.setattr(exact, "FEW", few)
    monkeypatch.setattr(exact, "KEPT", kept)
    monkeypatch.setattr(exact, "CELLS", room)
    monkeypatch.setattr(exact, "WEIGHED_CELLS", room // 2)
    generator = np.random.default_rng(room)
    for _ in range(12 if not few else 30 if room == 64 else 75):
        listed = utterances(*random_list(generator))
        curves = sorted_curves(listed)
        answers = exact.solve(listed, QUESTIONS, options=PassOptions(threads=2)).answers
        for question, answer in answers.items():
            assert same(question, answer, curves[question.curve]), question


@pytest.mark.parametrize("systems", [5, 700])
def test_a_list_of_several_tiles_is_counted_whole_and_exactly(monkeypatch, systems):
    monkeypatch.setattr(exact, "FEW", 0)
    generator = np.random.default_rng(5)
    labels = generator.integers(0, systems, 2100)
    listed = utterances(generator.standard_normal((2100, 8)) + generator.standard_normal((systems, 8))[labels], labels)
    solved = exact.solve(listed, QUESTIONS, options=PassOptions(threads=2))
    counts = solved.counts
    assert counts.pooled.sum(axis=1).tolist() == list(reversed(listed.trials()))
    np.testing.assert_allclose(counts.macro.sum(axis=1), exact.totals(listed, "macro")[::-1])
    curves = sorted_curves(listed)
    for question, answer in solved.answers.items():
        assert same(question, answer, curves[question.curve]), question


def odd_shapes():
    """The shapes at which a count may be off by one: no more trials than it takes, one target trial, all alike."""
    generator = np.random.default_rng(8)
    yield np.eye(3)[[0, 0, 1]] + 0.1, [0, 0, 1]  # one target trial, two systems
    yield generator.standard_normal((40, 3)), [0, 0, *range(1, 39)]  # one target trial among hundreds
    yield generator.standard_normal((50, 3)), [0] * 49 + [1]  # one utterance against a system
    yield np.ones((30, 2)), np.arange(30) % 2  # every score the same
    yield np.repeat(generator.standard_normal((20, 4)), 3, axis=0), np.arange(60) % 7  # each utterance three times
    yield np.eye(6)[np.arange(48) % 6], np.arange(48) // 8  # orthogonal: the answer is 0, where floats are densest


@pytest.mark.parametrize("kept", [exact.KEPT, 0], ids=["kept", "counted"])
@pytest.mark.parametrize("few", [exact.FEW, 0], ids=["range", "sample"])
def test_lists_of_odd_shapes_are_answered_exactly(monkeypatch, few, kept):
    monkeypatch.setattr(exact, "FEW", few)
    monkeypatch.setattr(exact, "KEPT", kept)
    for embeddings, labels in odd_shapes():
        listed = utterances(embeddings, labels)
        curves = sorted_curves(listed)
        for question, answer in exact.solve(listed, QUESTIONS, options=PassOptions(threads=1)).answers.items():
            assert same(question, answer, curves[question.curve]), (question, len(labels))


@pytest.mark.parametrize("room", [500, exact.KEPT], ids=["overflowing", "roomy"])
def test_more_scores_than_were_expected_take_another_pass_and_are_exact(monkeypatch, room):
    monkeypatch.setattr(exact, "FEW", 0)
    monkeypatch.setattr(exact, "KEPT", room)
    plan = exact._plan
    monkeypatch.setattr(exact, "_plan", lambda *args: dataclasses.replace(plan(*args), inside=0))
    generator = np.random.default_rng(9)
    labels = generator.integers(0, 6, 1200)
    listed = utterances(generator.standard_normal((1200, 8)) + generator.standard_normal((6, 8))[labels], labels)
    asked, curves = [EqualError("pooled"), EqualError("macro"), LeastCost(0.05)], sorted_curves(listed)
    solved = exact.solve(listed, asked, options=PassOptions(threads=2))
    assert (solved.passes > 1) == (room == 500)
    for question, answer in solved.answers.items():
        assert same(question, answer, curves[question.curve]), question


def test_the_number_of_threads_changes_nothing():
    generator = np.random.default_rng(6)
    labels = generator.integers(0, 9, 2500)
    listed = utterances(generator.standard_normal((2500, 24)) + generator.standard_normal((9, 24))[labels], labels)
    one, three = (exact.solve(listed, QUESTIONS, options=PassOptions(threads=threads)).answers for threads in (1, 3))
    for question in QUESTIONS:
        first, second = one[question], three[question]
        np.testing.assert_allclose(numbers(first), numbers(second), rtol=0, atol=1e-12 * (question.curve == "macro"))


@pytest.mark.parametrize("memory", [counts_of.GROUP_MEMORY, 0], ids=["pairs", "marginals"])
@pytest.mark.parametrize("room", [per_system.ROOM, 100], ids=["roomy", "tight"])
def test_each_systems_answer_is_that_of_sorting_its_own_scores(monkeypatch, memory, room):
    monkeypatch.setattr(counts_of, "GROUP_MEMORY", memory)
    monkeypatch.setattr(per_system, "ROOM", room)
    generator, lists = np.random.default_rng(room), 60
    for _ in range(lists):
        listed = utterances(*random_list(generator))
        groups = counts_of.groups_for(len(listed.systems))
        assert groups.pairs == bool(memory)
        counts = exact.solve(listed, [EqualError()], groups=groups).counts
        points, passes = per_system.by_system(listed, counts, groups, options=PassOptions(threads=2))
        assert passes <= (64 if room == 100 else 6)
        scores, first, second = all_scores(listed)
        for system, point in enumerate(points):
            mine = (first == system) | (second == system)
            target = (first == second)[mine]
            if point is None:
                assert not target.any()
                continue
            wanted = equal_error(curve_of(scores[mine], target.astype(int)))
            assert (point.fpr, point.fnr) == (wanted.fpr, wanted.fnr)
            assert point.threshold == wanted.threshold or wanted.threshold == np.inf


def test_histograms_of_systems_are_those_of_a_loop_over_their_trials():
    """Of more than one tile, with systems of one utterance and of hundreds."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.arange(300), generator.integers(300, 420, 900), generator.choice([500, 501], 900)])
    listed = utterances(generator.standard_normal((2100, 5)), labels)
    to = spanning(-1.0, 1.0)
    scores, first, second = all_scores(listed)
    weights, bins, systems = macro_weights(listed.sizes), to(scores), len(listed.systems)
    coarse, target = bins // (BINS // 64), first == second
    wanted = np.zeros((3, systems, 64))
    np.add.at(wanted[0], (first[target], coarse[target]), 1)
    for end in (first, second):
        ends = end[~target], coarse[~target]
        np.add.at(wanted[1], ends, 1)
        np.add.at(wanted[2], ends, (weights[0, first] * weights[0, second])[~target])
    counts = count_trials(listed, to, groups=counts_of.Groups(systems, 64, False), options=PassOptions(threads=2))
    np.testing.assert_allclose(counts.groups, wanted.reshape(-1, 64), rtol=1e-12)
    np.testing.assert_array_equal(
        counts.pooled, [np.bincount(bins[kind], minlength=BINS) for kind in (~target, target)]
    )
