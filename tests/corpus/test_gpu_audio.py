"""Crops cut in a device's memory are those that are cut from files or from a cache (here on the CPU, as a device)."""

import numpy as np
import pytest
import torch

from corpus.audio import AudioFiles
from corpus.build_cache import build_cache
from corpus.cache import open_cache
from corpus.gpu_audio import GpuAudio, fits
from corpus.lists import read_list
from tests.conftest import command
from tests.test_training import metrics, same, weights
from trainSpeakerNet import main


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("length", [3_000, 20_000])
def test_crops_equal_to_the_last_bit_also_where_audio_is_repeated(corpus, tmp_path, cached, length):
    table = read_list(corpus / "train.csv")
    audio = AudioFiles(table.files(corpus))
    if cached:
        build_cache(tmp_path, table, corpus, threads=1)
        audio = open_cache(tmp_path, table, corpus)
    lengths, _ = audio.lengths(1)
    on_device = GpuAudio(audio, lengths, torch.device("cpu"))
    random = np.random.default_rng(0)
    rows = random.integers(0, len(table), 64)
    starts = (random.random(64) * (np.maximum(lengths[rows] - length, 0) + 1)).astype(np.int64)
    crops = on_device.gather(*on_device.upload(np.stack([rows, starts])), length)
    assert np.array_equal(crops.numpy(), audio.gather(rows, starts, length))


def test_training_from_the_device_learns_the_same(options, tmp_path):
    for name, place in (("a", "no"), ("b", "yes")):
        assert main(command(options | {"save_path": tmp_path / name}, "--data_on_device", place)) == 0
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b")) and metrics(tmp_path / "a") == metrics(tmp_path / "b")


def test_nothing_moves_where_the_device_is_the_cpu():
    assert not fits(np.array([1]), True, torch.device("cpu"))
