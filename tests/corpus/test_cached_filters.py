"""Filters belong to the cache: what it was built with is what the trainer hears, records, and compares."""

from dataclasses import replace

import numpy as np
import pytest

from corpus.build_cache import build_cache
from corpus.cache import CachedAudio, filters_of, open_cache, read_cache
from corpus.filters import AudioFilters
from DatasetLoader import Dataset, check_filters
from settings.errors import DataError
from tests.corpus.test_cache import corpus

LOW = AudioFilters(lowpass=4000)


def test_a_cache_gives_the_audio_filtered_as_it_was_built(tmp_path):
    table, root, out = corpus(tmp_path), tmp_path, tmp_path / "cache"
    build_cache(out, table, root, 2)
    filters = AudioFilters(lowpass=4000, trim_silence=True)
    plain = open_cache(out, table, root)
    build_cache(out, table, root, 2, filters)
    cached = open_cache(out, table, root)
    assert (plain.filters, cached.filters) == (AudioFilters(), filters)
    assert np.abs(cached.read(0) - filters.apply(plain.read(0))).max() < 1e-4
    (root / table.paths[2]).unlink()
    with pytest.raises(DataError, match="--lowpass 4000 --trim_silence"):  # the command that mends it
        open_cache(out, table, root)


@pytest.mark.parametrize("other", [{"sample_rate": 8_000}, {"reverb": 1}, {"lowpass": "high"}, {"lowpass": 9e9}])
def test_a_cache_of_filters_that_nobody_knows_is_refused(tmp_path, other):
    build_cache(tmp_path, corpus(tmp_path), tmp_path, 2)
    cache = read_cache(tmp_path / "train.cache")
    with pytest.raises(DataError, match="build it again"):
        filters_of(replace(cache, recipe=cache.recipe | other))


def test_lists_of_one_run_have_passed_the_same_filters(tmp_path):
    table = corpus(tmp_path)
    data = [Dataset(table, CachedAudio(np.empty(0), [], f), np.zeros(1, np.int64), []) for f in (LOW, LOW, None)]
    check_filters(data[:2])
    with pytest.raises(DataError, match=r"--lowpass 4000\n.*: no filters"):
        check_filters(data)
    assert data[0].digest() == data[1].digest() != data[2].digest()
    assert data[0].info()["filters"] == LOW.settings()
