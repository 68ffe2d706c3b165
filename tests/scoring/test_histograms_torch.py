"""The device's counts are the CPU's; torch's own CPU stands in for a GPU."""

import numpy as np
import pytest

from scoring import exact, histograms_torch
from scoring.bins import BINS, Bins
from scoring.counts import Groups, want
from scoring.embeddings import utterances
from scoring.operating_points import EqualError, LeastCost
from scoring.passes import count_trials
from settings.errors import ScoringError


def small_list(count=400, systems=7):
    generator = np.random.default_rng(1)
    labels = generator.integers(0, systems, count)
    return utterances(generator.standard_normal((count, 6)) + generator.standard_normal((systems, 6))[labels], labels)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("tile", [64, 4096])
def test_the_device_counts_what_the_cpu_counts(monkeypatch, pairs, tile):
    monkeypatch.setattr(histograms_torch, "TILE", tile)
    listed = small_list()
    to, wanted = Bins(np.float32(-1), np.float32(BINS / 2)), want(np.arange(BINS) // 64 == 80, 7)
    wanted.first[2], wanted.last[2] = 3000, 3100
    told = {"wanted": wanted, "room": 100_000, "groups": Groups(7, 256, pairs)}
    ours, theirs = count_trials(listed, to, **told), histograms_torch.count_on_device(listed, to, device="cpu", **told)
    assert theirs.complete
    # scores a rounding apart may fall on either side of a border
    assert abs(ours.pooled.cumsum(axis=1) - theirs.pooled.cumsum(axis=1)).max() <= 2
    np.testing.assert_allclose(ours.groups.sum(axis=1), theirs.groups.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(ours.macro.sum(axis=1), theirs.macro.sum(axis=1))
    np.testing.assert_allclose(np.sort(ours.scores), np.sort(theirs.scores), atol=1e-6)
    kept, other = (counts.kept_in(np.arange(BINS)) for counts in (ours, theirs))
    assert np.bincount(kept.first * 7 + kept.second).tolist() == np.bincount(other.first * 7 + other.second).tolist()


@pytest.mark.parametrize("room", [exact.ROOM, 50])
def test_answers_agree_between_devices(monkeypatch, room):
    monkeypatch.setattr(exact, "FEW", 0)
    monkeypatch.setattr(exact, "ROOM", room)
    questions = [EqualError(), EqualError("macro"), LeastCost(0.05)]
    ours, _ = exact.solve(small_list(), questions)
    monkeypatch.setattr(exact, "count_trials", lambda *a, **k: _on_device(*a, **k))
    theirs, _ = exact.solve(small_list(), questions)
    for mine, other in zip(ours[:2], theirs[:2], strict=True):
        assert mine.eer == pytest.approx(other.eer, abs=1e-4)
        assert mine.threshold == pytest.approx(other.threshold, abs=1e-5)
    assert ours[2][0] == pytest.approx(theirs[2][0], abs=1e-4)


def _on_device(listed, to, *, wanted=None, room=0, groups=None):
    groups = groups or Groups(0, 0, False)
    return histograms_torch.count_on_device(listed, to, wanted=wanted, room=room, groups=groups, device="cpu")


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(ScoringError, match="device warp cannot be used"):
        count_trials(small_list(), Bins(np.float32(-1), np.float32(BINS / 2)), device="warp")
