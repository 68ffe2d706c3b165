"""RawBoost's filters and noises against slow float64 loops with scipy's filter design."""

import numpy as np
import pytest
from scipy import signal

from corpus.augmentation.rawboost import (
    band_stop,
    notch_filter,
    rawboost_convolutive,
    rawboost_impulsive,
    rawboost_stationary,
)
from tests.corpus.augmentation.signals import RATE, voice


@pytest.mark.parametrize(("taps", "low", "high"), [(11, 500, 900), (101, 3000, 3100), (51, -80, 300), (99, 7600, 8400)])
def test_a_band_stop_filter_is_scipys(taps, low, high):
    edges = [max(low, 0.001), min(high, RATE / 2 - 0.001)]
    assert np.allclose(band_stop(taps, low, high), signal.firwin(taps, edges, window="hamming", fs=RATE), atol=1e-9)


def slow_notch(random, bands, centre, width, taps, gain):
    """The same draws; filters convolved one after the other, the largest gain looked for on a fine grid."""
    b = np.ones(1)
    for _ in range(bands):
        fc, bw = random.uniform(*centre), random.uniform(*width)
        count = int(random.integers(taps[0], taps[1] + 1))
        count += 1 - count % 2
        edges = [max(fc - bw / 2, 0.001), min(fc + bw / 2, RATE / 2 - 0.001)]
        b = np.convolve(b, signal.firwin(count, edges, window="hamming", fs=RATE))
    wanted = 10 ** (random.uniform(*gain) / 20)
    return b * wanted / np.abs(signal.freqz(b, worN=1 << 14)[1]).max()


DEFAULTS = {"bands": 5, "centre": (20, 8000), "width": (100, 1000), "taps": (10, 100)}


@pytest.mark.parametrize("seed", range(5))
def test_a_notch_filter_is_band_stops_one_after_the_other_at_the_gain_drawn(seed):
    ours = notch_filter(np.random.default_rng(seed), **DEFAULTS, gain=(-20, -5))
    slow = slow_notch(np.random.default_rng(seed), **DEFAULTS, gain=(-20, -5))
    assert len(ours) == len(slow)
    assert np.allclose(ours, slow, atol=2e-3 * np.abs(slow).max())
    assert -20.1 < 20 * np.log10(np.abs(signal.freqz(ours)[1]).max()) < -4.9


def centred(samples, b):
    """Filtered by a loop over the taps, without the delay."""
    padded = np.pad(samples.astype(np.float64), len(b) // 2)
    return sum(b[k] * padded[len(b) - 1 - k : len(padded) - k] for k in range(len(b)))


@pytest.mark.parametrize("orders", [1, 5])
def test_convolutive_noise_is_the_sum_of_filtered_powers(orders):
    samples, random = voice(3_000), np.random.default_rng(4)
    filters = [slow_notch(random, **DEFAULTS, gain=(-20, -5) if i else (0, 0)) for i in range(orders)]
    slow = sum(centred(samples.astype(np.float64) ** (i + 1), b) for i, b in enumerate(filters))
    slow -= slow.mean()
    slow /= max(1, np.abs(slow).max())
    ours = rawboost_convolutive(samples, np.random.default_rng(4), orders=orders)
    assert np.allclose(ours, slow, atol=3e-3 * np.abs(slow).max())


def test_impulsive_noise_changes_a_share_of_the_samples_in_proportion_to_them():
    samples = np.full(20_000, 0.2, np.float32)
    shares, factors = [], []
    for seed in range(200):
        after = rawboost_impulsive(samples, np.random.default_rng(seed), share=10.0, gain=2.0)
        changed = after != samples
        shares.append(changed.mean())
        factors.append((after[changed] / samples[changed] - 1) / 2)
    factors = np.concatenate(factors)
    assert 0 <= min(shares) < 0.01 and 0.09 < max(shares) <= 0.1 and np.mean(shares) == pytest.approx(0.05, abs=0.01)
    assert np.abs(factors).max() <= 1.001 and abs(factors.mean()) < 0.01
    assert factors.var() == pytest.approx(1 / 9, rel=0.05)  # of a product of two uniform numbers: (1/3)²


def test_impulsive_noise_never_passes_one():
    loud = np.sign(voice(8_000)) * np.float32(0.9)
    assert np.abs(rawboost_impulsive(loud, np.random.default_rng(0))).max() == pytest.approx(1)


def test_stationary_noise_has_its_ratio_and_its_filter():
    samples = voice(16_000)
    added = rawboost_stationary(samples, np.random.default_rng(9), snr=(12, 12)).astype(np.float64) - samples
    assert 20 * np.log10(np.linalg.norm(samples) / np.linalg.norm(added)) == pytest.approx(12, abs=0.01)
    random = np.random.default_rng(9)
    b = slow_notch(random, **DEFAULTS, gain=(0, 0))
    slow = centred(random.standard_normal(16_000, np.float32), b)
    assert np.corrcoef(added, slow)[0, 1] > 0.9999
