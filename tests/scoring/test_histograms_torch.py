"""The device's counts are the CPU's; torch's own CPU stands in for a GPU."""

import numpy as np
import pytest
import torch

from scoring import exact, histograms_torch, per_system
from scoring.bins import BINS, LARGEST_KEY, floats_of, spanning
from scoring.counts import Groups, groups_for, windows_in
from scoring.embeddings import utterances
from scoring.histograms_torch import as_scoring_needs, count_on_device
from scoring.operating_points import EqualError, LeastCost
from scoring.passes import PassOptions, count_trials
from settings.errors import ScoringError


def small_list(count=400, systems=7, numbers=None):
    """Embeddings of small whole numbers have scores that every device rounds alike."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, systems, count)
    embeddings = generator.standard_normal((count, 6)) + generator.standard_normal((systems, 6))[labels]
    return utterances(embeddings if numbers is None else np.eye(8)[generator.integers(0, 8, count)], labels)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("tile", [64, 4096])
@pytest.mark.parametrize("numbers", [None, "alike"])
def test_the_device_counts_what_the_cpu_counts(monkeypatch, pairs, tile, numbers):
    monkeypatch.setattr(histograms_torch, "TILE", tile)
    listed, to = small_list(numbers=numbers), spanning(-1.0, 1.0)
    lowest = to.lowest_keys()
    stretches = np.stack([lowest, np.append(lowest[1:], LARGEST_KEY + 1) - 1], axis=1)[[3000, 4096, 5000, 8031, 8032]]
    windows, *cells = windows_in(lowest, stretches, np.array([True, False, True, True, False]), 4096, 2048)
    ours = count_trials(listed, to, windows=windows, cells=cells, groups=Groups(7, 256, pairs))
    theirs = count_on_device(listed, to, windows, cells, Groups(7, 256, pairs), device="cpu")
    # scores a rounding apart may fall on either side of a border
    within = 0 if numbers else 2
    assert abs(ours.pooled.cumsum(axis=1) - theirs.pooled.cumsum(axis=1)).max() <= within
    assert abs(ours.fine.pooled.cumsum(axis=1) - theirs.fine.pooled.cumsum(axis=1)).max() <= within
    assert ours.fine.pooled.sum() == theirs.fine.pooled.sum() > 0
    np.testing.assert_allclose(ours.groups.sum(axis=1), theirs.groups.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(ours.macro.sum(axis=1), theirs.macro.sum(axis=1))
    np.testing.assert_allclose(ours.fine.macro.sum(axis=1), theirs.fine.macro.sum(axis=1))
    if numbers:
        np.testing.assert_allclose(ours.groups, theirs.groups)
        np.testing.assert_allclose(ours.fine.macro, theirs.fine.macro)


@pytest.mark.parametrize("room", [exact.CELLS, 64])
def test_answers_agree_between_devices(monkeypatch, room):
    monkeypatch.setattr(exact, "CELLS", room)
    monkeypatch.setattr(exact, "WEIGHED_CELLS", room // 2)
    questions = [EqualError(), EqualError("macro"), LeastCost(0.05)]
    listed = small_list()
    groups = groups_for(7)
    ours = exact.solve(listed, questions, groups=groups)
    alone = per_system.by_system(listed, ours.counts, groups, options=PassOptions())[0]
    device = PassOptions(device="cpu:0")  # to torch the processor, to us a device
    theirs = exact.solve(listed, questions, groups=groups, options=device)
    others = per_system.by_system(listed, theirs.counts, groups, options=device)[0]
    pairs = [(ours.answers[question], theirs.answers[question]) for question in questions[:2]]
    for mine, other in (*pairs, *zip(alone, others, strict=True)):
        assert mine.eer == pytest.approx(other.eer, abs=1e-4)
        assert mine.threshold == pytest.approx(other.threshold, abs=1e-5)
    assert ours.answers[questions[2]].cost == pytest.approx(theirs.answers[questions[2]].cost, abs=1e-4)


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(ScoringError, match="device warp cannot be used"):
        count_trials(small_list(), spanning(-1.0, 1.0), options=PassOptions(device="warp"))


@pytest.mark.parametrize("warn_only", [True, False])
@pytest.mark.parametrize("strict", [True, False])
def test_what_training_has_set_is_restored_whole(strict, warn_only):
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    precision = torch.get_float32_matmul_precision()
    try:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_float32_matmul_precision("medium")
        with as_scoring_needs(torch.device("cpu")):
            assert not torch.are_deterministic_algorithms_enabled()
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.are_deterministic_algorithms_enabled() == strict
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.set_float32_matmul_precision(precision)


def test_every_bin_begins_where_it_says():
    for to in (spanning(-1.0, 1.0), spanning(-5000.0, -4999.0), spanning(1.0, 1.0), spanning(-1e-3, 80.0)):
        lowest = to.lowest_keys()
        inside = lowest[1:][lowest[1:] <= LARGEST_KEY]
        assert (to(floats_of(inside)) >= np.arange(1, BINS)[: len(inside)]).all()
        assert (to(floats_of(np.maximum(inside - 1, -LARGEST_KEY))) < np.arange(1, BINS)[: len(inside)]).all()
