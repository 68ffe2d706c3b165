"""What holds of every kind: float32 of the same length, finite, not too loud, from its generator alone."""

import numpy as np
import pytest

from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.kinds import KINDS, parameters
from tests.corpus.augmentation.signals import musan, rirs, voice


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("folders")
    root = musan(base / "musan")
    named = {"noise": f"{root}/noise", "music": f"{root}/music", "babble": f"{root}/speech"}
    return {kind: AudioFolder(path) for kind, path in (named | {"reverb": rirs(base / "rirs")}).items()}


@pytest.fixture(params=KINDS)
def kind(request, folders):
    """A kind's name and its function with everything that it needs."""
    name = request.param
    if name == "amr":
        pytest.importorskip("av", reason="PyAV is not installed")
    given = {"path": folders[name]} if "path" in parameters(name) else {}
    return name, lambda samples, seed: KINDS[name](samples, np.random.default_rng(seed), **given)


@pytest.mark.parametrize("length", [1_600, 8_001, 32_240])
def test_samples_keep_their_length_and_are_finite_float32_of_a_sane_level(kind, length):
    name, change = kind
    for seed in range(3):
        before = voice(length, seed)
        given = before.copy()
        after = change(given, seed)
        assert np.array_equal(given, before), "the input was changed"
        assert after.dtype == np.float32 and after.flags.c_contiguous and np.isfinite(after).all()
        assert len(after) == length or name == "speed"
        assert 0.02 < np.abs(after).max() < 4


@pytest.mark.parametrize("length", [1_600, 32_240])
def test_silence_stays_silent(kind, length):
    name, change = kind
    silence = np.zeros(length, np.float32)
    after = change(silence, 1)
    quietest = 0.001 if name in ("gsm", "adpcm", "amr", "g711") else 1e-6  # a coder's own idle noise
    assert np.abs(after).max() <= quietest and np.isfinite(after).all()


def test_audio_far_above_full_scale_is_no_trouble(kind):
    _, change = kind
    after = change(voice(8_000) * np.float32(2.0**31), 1)
    assert np.isfinite(after).all() and np.abs(after).max() > 0.02


def test_what_is_drawn_comes_from_the_generator_alone(kind):
    name, change = kind
    samples = voice(8_000)
    first = change(samples, 5)
    np.random.default_rng(7).random(3)
    assert np.array_equal(first, change(samples, 5))
    if name not in ("gsm", "adpcm", "trim_silence"):
        assert any(not np.array_equal(first, change(samples, seed)) for seed in range(6, 12))


def test_something_is_changed(kind):
    name, change = kind
    samples = voice(16_000)
    if name == "trim_silence":
        samples[:4_000] = 0
    assert not np.array_equal(change(samples, 3), samples)
