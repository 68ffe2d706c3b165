"""Added sound: the ratio measured is the ratio asked for, files come from folders, broken ones are named."""

import numpy as np
import pytest
import soundfile

from corpus.augmentation.additive import babble, coloured_noise, mixed, noise
from corpus.augmentation.folders import AudioFolder
from settings.errors import ConfigError, DataError
from tests.corpus.augmentation.signals import RATE, level, musan, sine, voice


def measured_snr(clean, noisy):
    """Decibels between the mean powers of what was there and of what came to it, in float64."""
    added = noisy.astype(np.float64) - clean
    return 10 * np.log10(np.mean(np.square(clean.astype(np.float64))) / np.mean(np.square(added)))


@pytest.mark.parametrize("snr", [-20.0, 0.0, 7.3, 40.0])
def test_the_ratio_measured_is_the_ratio_asked_for(snr, tmp_path):
    folder = AudioFolder(musan(tmp_path / "musan") + "/noise")
    clean = voice()
    for change in (
        lambda random: noise(clean, random, path=folder, snr=(snr, snr)),
        lambda random: coloured_noise(clean, random, snr=(snr, snr)),
    ):
        assert measured_snr(clean, change(np.random.default_rng(1))) == pytest.approx(snr, abs=0.01)


def test_each_of_several_sounds_has_its_own_ratio():
    clean, first, second = sine(1000), sine(2000), sine(3000)
    both = mixed(clean, [first * 3, second * 0.1], [5.0, 15.0])
    reference = level(clean, 900, 1100)
    assert level(both, 1900, 2100) == pytest.approx(reference - 5, abs=0.01)
    assert level(both, 2900, 3100) == pytest.approx(reference - 15, abs=0.01)


def test_babble_is_of_three_to_seven_different_files(tmp_path):
    folder = AudioFolder(musan(tmp_path / "musan", files=8) + "/speech")
    asked = []
    read = folder.segment
    folder.segment = lambda index, *rest: asked[-1].append(index) or read(index, *rest)
    for seed in range(40):
        asked.append([])
        babble(voice(1600), np.random.default_rng(seed), path=folder)
    assert {len(files) for files in asked} == {3, 4, 5, 6, 7}
    assert all(len(set(files)) == len(files) for files in asked)


@pytest.mark.parametrize(("slope", "fall"), [(0, 0.0), (1, 3.01), (2, 6.02)])
def test_coloured_noise_falls_by_its_slope_in_decibels_an_octave(slope, fall):
    clean = np.full(1 << 17, 0.1, np.float32)
    added = coloured_noise(clean, np.random.default_rng(0), snr=(0, 0), slope=(slope, slope)) - clean
    density = [level(added, low, 2 * low) - 10 * np.log10(low) for low in (500, 1000, 2000)]
    assert np.allclose(-np.diff(density), fall, atol=0.4)


def test_a_segment_is_what_the_file_holds_there_at_any_rate_and_repeated_where_short(tmp_path):
    ramp = np.arange(RATE, dtype=np.float32) / RATE / 2
    soundfile.write(tmp_path / "a.wav", ramp, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.flac", np.stack([sine(440, 44_100)] * 2, 1), 44_100)
    folder = AudioFolder(tmp_path)
    part = folder.segment(0, 500, np.random.default_rng(3))
    start = int(round(part[0] * 2 * RATE))
    assert np.array_equal(part, ramp[start : start + 500])
    long = folder.segment(0, 40_000, np.random.default_rng(3))
    assert np.array_equal(long, np.resize(ramp, 40_000))
    other = folder.segment(1, 16_000, np.random.default_rng(3))
    assert len(other) == 16_000 and other.dtype == np.float32


def test_places_are_drawn_over_the_whole_file(tmp_path):
    ramp = np.arange(RATE, dtype=np.float32) / RATE / 2
    soundfile.write(tmp_path / "a.wav", ramp, RATE, subtype="FLOAT")
    folder = AudioFolder(tmp_path)
    starts = [folder.segment(0, 1600, np.random.default_rng(s))[0] * 2 for s in range(300)]
    assert min(starts) < 0.02 and max(starts) > 0.88 and np.mean(starts) == pytest.approx(0.45, abs=0.06)


def test_a_folder_without_audio_and_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no folder .*absent"):
        AudioFolder(tmp_path / "absent")
    with pytest.raises(ConfigError, match="no audio below"):
        AudioFolder(tmp_path)
    soundfile.write(tmp_path / "good.wav", sine(100), RATE)
    (tmp_path / "ANNOTATIONS").write_text("not audio")
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    folder = AudioFolder(tmp_path)
    with pytest.raises(DataError, match=r"2 of 3 files cannot be used[\s\S]*bad.wav[\s\S]*empty.wav"):
        folder.check(threads=2)


def test_a_file_that_breaks_later_is_named_too(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(4000, np.nan, np.float32), RATE, subtype="FLOAT")
    folder = AudioFolder(tmp_path)
    folder.check(threads=1)
    with pytest.raises(DataError, match=r"nan.wav: sample \d+ is NaN"):
        folder.segment(0, 1000, np.random.default_rng(0))
    (tmp_path / "nan.wav").unlink()
    with pytest.raises(DataError, match="nan.wav: cannot be read"):
        folder.segment(0, 1000, np.random.default_rng(0))
