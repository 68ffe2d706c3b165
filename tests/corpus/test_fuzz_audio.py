"""Thousands of damaged audio files: each is refused by name or gives sound samples; none crashes, hangs or hoards."""

import signal
import subprocess
import sys
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import soundfile

from corpus import decoding
from corpus.audio import AudioFiles, load_audio
from corpus.samplers import RandomSampler
from DatasetLoader import TrainLoader
from settings.errors import DataError
from tests.conftest import ROOT
from tests.mutations import FORMATS, mutated, sound

EACH = 80  # mutated files of every format: 2,560 in all


@pytest.fixture(scope="module")
def originals() -> dict[str, bytes]:
    """Name to content of one good file of every format."""
    return {
        f"{container}-{subtype}-{rate}".lower(): sound(container, subtype, rate, channels)
        for container, subtype, rate, channels in FORMATS
    }


def damaged(folder, originals, each, seed=0) -> list:
    """Paths of `each` mutated files of every format."""
    paths, others = [], list(originals.values())
    for f, (name, content) in enumerate(originals.items()):
        for i in range(each):
            paths.append(folder / f"{name}-{i}")
            paths[-1].write_bytes(mutated(content, [seed, f, i], others))
    return paths


def outcomes(paths) -> dict[str, str]:
    """Path to what became of it, each loaded in a process that a crash may take with it."""
    outcome_of, left = {}, [str(path) for path in paths]
    while left:
        argv = [sys.executable, "-m", "tests.load_each"]
        done = subprocess.run(argv, cwd=ROOT, input="\n".join(left), capture_output=True, text=True)
        lines = done.stdout.splitlines()
        outcome_of |= dict(zip(left, lines, strict=False))
        if len(lines) < len(left):
            died = signal.Signals(-done.returncode).name if done.returncode < 0 else done.stderr[-500:]
            outcome_of[left[len(lines)]] = f"ended the process ({died})"
        left = left[len(lines) + 1 :]
    return outcome_of


def test_an_undamaged_file_of_every_format_loads(tmp_path, originals):
    for name, content in originals.items():
        (tmp_path / name).write_bytes(content)
    outcome_of = outcomes(tmp_path.iterdir())
    assert set(outcome_of.values()) == {"loaded"}, outcome_of


def test_every_damaged_file_is_refused_by_name_or_loads_sound_samples(tmp_path, originals):
    outcome_of = outcomes(damaged(tmp_path, originals, EACH))
    faults = {path: outcome for path, outcome in outcome_of.items() if outcome not in ("loaded", "refused")}
    counts = Counter(outcome_of.values())
    assert not faults, "\n".join(f"{path}: {outcome}" for path, outcome in faults.items())
    assert len(outcome_of) == EACH * len(originals) >= 2_000
    assert counts["refused"] > 500 and counts["loaded"] > 200  # the mutations reach both sides


def test_damaged_files_in_a_corpus_are_named_and_the_rest_gives_finite_batches(tmp_path, originals):
    paths = damaged(tmp_path, originals, 10, seed=1)
    files = AudioFiles(paths)
    lengths, wrong = files.lengths(threads=2)
    assert len(wrong) > 100 and all(str(paths[row]) in why for row, why in wrong.items())
    good = [row for row in range(len(paths)) if row not in wrong]
    labels = np.arange(len(good)) % 5
    loader = TrainLoader(files.take(good), lengths[good], labels, RandomSampler(labels, 16), 4_000, seed=0, threads=2)
    for batch in loader.epoch(0):
        assert batch.waveforms.shape == (16, 4_000) and batch.waveforms.isfinite().all()


def test_a_file_damaged_in_mid_training_is_named_and_no_batch_is_ever_not_finite(tmp_path, originals):
    named = 0
    for name, content in originals.items():
        paths = [tmp_path / f"{name}-{i}" for i in range(8)]
        for path in paths:
            path.write_bytes(content)
        files = AudioFiles(paths)
        lengths, wrong = files.lengths(threads=1)
        assert not wrong
        for i, path in enumerate(paths):
            path.write_bytes(mutated(content, [2, i], [content]))
        labels = np.arange(8) % 2
        loader = TrainLoader(files, lengths, labels, RandomSampler(labels, 1), 3_000, seed=0, threads=1)
        for rows in np.arange(8)[:, None]:
            try:
                batch = loader.read(rows, np.maximum(lengths[rows] - 3_000, 0), uses=np.zeros_like(rows), epoch=0)
                assert batch.waveforms.shape == (1, 3_000) and batch.waveforms.isfinite().all()
            except DataError as error:
                named += str(paths[rows[0]]) in str(error)
    assert named > 100


def test_a_file_replaced_by_one_of_another_length_is_named_each_time(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(8_000), 16_000)
    files = AudioFiles([path])
    files.lengths(threads=1)
    soundfile.write(path, np.zeros(7_000), 16_000)
    for _ in range(2):
        with pytest.raises(DataError, match="a.wav: has changed; it had 8000 samples and has 7000"):
            files.read(0)


@pytest.mark.parametrize(("value", "rate"), [(np.inf, 16_000), (-np.inf, 22_050), (3e38, 22_050), (1e12, 16_000)])
def test_numbers_beyond_all_sound_are_refused(tmp_path, value, rate):
    samples = np.zeros((rate, 2), np.float32)
    samples[77] = value, -value
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    with pytest.raises(DataError, match="sample 77 is NaN, infinite or beyond all sound"):
        load_audio(tmp_path / "a.wav")


def test_a_small_file_that_unpacks_to_hours_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_RATE", 3_200)  # a minute of 192 kHz, so that the test is quick
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros(600 * 192_000 // 4, np.int16), 192_000)
    assert path.stat().st_size < 500_000
    tracemalloc.start()
    with pytest.raises(DataError, match="longer than 1 minutes at 192000 Hz"):
        load_audio(path)
    assert tracemalloc.get_traced_memory()[1] < 80_000_000
    tracemalloc.stop()
