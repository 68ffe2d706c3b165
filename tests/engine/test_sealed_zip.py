"""Arrays in zip files: the digest of the whole catches what the records' own checksums cannot."""

import zipfile

import numpy as np
import pytest

from corpus.embedding_file import read_embeddings
from engine.sealed_zip import check_if_sealed, write_arrays
from scoring.arrays import read_arrays
from settings.errors import UserError


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"embeddings": np.eye(3, dtype=np.float32), "labels": np.array(["a", "b", "c"])})
    return path


def test_arrays_with_a_digest_are_an_npz_as_any(sealed):
    check_if_sealed(sealed)
    assert np.load(sealed)["labels"].tolist() == ["a", "b", "c"]
    assert read_embeddings(sealed).labels.tolist() == ["a", "b", "c"] and len(read_arrays(sealed, "x")) == 2


def test_no_flipped_bit_goes_unnoticed(sealed):
    content = sealed.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        sealed.write_bytes(flipped)
        for read in (read_embeddings, lambda path: read_arrays(path, "x")):
            with pytest.raises(UserError, match=r"a\.npz"):
                read(sealed)


def test_records_rewritten_under_the_old_digest_are_refused(sealed):
    with zipfile.ZipFile(sealed) as archive:
        content, comment = {name: archive.read(name) for name in archive.namelist()}, archive.comment
    with zipfile.ZipFile(sealed, "w") as archive:
        archive.writestr("embeddings.npy", content["embeddings.npy"])  # without labels, and each record sound
        archive.comment = comment
    with pytest.raises(UserError, match="digest is wrong"):
        read_embeddings(sealed)


def test_arrays_of_others_need_no_digest(tmp_path):
    np.savez(tmp_path / "b.npz", embeddings=np.eye(2))
    assert len(read_embeddings(tmp_path / "b.npz")) == 2
