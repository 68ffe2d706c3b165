"""Long files are read by blocks: the same samples to the last bit, in memory that their length does not decide."""

import subprocess
import sys
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal

from corpus import build_cache, cache, decoding, eval_loader, filters
from corpus.audio import AudioFiles, AudioMemory, load_audio, load_crops, measured_length
from corpus.copies import FilesAndCopies
from corpus.eval_loader import EvalLoader
from corpus.lists import UtteranceList
from settings.errors import DataError
from tests.conftest import ROOT
from tests.mutations import FORMATS, sound

MB = 1_000_000
BLOCK = 997  # samples, so that small files have many blocks and none ends with one


@pytest.fixture
def blocks(monkeypatch):
    """Small blocks everywhere."""
    monkeypatch.setattr(decoding, "BLOCK_VALUES", BLOCK)
    monkeypatch.setattr(cache, "BLOCK", BLOCK)
    monkeypatch.setattr(build_cache, "BLOCK", BLOCK)


@pytest.fixture
def every_format(tmp_path):
    """A file of every format that libsndfile writes."""
    paths = [tmp_path / "-".join(map(str, form)) for form in FORMATS]
    for path, form in zip(paths, FORMATS, strict=True):
        path.write_bytes(sound(*form))
    return paths


def at_once(path) -> np.ndarray:
    """(T,) float32 at 16 kHz without a block: soundfile, mean, soxr."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(axis=1, dtype=np.float32)
    return samples if rate == 16_000 else soxr.resample(samples, rate, 16_000, quality="HQ")


def peak_of(work) -> float:
    """Megabytes that a call takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


def long_file(path, seconds: int, rate: int):
    """A stereo file, each channel with clicks of its own."""
    samples = np.zeros((seconds * rate, 2), np.int16)
    samples[:: rate // 7, 0] = samples[:: rate // 11, 1] = 9_000
    soundfile.write(path, samples, rate)
    return path


def test_block_by_block_a_file_of_every_format_is_what_it_is_at_once(blocks, every_format):  # noqa: ARG001
    for path in every_format:
        whole, tolerance = at_once(path), 1e-6 if "MP3" in path.name else 0  # mpg123 rounds by what it is asked for
        assert np.abs(load_audio(path) - whole).max() <= tolerance, path.name
        assert measured_length(path) == len(whole)


def test_crops_of_a_file_of_every_format_are_those_of_the_whole(blocks, every_format):  # noqa: ARG001
    seeking = 0
    for path in every_format:
        whole = load_audio(path)
        starts = np.array([0, len(whole) - 1_000, 1_234, 1_235, BLOCK, 0])
        assert np.array_equal(load_crops(path, starts, 1_000), [whole[s : s + 1_000] for s in starts]), path.name
        with decoding.opened(path) as file:
            seeking += file.seeks
    assert seeking >= 7


def test_crops_of_what_finds_no_room_are_those_of_what_is_kept(tmp_path, every_format):
    soundfile.write(tmp_path / "short.wav", np.random.default_rng(0).uniform(-1, 1, 1_700), 16_000)
    paths = [*map(str, every_format), str(tmp_path / "short.wav"), f"{every_format[0]}@speed1.1"]
    kept, read = FilesAndCopies(paths, AudioMemory(10 * MB)), FilesAndCopies(paths)
    lengths = kept.lengths(1)[0]
    assert np.array_equal(lengths, read.lengths(1)[0]) and len(kept.kept) == len(paths) and not read.kept
    random = np.random.default_rng(0)
    rows = random.integers(0, len(paths), 200)
    starts = random.integers(0, np.maximum(lengths[rows] - 2_000, 0) + 1)
    assert np.array_equal(kept.gather(rows, starts, 2_000), read.gather(rows, starts, 2_000))


def test_a_file_that_has_changed_since_it_was_measured_gives_no_crops(tmp_path):
    path, other = long_file(tmp_path / "a.flac", 3, 16_000), long_file(tmp_path / "b.flac", 4, 16_000)
    audio = AudioFiles([path])
    audio.lengths(1)
    path.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match=r"a.flac: has changed; it had \d+ bytes and has \d+"):
        audio.gather(np.array([0]), np.array([0]), 16_000)
    with pytest.raises(DataError, match="b.flac: ends after 64000 samples, and had 64001 before"):
        load_crops(long_file(tmp_path / "b.flac", 4, 22_050), np.array([48_001]), 16_000)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_crop_takes_no_more_memory_of_a_longer_file(tmp_path, rate):
    audio = AudioFiles([long_file(tmp_path / "a.wav", 90, rate)])
    lengths = []
    assert peak_of(lambda: lengths.extend(audio.lengths(1)[0])) < 13  # whole, at its own rate: 12 and 35 MB
    assert lengths == [90 * 16_000]
    start = np.array([80 * 16_000])
    assert peak_of(lambda: audio.gather(np.array([0]), start, 32_240)) < (13 if rate > 16_000 else 1)


