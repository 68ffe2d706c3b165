"""Saved embeddings are read whole and checked, or refused with the reason."""

import numpy as np
import pytest

from analysis import embeddings as saved
from settings.errors import DataError
from tests.analyse_data import clusters


def test_what_is_written_is_read_back(tmp_path):
    made = clusters()
    saved.write(tmp_path / "e.npz", made)
    read = saved.read(tmp_path / "e.npz")
    assert np.array_equal(read.vectors, made.vectors)
    assert (read.systems, read.paths, read.languages) == (made.systems, made.paths, made.languages)


def test_language_comes_from_the_path_where_no_column_gives_it(tmp_path):
    made = clusters(2, 3)
    np.savez(tmp_path / "e.npz", embeddings=made.vectors, labels=made.systems, paths=made.paths)
    read = saved.read(tmp_path / "e.npz")
    assert read.languages == made.languages
    assert set(read.conditions) == {""}


@pytest.mark.parametrize("missing", ["labels", "paths"])
def test_a_file_without_labels_or_paths_is_refused(tmp_path, missing):
    arrays = {"embeddings": np.ones((2, 2)), "labels": np.array(["a", "b"]), "paths": np.array(["x", "y"])}
    np.savez(tmp_path / "e.npz", **{name: array for name, array in arrays.items() if name != missing})
    with pytest.raises(DataError, match=f"no array {missing} in it"):
        saved.read(tmp_path / "e.npz")


def test_an_all_zero_embedding_has_no_cosine():
    made = clusters(2, 3)
    made.vectors[4] = 0
    with pytest.raises(DataError, match="4.wav: its embedding is all zeros"):
        made.unit()
