"""Band limits where they were asked for, levels in decibels, silence gone, speed with its pitch."""

import numpy as np
import pytest

from corpus.augmentation.channel import gain, lowpass, resample, trim_silence
from corpus.augmentation.tempo import played, speed
from tests.corpus.augmentation.signals import RATE, level, sine, strongest, voice

NOISE = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)


@pytest.mark.parametrize("cutoff", [1000, 3400, 7000])
def test_lowpass_leaves_nothing_above_its_cutoff_and_all_below(cutoff):
    after = lowpass(NOISE, np.random.default_rng(0), cutoff=(cutoff, cutoff))
    assert level(after, cutoff + 10, 8000) < level(NOISE, cutoff + 10, 8000) - 60
    assert level(after, 50, cutoff - 200) == pytest.approx(level(NOISE, 50, cutoff - 200), abs=0.05)


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 15_000])
def test_resampling_leaves_the_band_of_the_lower_rate(rate):
    after = resample(NOISE, np.random.default_rng(0), rate=(rate, rate))
    assert level(after, rate * 0.51, 8000) < level(NOISE, rate * 0.51, 8000) - 50
    assert level(after, 50, rate * 0.44) == pytest.approx(level(NOISE, 50, rate * 0.44), abs=0.05)


def test_cutoffs_and_rates_are_drawn_over_their_whole_range():
    edges = []
    for seed in range(60):
        after = lowpass(NOISE, np.random.default_rng(seed), cutoff=(2000, 6000))
        spectrum = np.convolve(np.square(np.abs(np.fft.rfft(after))), np.ones(100), "same")
        edges.append(np.flatnonzero(spectrum > spectrum[4000] * 1e-2)[-1] * RATE / len(after))
    assert min(edges) < 2500 and max(edges) > 5500


def test_gain_is_in_decibels():
    samples = voice()
    for decibels in (-20.0, 0.0, 6.0):
        after = gain(samples, np.random.default_rng(0), decibels=(decibels, decibels))
        assert np.allclose(after, samples * 10 ** (decibels / 20), rtol=1e-6)


def test_silence_at_both_ends_goes_and_the_rest_is_repeated_to_length():
    samples = np.zeros(16_000, np.float32)
    samples[4_000:9_600] = voice(5_600) + 0.05
    after = trim_silence(samples, np.random.default_rng(0))
    assert np.array_equal(after, np.resize(samples[4_000:9_600], 16_000))


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.5])
def test_speed_changes_duration_and_pitch_together(factor):
    before = sine(1000, 16_000)
    after = played(before, factor)
    assert len(after) == pytest.approx(16_000 / factor, abs=1)
    assert strongest(after) == pytest.approx(1000 * factor, abs=2)


def test_speed_draws_one_of_its_factors():
    lengths = {len(speed(sine(1000), np.random.default_rng(seed))) for seed in range(20)}
    assert len(lengths) == 2
