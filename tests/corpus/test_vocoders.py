"""Griffin-Lim, mel and WORLD against torch and torchaudio; the same audio always gives the same copy."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torchaudio

from corpus import vocoders
from corpus.copies import VOCODERS
from tests.corpus.augmentation.signals import voice

HANN = torch.hann_window(vocoders.WINDOW)


@pytest.fixture(params=VOCODERS)
def vocoder(request):
    if request.param == "world":
        pytest.importorskip("pyworld", reason="pyworld is not installed")
    return VOCODERS[request.param]


@pytest.mark.parametrize("length", [1_600, 10_000, 10_240])
def test_transform_and_inverse_are_torchs(length):
    samples = voice(length)
    ours = vocoders.stft(samples)
    theirs = torch.stft(torch.from_numpy(samples), 1024, 256, window=HANN, return_complex=True).T.numpy()
    assert ours.shape == theirs.shape and np.allclose(ours, theirs, atol=1e-4)
    assert np.allclose(vocoders.istft(ours, length), samples, atol=1e-6)
    random = np.random.default_rng(0)
    other = (ours * np.exp(2j * np.pi * random.random(ours.shape))).astype(np.complex64)
    theirs = torch.istft(torch.from_numpy(other.T.copy()), 1024, 256, window=HANN, length=length).numpy()
    assert np.allclose(vocoders.istft(other, length)[512:-512], theirs[512:-512], atol=1e-5)


def test_griffin_lim_is_torchaudios_from_the_same_phases():
    class NoAngle(np.random.Generator):
        """Draws phase 0 only, as torchaudio's rand_init=False begins with."""

        def uniform(self, low, high, shape):  # noqa: ARG002 as the real one
            return np.zeros(shape)

    samples = voice(8_192)
    magnitude = np.abs(vocoders.stft(samples))
    ours = vocoders.with_magnitude(magnitude, 8_192, NoAngle(np.random.PCG64(0)), iterations=4)
    module = torchaudio.transforms.GriffinLim(
        1024, 4, hop_length=256, power=1, momentum=0, length=8_192, rand_init=False
    )
    theirs = module(torch.from_numpy(magnitude.T.copy())).numpy()
    inside = slice(1024, -1024)
    error = np.linalg.norm((ours - theirs)[inside]) / np.linalg.norm(theirs[inside])
    assert error < 0.02


def test_the_mel_bands_are_torchaudios():
    theirs = torchaudio.functional.melscale_fbanks(513, 0.0, 8000.0, 80, 16_000).numpy().T
    assert np.allclose(vocoders.mel_filters(), theirs, atol=1e-4)


def test_a_copy_has_the_length_and_about_the_spectrum_of_its_source(vocoder):
    for length in (1_600, 20_001):
        samples = voice(length)
        copy = vocoder(samples)
        assert copy.shape == samples.shape and copy.dtype == np.float32 and np.isfinite(copy).all()
        assert 0.3 < np.abs(copy).max() / np.abs(samples).max() < 3
    before, after = (np.log(np.abs(vocoders.stft(x)) @ vocoders.mel_filters().T + 1e-3) for x in (samples, copy))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9
    assert np.corrcoef(samples, copy)[0, 1] < 0.99  # and yet is another signal


def test_griffin_lim_comes_near_to_the_magnitudes_and_mel_less_so():
    samples = voice()
    wanted = np.abs(vocoders.stft(samples))
    errors = {
        name: np.linalg.norm(np.abs(vocoders.stft(VOCODERS[name](samples))) - wanted) / np.linalg.norm(wanted)
        for name in ("griffinlim", "mel")
    }
    assert errors["griffinlim"] < 0.2 < errors["mel"] + 0.1


def test_silence_and_very_loud_audio_are_no_trouble(vocoder):
    assert np.abs(vocoder(np.zeros(4_000, np.float32))).max() < 1e-3
    assert np.isfinite(vocoder(voice(4_000) * np.float32(2.0**31))).all()


def test_a_copy_is_a_function_of_the_audio_alone_whatever_ran_before_or_beside_it(vocoder):
    samples = [voice(6_000, seed) for seed in range(4)]
    alone = [vocoder(x) for x in samples]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(vocoder, samples * 3))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 3, beside, strict=True))
