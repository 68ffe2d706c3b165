"""A cache whose samples change, vanish or never were: an error that names it, and never a signal or a wrong sample."""

import json
import os
import struct
import zlib

import numpy as np
import pytest

from corpus.audio import AudioFiles
from corpus.build_cache import build_cache
from corpus.cache import open_cache, read_cache
from corpus.lists import read_list
from settings.errors import DataError
from tests.conftest import make_corpus


@pytest.fixture
def built(tmp_path):
    """A list, its root, and the folder of its cache."""
    root = make_corpus(tmp_path / "data")
    table = read_list(root / "train.csv")
    build_cache(tmp_path / "cache", table, root, threads=1)
    return table, root, tmp_path / "cache"


def test_samples_that_have_changed_on_the_disk_are_named_when_they_are_first_used(built):
    table, root, folder = built
    path = folder / "train.cache"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    audio = open_cache(folder, table, root)
    rows = np.array([1, 0])
    audio.gather(rows[:1], np.zeros(1, np.int64), 4_000)
    with pytest.raises(DataError, match=f"the samples of {table.paths[0]} have changed on the disk"):
        audio.gather(rows, np.zeros(2, np.int64), 4_000)
    with pytest.raises(DataError, match="have changed on the disk"):
        audio.read(0)


def test_a_cache_cut_short_while_it_is_in_use_is_an_error_and_no_signal(built):
    table, root, folder = built
    audio = open_cache(folder, table, root)
    os.truncate(folder / "train.cache", 1_000)
    with pytest.raises(DataError, match="cut short while it was in use"):
        audio.read(len(table) - 1)


def test_a_cache_of_old_without_checksums_is_read(built):
    table, root, folder = built
    path = folder / "train.cache"
    cache = read_cache(path)
    total = sum(entry.length for entry in cache.entries.values())
    fields = [name for name in vars(next(iter(cache.entries.values()))) if name != "crc"]
    rows = [[getattr(entry, name) for entry in cache.entries.values()] for name in fields]
    text = json.dumps({"recipe": cache.recipe, "entries": rows}).encode()
    footer = struct.pack("<QI8s", len(text), zlib.crc32(text), b"TRACING\1")
    path.write_bytes(path.read_bytes()[: 2 * total] + text + footer)
    audio, files = open_cache(folder, table, root), AudioFiles(table.files(root))
    for row in range(len(table)):
        assert np.array_equal(audio.read(row), files.read(row))


def test_a_fifo_is_no_cache(tmp_path):
    os.mkfifo(tmp_path / "train.cache")
    with pytest.raises(DataError, match="not a regular file"):
        read_cache(tmp_path / "train.cache")
