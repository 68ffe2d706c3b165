"""Filters of the audio path, against the standards they claim and signals whose answer is known."""

import numpy as np
import pytest

from corpus.filters import AudioFilters, k_weighting, loudness, loudness_norm, lowpass, speech_span, trim_silence
from settings.errors import ConfigError


def tone(hertz, seconds=1.0, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def test_k_weighting_is_the_table_of_bs1770_at_48_khz():
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621],
    ]
    assert np.allclose(k_weighting(48_000), expected, atol=1e-9)


def test_full_scale_sine_of_997_hz_is_minus_3_lufs():
    assert loudness(tone(997, 3.0, 1.0)) == pytest.approx(-3.01, abs=0.05)  # the standard's own calibration


@pytest.mark.parametrize("level", [1e-2, 0.3])
def test_loudness_norm_brings_any_level_to_minus_23_lufs(level):
    normed = loudness_norm(tone(440, 2.0, level))
    assert normed.dtype == np.float32
    assert loudness(normed) == pytest.approx(-23.0, abs=0.01)


def test_silence_has_no_loudness_and_is_left_alone():
    silence = np.zeros(16_000, np.float32)
    assert loudness(silence) is None
    assert np.array_equal(loudness_norm(silence), silence)
    assert np.array_equal(trim_silence(silence), silence)
    assert speech_span(silence) == (0, 0)


def test_loudness_of_a_short_file_counts_it_as_one_block():
    assert loudness(tone(997, 0.2, 1.0)) == pytest.approx(-3.0, abs=0.5)


@pytest.mark.parametrize("cutoff", [1000.0, 4000.0, 7500.0])
def test_lowpass_removes_what_is_above_and_keeps_what_is_below(cutoff):
    middle = slice(1_000, -1_000)  # away from the edges, where the filter sees silence
    assert np.abs(lowpass(tone(cutoff + 10), cutoff)[middle]).max() < 1e-4
    below = tone(cutoff - 200)
    assert np.abs(lowpass(below, cutoff) - below)[middle].max() < 1e-3
    assert lowpass(below, cutoff).dtype == np.float32 and len(lowpass(below, cutoff)) == len(below)
    assert len(lowpass(below[:1_600], cutoff)) == 1_600


def test_trim_silence_finds_the_edges_to_10_ms():
    sound = tone(300, 0.5)
    noise = np.random.default_rng(0).normal(0, 1e-4, 8_000).astype(np.float32)
    padded = np.concatenate([noise, sound, noise[:4_000]])
    start, end = speech_span(padded)
    assert abs(start - 8_000) <= 160 and abs(end - 16_000) <= 160
    assert len(trim_silence(padded)) == end - start
    click = np.zeros(16_000, np.float32)
    click[5_000] = 1.0
    assert len(trim_silence(click)) == 16_000  # 10 ms would be left: too little to train on


def test_filters_are_off_by_default_and_refuse_nonsense():
    assert not AudioFilters() and AudioFilters(lowpass=4000)
    samples = tone(500)
    assert AudioFilters().apply(samples) is samples
    filtered = AudioFilters(lowpass=4000, trim_silence=True, loudness_norm=True).apply(samples)
    assert filtered.dtype == np.float32
    for wrong in (-1.0, 8_000.0, 50.0, float("nan")):
        with pytest.raises(ConfigError, match="--lowpass"):
            AudioFilters(lowpass=wrong)
