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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "no array labels"),
        ({"labels": np.array(["a"])}, r"6 embeddings, but labels \(1,\)"),
        ({"labels": np.array([{}] * 6, dtype=object)}, "Python objects"),
        ({"embeddings": np.full((6, 2), np.nan, np.float32)}, "6 embeddings hold NaN"),
        ({"embeddings": np.zeros(6, np.float32)}, "must be"),
    ],
)
def test_an_unusable_file_is_refused_with_the_reason(tmp_path, change, said):
    made = clusters(2, 3)
    arrays = {"embeddings": made.vectors, "labels": np.array(made.systems), "paths": np.array(made.paths)} | change
    np.savez(tmp_path / "e.npz", **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(DataError, match=said):
        saved.read(tmp_path / "e.npz")


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 broken"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"e\.npz: not an \.npz file"):
        saved.read(tmp_path / "e.npz")


def test_an_all_zero_embedding_has_no_cosine():
    made = clusters(2, 3)
    made.vectors[4] = 0
    with pytest.raises(DataError, match="4.wav: its embedding is all zeros"):
        made.unit()
