"""Saved embeddings are written whole, read back as they were, or refused with the reason and before they do harm."""

import io
import os
import zipfile

import numpy as np
import pytest

from corpus import embedding_file
from corpus.embedding_file import SavedEmbeddings, read_embeddings, write_embeddings
from settings.errors import DataError


def saved(count=6, **more):
    columns = {
        "labels": np.array([f"s{i % 2}" for i in range(count)]),
        "paths": np.array([f"fake/{'en' if i % 3 else 'fi'}/s{i % 2}/ä {i}.wav" for i in range(count)]),
    }
    return SavedEmbeddings(np.arange(3.0 * count, dtype=np.float32).reshape(count, 3) + 1, **(columns | more))


def test_what_is_written_is_read_back(tmp_path):
    logits = np.ones((6, 4), np.float32)
    languages, conditions = np.array(["en"] * 6), np.array(["seen_system_seen_language", ""] * 3)
    made = saved(logits=logits, languages=languages, conditions=conditions, checkpoint="5f" * 32)
    write_embeddings(tmp_path / "e.npz", made)
    read = read_embeddings(tmp_path / "e.npz")
    for name, value in vars(made).items():
        assert np.array_equal(getattr(read, name), value), name
    assert read.embeddings.dtype == read.logits.dtype == np.float32 and len(read) == 6
    with zipfile.ZipFile(tmp_path / "e.npz") as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())


def test_what_is_not_known_is_none_and_a_language_comes_from_the_path(tmp_path):
    write_embeddings(tmp_path / "e.npz", saved(conditions=np.array([""] * 6)))
    read = read_embeddings(tmp_path / "e.npz")
    assert read.conditions is read.logits is read.checkpoint is None
    assert read.languages.tolist() == ["fi", "en", "en"] * 2
    np.savez(tmp_path / "bare.npz", embeddings=np.ones((2, 3)))
    bare = read_embeddings(tmp_path / "bare.npz")
    assert bare.embeddings.dtype == np.float32
    assert bare.labels is bare.paths is bare.languages is None


def test_older_spellings_bytes_numbers_and_compressed_files_are_read(tmp_path):
    conditions = np.array(["lang_seen___model_not_seen", "seen-unseen"] * 3)
    columns = {"labels": np.arange(6), "paths": np.array([b"\xc3\xa4.wav"] * 6), "conditions": conditions}
    np.savez_compressed(tmp_path / "e.npz", embeddings=np.ones((6, 2), np.float16), **columns)
    read = read_embeddings(tmp_path / "e.npz")
    assert read.conditions.tolist() == ["unseen_system_seen_language", "seen_system_unseen_language"] * 3
    assert (read.labels[5], read.paths[0]) == ("5", "ä.wav")


def test_repeats_are_dropped_and_rows_taken_with_all_that_is_known():
    made = saved(paths=np.array(["a", "b", "a", "c", "b", "d"]), logits=np.arange(6.0)[:, None])
    kept = made.without_repeats()
    assert kept.paths.tolist() == ["a", "b", "c", "d"] and kept.logits[:, 0].tolist() == [0, 1, 3, 5]
    assert made.take(np.array([5, 0])).labels.tolist() == ["s1", "s0"]
    with pytest.raises(DataError, match="no paths"):
        saved(paths=None).without_repeats()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embeddings": None}, r"has no array `embeddings`; it has labels, paths"),
        ({"labels": np.array(["a"])}, r"6, 3\) embeddings, but labels \(1,\)"),
        ({"logits": np.ones((5, 2))}, r"logits \(5, 2\)"),
        ({"labels": np.array([{}] * 6, dtype=object)}, "labels holds Python objects"),
        ({"embeddings": np.array([[{}]] * 6, dtype=object)}, "embeddings holds Python objects"),
        ({"embeddings": np.zeros(6, np.float32)}, "must be a table of numbers, not of shape"),
        ({"embeddings": np.zeros((6, 2), complex)}, "must be a table of numbers"),
        ({"embeddings": np.zeros((6, 0), np.float32)}, "that is none"),
        ({"embeddings": np.diag([1, 1, np.nan, 1, np.inf, 1])}, r"(?s)2 embeddings hold NaN.*\n  .*2.wav\n  .*4.wav"),
        ({"embeddings": np.full((6, 2), 1e300)}, "6 embeddings hold NaN, infinity or what float32 cannot"),
        ({"logits": np.full((6, 2), np.nan)}, "6 logits hold NaN"),
        ({"labels": np.ones(6)}, "labels must be one text for each utterance"),
        ({"labels": np.ones((6, 1), int)}, "labels must be one text for each utterance"),
        ({"labels": np.array(["a"] * 5 + [""])}, "utterance 5 has an empty text in `labels`"),
        ({"paths": np.array(["a"] * 5 + ["b\x1b[2J"])}, r"paths of utterance 5 holds a control character"),
        ({"paths": np.array([b"\xff"] * 6)}, "paths holds what is not text"),
        ({"labels": np.full(6, "a", "<U5000")}, "texts of 20000 bytes"),
        ({"checkpoint": np.array(["a", "b"])}, "checkpoint must be one text"),
    ],
)
def test_an_unusable_file_is_refused_with_the_reason(tmp_path, change, said):
    arrays = {name: value for name, value in vars(saved()).items() if value is not None} | change
    np.savez(tmp_path / "e.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=said) as caught:
        read_embeddings(tmp_path / "e.npz")
    assert str(caught.value).startswith(str(tmp_path / "e.npz")) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"e\.npz cannot be read as embeddings"):
        read_embeddings(tmp_path / "e.npz")


def test_a_file_cut_or_damaged_anywhere_is_refused_or_read(tmp_path):
    write_embeddings(tmp_path / "e.npz", saved())
    whole, generator = (tmp_path / "e.npz").read_bytes(), np.random.default_rng(0)
    for trial in range(300):
        content = bytearray(whole)
        if trial % 2:
            content = content[: generator.integers(len(whole))]
        else:
            content[generator.integers(len(whole))] ^= int(generator.integers(1, 256))
        (tmp_path / "e.npz").write_bytes(content)
        try:
            read_embeddings(tmp_path / "e.npz")
        except DataError:
            continue


@pytest.mark.parametrize("name", ["embeddings", "labels"])
def test_a_header_that_promises_more_than_its_file_holds_is_refused_unread(tmp_path, monkeypatch, name):
    """A few bytes that call for an array of 400 GB, and a text of 800 MB."""
    header = io.BytesIO()
    shape, kind = ((10**10, 10), "<f4") if name == "embeddings" else ((1,), "<U200000000")
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        archive.writestr(f"{name}.npy", header.getvalue() + b"0" * 64)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(DataError, match="which its file does not hold|has texts of 800000000 bytes"):
        read_embeddings(tmp_path / "e.npz")


def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused_unread(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "e.npz", embeddings=np.zeros((100_000, 50), np.float32))
    monkeypatch.setattr(embedding_file, "SMALL", 1 << 20)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(DataError, match="would be 20,000,000 bytes"):
        read_embeddings(tmp_path / "e.npz")


def test_a_pipe_or_a_folder_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            read_embeddings(path)
