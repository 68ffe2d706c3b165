"""The cache: exact where it can be, resumed after a kill with the same bytes, and never believed when it is stale."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import dataprep
from corpus.audio import AudioFiles
from corpus.build_cache import build_cache, journal_line, quantise
from corpus.cache import open_cache, read_cache
from corpus.lists import read_list
from settings.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
CROP = 8_000


def corpus(folder, files=12, rate=16_000, subtype="PCM_16"):
    """Files of noise, 0.2 to 1.3 s long, and their list."""
    random = np.random.default_rng(0)
    lines = ["path,model_name"]
    for i in range(files):
        name = f"fake/en/s{i % 3}/{i}.wav"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        samples = random.normal(0, 0.1, int(rate * (0.2 + 0.1 * i)))
        soundfile.write(folder / name, samples, rate, subtype=subtype)
        lines.append(f"./{name},s{i % 3}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return read_list(folder / "train.csv")


@pytest.fixture
def made(tmp_path):
    """A list, its root, and where its cache lies."""
    table = corpus(tmp_path)
    build_cache(tmp_path / "cache", table, tmp_path, threads=2)
    return table, tmp_path, tmp_path / "cache"


def test_cache_gives_16_bit_audio_exactly(made):
    table, root, out = made
    cached, files = open_cache(out, table, root), AudioFiles(table.files(root))
    assert len(cached) == len(table)
    for row in range(len(table)):
        assert cached.read(row).dtype == np.float32
        assert np.array_equal(cached.read(row), files.read(row))
    assert np.array_equal(cached.lengths(2)[0], files.lengths(2)[0])


@pytest.mark.parametrize(("rate", "subtype"), [(22_050, "PCM_16"), (16_000, "FLOAT"), (48_000, "PCM_24")])
def test_cache_rounds_other_audio_to_half_a_step(tmp_path, rate, subtype):
    table = corpus(tmp_path, files=3, rate=rate, subtype=subtype)
    build_cache(tmp_path / "cache", table, tmp_path, threads=1)
    cached, files = open_cache(tmp_path / "cache", table, tmp_path), AudioFiles(table.files(tmp_path))
    for row in range(3):
        samples = files.read(row)
        assert np.abs(cached.read(row) - samples).max() <= np.abs(samples).max() / 65_534 * 1.01


@pytest.mark.parametrize("peak", [2.5, 1.0, 1e-3, 1e-42])
def test_quantise_never_clips(peak):
    samples = (np.sin(np.arange(1000)) * peak).astype(np.float32)
    integers, scale = quantise(samples)
    assert np.abs(integers * np.float32(scale) - samples).max() <= max(peak, 1e-30) / 60_000
    assert quantise(np.zeros(10, np.float32))[1] == 1 / 32_768


def test_gather_equals_reading_one_by_one(made):
    table, root, out = made
    cached = open_cache(out, table, root)
    lengths = cached.lengths()[0]
    random = np.random.default_rng(1)
    rows = random.integers(0, len(table), 40)
    starts = (random.random(40) * (np.maximum(lengths[rows] - CROP, 0) + 1)).astype(np.int64)
    assert (lengths[rows] < CROP).any() and (lengths[rows] > CROP).any()
    crops = cached.gather(rows, starts, CROP)
    assert crops.shape == (40, CROP) and crops.dtype == np.float32
    for crop, row, start in zip(crops, rows, starts, strict=True):
        samples = cached.read(int(row))
        expected = samples[start : start + CROP] if len(samples) >= CROP else np.resize(samples, CROP)
        assert np.array_equal(crop, expected)
    with pytest.raises(ValueError, match="reaches beyond"):
        cached.gather(np.array([11]), lengths[[11]] - CROP + 1, CROP)


def test_nothing_is_done_twice(made):
    table, root, out = made
    before = (out / "train.cache").stat().st_mtime_ns
    built = build_cache(out, table, root, threads=2)
    assert (built.decoded, built.copied) == (0, 12)
    assert (out / "train.cache").stat().st_mtime_ns == before


def test_changed_added_and_removed_files_are_noticed_and_only_those_done_again(made):
    table, root, out = made
    soundfile.write(root / table.paths[3], np.full(9_000, 0.25), 16_000)
    soundfile.write(root / "fake/en/s0/new.wav", np.full(7_000, 0.5), 16_000)
    lines = (root / "train.csv").read_text().splitlines()
    (root / "train.csv").write_text("\n".join([*lines[:6], "fake/en/s0/new.wav,s0", *lines[7:]]) + "\n")
    table = read_list(root / "train.csv")
    with pytest.raises(DataError, match="stale in 2 of 12 files; run: python dataprep.py cache"):
        open_cache(out, table, root)
    built = build_cache(out, table, root, threads=2)
    assert (built.decoded, built.copied) == (2, 10)
    cached = open_cache(out, table, root)
    assert np.all(cached.read(3) == 0.25) and np.all(cached.read(5) == 0.5)
    build_cache(root / "fresh", table, root, threads=1)
    assert (root / "fresh" / "train.cache").read_bytes() == (out / "train.cache").read_bytes()


def test_a_cache_serves_without_the_audio_but_not_without_a_part_of_it(made):
    table, root, out = made
    expected = open_cache(out, table, root).read(5)
    assert np.array_equal(open_cache(out, table, root / "elsewhere").read(5), expected)
    (root / table.paths[2]).unlink()
    with pytest.raises(DataError, match="no longer there"):
        open_cache(out, table, root)


def test_no_cache_is_refused_with_the_command(made):
    table, root, _ = made
    with pytest.raises(DataError, match="holds no cache of .*; run: python dataprep.py cache"):
        open_cache(root / "none", table, root)


def test_unusable_files_are_told_tried_again_and_do_not_stop_the_rest(made, capsys):
    table, root, out = made
    (root / table.paths[1]).write_bytes(b"RIFF but no audio")
    argv = ["cache", str(root / "train.csv"), "--path", str(root), "--out", str(out)]
    assert dataprep.main(argv) == 1
    err = capsys.readouterr().err
    assert "1 files cannot be used" in err and table.paths[1] in err
    cached = open_cache(out, table, root)
    assert list(cached.lengths()[1]) == [1]
    with pytest.raises(DataError, match="cannot be read as audio"):
        cached.read(1)
    assert dataprep.main(argv) == 1
    soundfile.write(root / table.paths[1], np.zeros(4_000), 16_000)
    assert dataprep.main(argv) == 0
    assert len(open_cache(out, table, root).read(1)) == 4_000


@pytest.mark.parametrize("damage", ["cut", "index", "empty", "other"])
def test_damaged_cache_is_refused_by_the_reader_and_rebuilt_by_the_builder(made, damage):
    table, root, out = made
    path = out / "train.cache"
    whole = path.read_bytes()
    spoilt = {"cut": whole[:-100], "empty": b"", "other": b"x" * 5_000}.get(damage)
    path.write_bytes(spoilt if spoilt is not None else whole[:-60] + b"X" + whole[-59:])
    with pytest.raises(DataError, match="build it again"):
        open_cache(out, table, root)
    build_cache(out, table, root, threads=2)
    assert path.read_bytes() == whole


def test_list_order_and_repeats_are_kept(made):
    table, root, out = made
    lines = (root / "train.csv").read_text().splitlines()
    (root / "train.csv").write_text("\n".join([lines[0], lines[4], lines[2], lines[4]]) + "\n")
    some = read_list(root / "train.csv")
    cached = open_cache(out, some, root)  # a part of the list, in another order: no reason to build
    assert np.array_equal(cached.read(0), cached.read(2))
    assert np.array_equal(cached.read(1), AudioFiles(some.files(root)).read(1))


def test_two_lists_of_one_name_and_an_unwritable_folder_are_refused(made, capsys):
    _, root, out = made
    twice = [str(root / "train.csv"), str(root / "fake" / "train.csv")]
    assert dataprep.main(["cache", *twice, "--path", str(root), "--out", str(out)]) == 2
    assert "several lists would be train.cache" in capsys.readouterr().err
    assert dataprep.main(["cache", twice[0], "--path", str(root), "--out", twice[0]]) == 2
    assert "File exists" in capsys.readouterr().err


def test_a_wrong_root_does_not_replace_a_good_cache(made, capsys):
    _, root, out = made
    before = (out / "train.cache").read_bytes()
    assert dataprep.main(["cache", str(root / "train.csv"), "--path", str(root / "typo"), "--out", str(out)]) == 2
    assert "is --path right?" in capsys.readouterr().err
    assert (out / "train.cache").read_bytes() == before


def test_two_builds_at_once_are_refused(made):
    fcntl = pytest.importorskip("fcntl")
    table, root, out = made
    with (out / ".train.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another build"):
            build_cache(out, table, root, threads=1)


SLOW_BUILD = """
import sys, time
from corpus import build_cache as cache_building
from corpus.lists import read_list
decode = cache_building.decode
cache_building.decode = lambda *a: (time.sleep(0.01), decode(*a))[1]
cache_building.FLUSH_SECONDS = 0.01
cache_building.build_cache(sys.argv[3], read_list(sys.argv[1]), sys.argv[2], threads=2)
"""


def killed_builds(root, out, moments):
    """Start a build and kill -9 it after each of the moments (s), then let one end. How many were killed."""
    argv = [sys.executable, "-c", SLOW_BUILD, str(root / "train.csv"), str(root), str(out)]
    killed = 0
    for moment in [*moments, None]:
        child = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)
        began = (out / ".train.lock").exists
        while moment is not None and not began() and child.poll() is None:
            time.sleep(0.002)
        try:
            child.wait(moment)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
            child.wait()
    return killed


def test_killed_builds_end_with_the_bytes_of_an_undisturbed_one(tmp_path):
    table = corpus(tmp_path, files=60)
    build_cache(tmp_path / "whole", table, tmp_path, threads=2)
    assert killed_builds(tmp_path, tmp_path / "cache", [0.0, 0.15, 0.1]) >= 1
    assert (tmp_path / "cache" / "train.cache").read_bytes() == (tmp_path / "whole" / "train.cache").read_bytes()
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [".train.lock", "train.cache"]


@pytest.mark.slow
def test_twenty_kills_end_with_the_bytes_of_an_undisturbed_build(tmp_path):
    table = corpus(tmp_path, files=200)
    build_cache(tmp_path / "whole", table, tmp_path, threads=2)
    for number in range(20):
        out = tmp_path / f"cache{number}"
        assert killed_builds(tmp_path, out, [0.05 + 0.05 * number]) == 1
        assert (out / "train.cache").read_bytes() == (tmp_path / "whole" / "train.cache").read_bytes()


@pytest.mark.parametrize("torn", ["journal", "part", "both", "other filters", "flipped bits", "flipped sample"])
def test_a_torn_journal_or_part_is_resumed_as_far_as_it_holds(tmp_path, torn):
    table = corpus(tmp_path)
    build_cache(tmp_path / "whole", table, tmp_path, threads=1)
    whole = read_cache(tmp_path / "whole" / "train.cache")
    expected = (tmp_path / "whole" / "train.cache").read_bytes()
    out = tmp_path / "cache"
    out.mkdir()
    rows = [[getattr(e, f) for f in e.__dataclass_fields__] for e in whole.entries.values()]
    settings = whole.recipe | ({"lowpass": 10.0} if torn == "other filters" else {})
    journal = b"".join(journal_line(line) for line in [settings, *rows[:6]]).decode()
    part = bytearray(whole.samples[0 : rows[6][3]].tobytes())
    if torn == "flipped bits":  # another scale for the sixth file, still JSON
        journal = "0.5".join(journal.rsplit(str(rows[5][5]), 1))
    if torn == "flipped sample":
        part[2 * rows[5][3]] ^= 1
    (out / ".train.journal").write_text(journal[:-20] if torn in ("journal", "both") else journal)
    (out / ".train.part").write_bytes(part[:-5_000] if torn in ("part", "both") else part + b"torn tail")
    built = build_cache(out, table, tmp_path, threads=2)
    assert built.resumed == (0 if torn == "other filters" else 5)
    assert (out / "train.cache").read_bytes() == expected