def test_a_whole_file_takes_the_memory_of_its_samples_at_16_khz(tmp_path):
    path, size = long_file(tmp_path / "a.wav", 120, 48_000), 4 * 120 * 16_000 / MB
    assert peak_of(lambda: load_audio(path)) < size + 13
    audio, lengths = AudioFiles([path]), np.array([120 * 16_000])
    assert peak_of(lambda: list(EvalLoader(audio, lengths, 0, 10, threads=4))) < size + 13


def test_batches_that_wait_hold_no_more_samples_than_is_said(monkeypatch):
    most, held = 3 * 300_000, []
    monkeypatch.setattr(eval_loader, "IN_FLIGHT", most)
    monkeypatch.setattr(EvalLoader, "most_samples", 300_000)

    class Counted(EvalLoader):
        begun = done = 0

        def read(self, rows):
            self.begun += self.samples(rows)
            held.append(self.begun - self.done)
            return super().read(rows)

    lengths = np.array([2_000_000, *[300_000] * 12])
    files = AudioFiles(range(13))
    files.read = lambda row: np.zeros(lengths[row], np.float32)
    loader, rows = Counted(files, lengths, 0, 10, threads=8), []
    for batch, _, _ in loader:
        rows += batch.tolist()
        assert loader.begun - loader.done <= max(most, 2_000_000 if len(rows) == 1 else 0)
        loader.done += loader.samples(batch)
    assert rows == list(range(13)) and held[0] == 2_000_000 and max(held[1:]) == most


def table_of(*paths) -> UtteranceList:
    names = [path.name for path in paths]
    return UtteranceList("list.csv", names, ["s"] * len(names), [""] * len(names), [""] * len(names), [2] * len(names))


def test_a_cache_of_files_in_many_blocks_holds_them_whole(blocks, every_format, tmp_path):  # noqa: ARG001
    table = table_of(*every_format)
    build_cache.build_cache(tmp_path / "c", table, tmp_path, threads=2)
    cached = cache.open_cache(tmp_path / "c", table, tmp_path)
    for row, path in enumerate(every_format):
        whole = at_once(path)
        assert np.abs(cached.read(row) - whole).max() <= np.abs(whole).max() / 65_000, path.name
        assert np.array_equal(cached.read(row), cached.raw(row).astype(np.float32) * cached.scale[row])
        assert zlib.crc32(cached.raw(row).data) == cache.read_cache(tmp_path / "c/list.cache").entries[path.name].crc


def test_what_has_changed_in_a_late_block_of_a_cache_is_never_used(blocks, tmp_path):  # noqa: ARG001
    table = table_of(long_file(tmp_path / "a.wav", 1, 16_000))
    build_cache.build_cache(tmp_path / "c", table, tmp_path, threads=1)
    path = tmp_path / "c/list.cache"
    content = bytearray(path.read_bytes())
    content[2 * 15_000] ^= 1
    path.write_bytes(content)
    for use in (lambda c: c.read(0), lambda c: c.raw(0), lambda c: c.gather(np.array([0]), np.array([0]), 100)):
        with pytest.raises(DataError, match="have changed on the disk"):
            use(cache.open_cache(tmp_path / "c", table, tmp_path))


@pytest.mark.parametrize("seconds", [0.3, 67.7])
def test_filters_of_long_audio_are_those_of_the_whole_at_once(seconds):
    samples = np.random.default_rng(1).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
    whole = signal.oaconvolve(samples, filters.lowpass_taps(4_000.0))[filters.TAPS // 2 :][: len(samples)]
    assert np.array_equal(filters.lowpass(samples, 4_000.0), whole)
    weighted = np.square(signal.sosfilt(filters.k_weighting(16_000), samples.astype(np.float64)))
    sums = filters.energy_sums(samples, 1_600)
    assert np.array_equal(sums[:-1], np.append(0, np.cumsum(weighted))[::1_600]) and sums[-1] == np.cumsum(weighted)[-1]
    padded = np.concatenate([np.zeros(1_600, np.float32), samples, np.zeros(16_000, np.float32)])
    assert filters.speech_span(padded) == (1_600, 1_600 + -(-len(samples) // 160) * 160)


def test_filters_take_no_more_memory_than_two_copies_of_the_samples():
    samples = np.random.default_rng(1).normal(0, 0.1, 200 * 16_000).astype(np.float32)
    every = filters.AudioFilters(4_000, True, True)
    assert peak_of(lambda: every.apply(samples)) < 2 * samples.nbytes / MB + 60
    assert peak_of(lambda: replace(every, lowpass=0.0).apply(samples)) < samples.nbytes / MB + 60


@pytest.mark.slow
def test_four_files_of_58_minutes_are_read_by_four_threads_within_what_the_page_says():
    argv = [sys.executable, "-m", "benchmarks.long_files", "--kinds", "flac", "mp3"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    table = {line[:16].strip(): list(map(int, line[16:].split())) for line in done.stdout.splitlines()[2:]}
    assert max(table["list"] + table["crops"] + table["eval_frames"]) < 100
    assert max(table["cache"] + table["whole"] + table["identify"]) < 1_000 and max(table["filtered cache"]) < 1_000
