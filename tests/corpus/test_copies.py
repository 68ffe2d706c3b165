"""Copies as new classes: rows of an expanded list, their names, their audio, their labels."""

import numpy as np
import pytest
import soundfile

from corpus.audio import load_audio
from corpus.copies import check_copy, class_names, copied, load, split_copy, with_copies
from corpus.lists import read_list
from settings.errors import ConfigError, DataError
from tests.corpus.augmentation.signals import RATE, delay, sine, strongest, voice


def test_a_list_is_followed_by_itself_once_for_each_copy(corpus):
    table = read_list(corpus / "train.csv")
    expanded = with_copies(table, ["griffinlim", "speed0.9"])
    assert len(expanded) == 3 * len(table)
    assert expanded.take(range(len(table))) == table
    row = len(table) + 5
    assert expanded.paths[row] == table.paths[5] + "@griffinlim"
    assert expanded.systems[row] == table.systems[5] + "@griffinlim"
    assert expanded.languages[row] == table.languages[5] and expanded.lines[row] == table.lines[5]
    assert len(expanded.classes()) == 3 * len(table.classes())


def test_the_real_systems_come_first_among_the_classes(corpus):
    table = read_list(corpus / "train.csv")
    real, pseudo = class_names(with_copies(table, ["speed1.1", "mel"]))
    assert real == table.classes()
    assert pseudo == sorted(f"{system}@{copy}" for system in real for copy in ("speed1.1", "mel"))
    assert class_names(table) == (table.classes(), [])


def test_copies_of_all_systems_can_be_one_class(corpus):
    _, pseudo = class_names(with_copies(read_list(corpus / "train.csv"), ["speed1.1", "mel"], "copy"))
    assert pseudo == ["@mel", "@speed1.1"]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b.wav@griffinlim", ("a/b.wav", "griffinlim")),
        ("a/b.wav@speed0.9", ("a/b.wav", "speed0.9")),
        ("a/b.wav", ("a/b.wav", "")),
        ("a@home/b.wav", ("a@home/b.wav", "")),
        ("a/x@y.wav", ("a/x@y.wav", "")),
        ("a/x@y.wav@mel", ("a/x@y.wav", "mel")),
        ("a/b.wav@speed1", ("a/b.wav@speed1", "")),
    ],
)
def test_a_path_is_taken_apart_into_source_and_copy(path, parts):
    assert split_copy(path) == parts


@pytest.mark.parametrize(
    "name",
    [
        "gl",
        "speed",
        "speed1",
        "speed1.0",
        "speed0.90",
        "speed3",
        "speednan",
        "",
        3,
        None,
        [],
        "opus",
        "opus5",
        "mp316",
        "mp3_7",
    ],
)
def test_a_copy_that_there_is_not_is_refused(name):
    with pytest.raises(ConfigError, match="no copy"):
        check_copy(name)


@pytest.mark.parametrize("name", ["griffinlim", "mel", "speed0.9", "speed1.05", "speed2", "opus16", "mp3_8"])
def test_a_copy_that_there_is_is_accepted(name):
    check_copy(name)


def test_a_speed_copy_changes_duration_and_pitch():
    copy = copied(sine(1000), "speed0.9")
    assert len(copy) == pytest.approx(16_000 / 0.9, abs=1) and strongest(copy) == pytest.approx(900, abs=2)


@pytest.mark.parametrize("name", ["opus8", "mp3_16"])
def test_a_copy_through_a_codec_keeps_its_place_and_is_always_the_same(name):
    samples = voice()
    copy = copied(samples, name)
    assert len(copy) == len(samples) and abs(delay(samples, copy)) <= 8
    assert np.array_equal(copy, copied(samples, name)) and not np.allclose(copy, samples, atol=1e-3)


def test_a_copy_is_read_like_a_file(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(8_000), RATE)
    assert np.array_equal(load(path), load_audio(path))
    assert np.array_equal(load(f"{path}@mel"), copied(load_audio(path), "mel"))
    with pytest.raises(DataError, match="absent.wav"):
        load(f"{tmp_path}/absent.wav@mel")


def test_a_copy_that_becomes_too_short_is_refused_by_name(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(1_700), RATE)
    with pytest.raises(DataError, match=r"a.wav@speed2: 0.053 s long; at least 0.1 s"):
        load(f"{path}@speed2")
