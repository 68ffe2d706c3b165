"""A recipe at work: how often each change comes, from what it is drawn, and which folders it needs."""

import numpy as np
import pytest

from corpus.augmentation.chain import Augmentation
from corpus.augmentation.recipe import find_recipe, read_recipe
from settings.errors import ConfigError
from tests.corpus.augmentation.signals import musan, rirs, voice

LENGTH = 4_000


def augmentation(tmp_path, text: str, **folders) -> Augmentation:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return Augmentation(read_recipe(path), **folders)


def gains(made: Augmentation, crops: int = 4_000) -> np.ndarray:
    """By how much each of many crops became louder."""
    ones = np.ones((crops, 16), np.float32)
    after = made.batch(ones, 16, np.arange(crops), np.zeros(crops, int), seed=1, epoch=0)
    return after[:, 0]


def test_each_change_comes_as_often_as_it_should_and_of_alternatives_at_most_one(tmp_path):
    made = augmentation(
        tmp_path,
        "chain:\n- one_of:\n  - {kind: gain, probability: 0.2, decibels: 20}\n"
        "  - {kind: gain, probability: 0.5, decibels: -20}\n- {kind: gain, probability: 0.3, decibels: 6.0206}\n",
    )
    found = gains(made)
    share = {value: np.isclose(found, value, rtol=1e-3).mean() for value in (10, 20, 0.1, 0.2, 1, 2)}
    assert sum(share.values()) == pytest.approx(1)
    for value, expected in {10: 0.14, 20: 0.06, 0.1: 0.35, 0.2: 0.15, 1: 0.21, 2: 0.09}.items():
        assert share[value] == pytest.approx(expected, abs=0.03)


def test_a_crop_depends_on_seed_epoch_utterance_and_use_and_on_nothing_else(tmp_path):
    made = augmentation(tmp_path, "chain:\n- {kind: coloured_noise, probability: 1}\n")
    crops = np.stack([voice(LENGTH)] * 4)

    def batch(rows, uses=(0, 0, 0, 0), seed=1, epoch=0):
        count = len(rows)
        return made.batch(crops[:count], LENGTH, np.array(rows), np.array(uses[:count]), seed, epoch)

    first = batch([3, 4, 5, 6])
    assert np.array_equal(first[[2, 0]], batch([5, 3]))
    assert len({crop.tobytes() for crop in first}) == 4
    for other in (batch([3], [1]), batch([3], seed=2), batch([3], epoch=1)):
        assert not np.array_equal(other[0], first[0])


def test_the_crops_given_are_left_as_they_are(tmp_path):
    made = augmentation(tmp_path, "chain:\n- {kind: gain, probability: 1}\n- {kind: room, probability: 1}\n")
    crops = np.stack([voice(LENGTH)] * 2)
    before = crops.copy()
    made.batch(crops, LENGTH, np.arange(2), np.zeros(2, int), 1, 0)
    assert np.array_equal(crops, before)


def test_faster_speech_reads_a_longer_crop_and_is_never_repeated(tmp_path):
    made = augmentation(
        tmp_path, "chain:\n- {kind: speed, probability: 0.5, factors: [0.9, 1.1]}\n- {kind: gain, probability: 1}\n"
    )
    read = made.reads(LENGTH)
    assert read == 4_401
    ramp = np.linspace(0.1, 1, read, dtype=np.float32)[None].repeat(20, 0)
    after = made.batch(ramp, LENGTH, np.arange(20), np.zeros(20, int), 1, 0)
    assert after.shape == (20, LENGTH)
    middle = after[:, 100:-100]
    assert (np.diff(middle[:, ::50], axis=1) > 0).all(), "the crop begins again somewhere"


def test_without_speed_a_crop_reads_no_more_than_its_length(tmp_path):
    assert augmentation(tmp_path, "chain:\n- {kind: gain, probability: 1}\n").reads(LENGTH) == LENGTH


def test_voxceleb_trainers_recipe_takes_its_folders_from_the_two_options(tmp_path):
    made = Augmentation(find_recipe("true"), musan(tmp_path / "musan"), rirs(tmp_path / "rirs"))
    crops = np.stack([voice(LENGTH)] * 60)
    after = made.batch(crops, LENGTH, np.arange(60), np.zeros(60, int), 1, 0)
    unchanged = (after == crops).all(axis=1).mean()
    assert 0.08 < unchanged < 0.35
    assert [len(names) for names in made.described()["files"]] == [3, 8, 8, 8]


def test_folders_that_are_missing_are_all_named_with_the_option_that_gives_them(tmp_path):
    with pytest.raises(ConfigError) as caught:
        Augmentation(find_recipe("true"), musan_path=str(tmp_path / "absent"))
    text = str(caught.value)
    assert "reverb: needs --rir_path" in text and "music: no folder" in text and "absent/speech" in text
    assert "classic.yaml line" in text


def test_a_change_may_name_a_folder_of_its_own(tmp_path):
    root = musan(tmp_path / "musan")
    made = augmentation(tmp_path, f"chain:\n- {{kind: noise, probability: 1, path: {root}/music, snr: 10}}\n")
    assert list(made.folders) == [f"{root}/music"]


def test_what_is_recorded_names_parameters_and_files_and_no_place_on_this_machine(tmp_path):
    import json

    text = "chain:\n- {kind: noise, probability: 1, snr: 10}\n"
    made = augmentation(tmp_path, text, musan_path=musan(tmp_path / "one"))
    same = augmentation(tmp_path, text, musan_path=musan(tmp_path / "two"))
    assert made.described() == same.described()
    assert str(tmp_path) not in json.dumps(made.described())
    other = augmentation(tmp_path, text, musan_path=musan(tmp_path / "three", files=3))
    assert other.described() != made.described()
