"""The linear probe does what the paper's does, and can be repeated to the digit."""

from collections import Counter

import numpy as np
import pytest
import torch

from analysis import probing
from analysis.choices import ProbeSettings
from settings.errors import DataError
from tests.analyse_data import clusters


def test_over_represented_systems_are_undersampled_and_each_is_split_alike():
    labels = np.repeat([0, 1, 2], [50, 20, 20])
    rows = probing.undersample(labels, 20, seed=1)
    train, test = probing.split(rows, labels, 0.2, seed=1)
    assert Counter(labels[train]) == {0: 16, 1: 16, 2: 16}
    assert Counter(labels[test]) == {0: 4, 1: 4, 2: 4}
    assert not set(train) & set(test)


@pytest.mark.parametrize(("wanted", "kept"), [("smallest", 9), ("common", 300), (40, 40)])
def test_the_size_to_keep_is_the_smallest_the_common_or_what_was_asked(wanted, kept):
    assert probing.size_to_keep(Counter(a=2400, b=300, c=300, d=9), wanted) == kept


def test_systems_too_small_to_split_are_named():
    with pytest.raises(DataError, match="d: 4"):
        probing.size_to_keep(Counter(a=30, b=30, d=4), "smallest")


def test_a_step_is_the_step_of_torch():
    random = np.random.default_rng(3)
    x, y = random.normal(size=(7, 5)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0, 2])
    weight, bias = random.normal(size=(3, 5)).astype(np.float32), random.normal(size=3).astype(np.float32)
    layer = torch.nn.Linear(5, 3)
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        probing.descend(weight, bias, x, y, 0.1)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(torch.tensor(x)), torch.tensor(y)).backward()
        optimizer.step()
    assert np.allclose(weight, layer.weight.detach().numpy(), atol=1e-6)
    assert np.allclose(bias, layer.bias.detach().numpy(), atol=1e-6)


def test_separable_systems_are_told_apart_and_shuffled_ones_are_not():
    made = clusters(5, 40)
    found = probing.probe(made, ProbeSettings())
    assert found.accuracy[0] > 0.95
    assert found.macro_f1[0] > 0.95
    np.random.default_rng(0).shuffle(made.systems)
    assert probing.probe(made, ProbeSettings()).accuracy[0] < 0.5


def test_a_probe_repeats_to_the_digit_and_another_seed_differs():
    made = clusters(4, 40, spread=1.5)
    one, two, other = (probing.probe(made, ProbeSettings(seed=s, repeats=2)) for s in (1, 1, 7))
    assert one.accuracy == two.accuracy
    assert np.array_equal(one.confusion, two.confusion)
    assert not np.array_equal(one.confusion, other.confusion)
    assert one.confusion.sum() == 2 * 4 * 8
    assert np.isclose(np.trace(one.confusion) / one.confusion.sum(), np.mean(one.accuracy))


def test_the_most_confused_pairs_are_told_in_words_worst_first():
    result = probing.ProbeResult(["a", "b", "c"], 10, confusion=np.array([[9, 1, 0], [3, 7, 0], [0, 0, 10]]))
    assert probing.most_confused(result) == ["3 of 10 b were taken for a (30.0%)", "1 of 10 a were taken for b (10.0%)"]


def test_a_probe_that_is_trained_too_little_says_so():
    small = clusters(8, 6, spread=1.5)  # 40 utterances: one step an epoch
    short = ProbeSettings(epochs=5)
    result = probing.probe(small, short)
    assert not result.converged and not probing.summary(result, short)["converged"]
    (note,) = probing.convergence_note(result, short)
    assert "has not converged" in note and "after 5 steps" in note
    long = ProbeSettings(epochs=2_000)
    assert probing.probe(small, long).converged
    assert not probing.convergence_note(probing.probe(small, long), long)
