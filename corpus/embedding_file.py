"""Saved embeddings: an .npz file to a checked table and back, for every command that writes or reads one.

Nothing in a file is executed (no pickled objects), and nothing is unpacked before its size is known to be sensible.
"""

import math
import stat
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from corpus.conditions import parse_condition
from corpus.lists import first_of_each, language_of
from engine import sealed_zip
from settings.errors import DataError
from settings.text import CONTROL, LONGEST, bulleted, enumerated, shown

COLUMNS = ("labels", "paths", "languages", "conditions")
TABLES = ("embeddings", "logits")
SMALL, RATIO = 1 << 30, 16  # an array unpacks to at most so many bytes, or so many times the file's own


@dataclass(frozen=True)
class SavedEmbeddings:
    """N utterances' embeddings, and what is known of each. What is not known of any utterance is None.

    Attributes
    ----------
    embeddings : (N, D) float32, finite
    labels : (N,) text, the system of each utterance
    paths : (N,) text
    languages, conditions : (N,) text, '' where one utterance's is not known
    logits : (N, C) float32, the margin-free outputs of the checkpoint's classifier
    checkpoint : digest of the weights that made the embeddings
    """

    embeddings: np.ndarray
    labels: np.ndarray | None = None
    paths: np.ndarray | None = None
    languages: np.ndarray | None = None
    conditions: np.ndarray | None = None
    logits: np.ndarray | None = None
    checkpoint: str | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    def take(self, rows: np.ndarray) -> "SavedEmbeddings":
        """The utterances of `rows` (M,) int, or of a (N,) mask, in that order."""
        kept = {name: getattr(self, name) for name in (*TABLES, *COLUMNS)}
        return replace(self, **{name: None if array is None else array[rows] for name, array in kept.items()})

    def without_repeats(self) -> "SavedEmbeddings":
        """Without the utterances whose path occurred before. Raises DataError where the paths are not known."""
        if self.paths is None:
            raise DataError("repeated paths cannot be dropped: the file has no paths")
        return self.take(first_of_each(self.paths))


def read_embeddings(path: str | Path) -> SavedEmbeddings:
    """The embeddings of an .npz file, by whatever encoder.

    It holds `embeddings` (N, D) and, of each utterance, `labels`, `paths`, `languages`, `conditions` (N,) and `logits`
    (N, C), where known, and `checkpoint`, a text. A language that is not given is read off a path in MLAAD's layout.

    Raises
    ------
    DataError
        The file is missing or no .npz, has no embeddings, or its arrays are of the wrong kind, do not agree, are larger
        than the file can honestly hold, or contain NaN, infinity or control characters.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise DataError(f"{path}: not a regular file")
        sealed_zip.check_if_sealed(path)
        with zipfile.ZipFile(path) as archive:
            arrays = _arrays(archive, max(SMALL, RATIO * Path(path).stat().st_size))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise DataError(f"{path} cannot be read as embeddings (.npz): it is not a whole .npz file") from None
    except DataError:
        raise
    except Exception as error:  # numpy lets through whatever zipfile, zlib and its own parser raise
        raise DataError(f"{path} cannot be read as embeddings (.npz): {shown(str(error), 300)}") from None
    if "embeddings" not in arrays:
        raise DataError(f"{path} has no array `embeddings`; it has {enumerated(sorted(arrays)) or 'nothing to read'}")
    return _checked(arrays, str(path))


def write_embeddings(path: str | Path, saved: SavedEmbeddings) -> None:
    """An .npz file that `read_embeddings` reads. Raises ConfigError as `atomic_write`."""
    known = {name: getattr(saved, name) for name in (*TABLES, *COLUMNS)}
    arrays = {name: np.asarray(values) for name, values in known.items() if values is not None}
    assert {len(array) for array in arrays.values()} == {len(saved)}, "columns of another length than the embeddings"
    if saved.checkpoint is not None:
        arrays["checkpoint"] = np.array(saved.checkpoint)
    sealed_zip.write_arrays(path, arrays)


def _arrays(archive: zipfile.ZipFile, most: int) -> dict[str, np.ndarray]:
    """The arrays that are known by name. Raises ValueError, before it reads one, where an array cannot be honest."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    arrays = {}
    for name in (*TABLES, *COLUMNS, "checkpoint"):
        if name not in members:
            continue
        with archive.open(members[name]) as file:
            _check_header(file, name, members[name].file_size, most)
        with archive.open(members[name]) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _check_header(file: zipfile.ZipExtFile, name: str, size: int, most: int) -> None:
    """Raise ValueError unless an array of `size` bytes has the kind and the size that its name and header call for."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{name} is an array of an unknown version {version}")
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not read")
    kinds, dimensions = ("fiu", 2) if name in TABLES else ("US", 0) if name == "checkpoint" else ("USiub", 1)
    if dtype.kind not in kinds or len(shape) != dimensions:
        wanted = {2: "a table of numbers", 1: "one text for each utterance", 0: "one text"}[dimensions]
        raise ValueError(f"{name} must be {wanted}, not of shape {shape} and type {dtype}")
    if dtype.itemsize > 4 * LONGEST:
        raise ValueError(f"{name} has texts of {dtype.itemsize} bytes")
    count = math.prod(shape) * dtype.itemsize
    if size - file.tell() != count or count > most:
        raise ValueError(f"{name} would be {count:,} bytes, which its file does not hold")


def _checked(arrays: dict[str, np.ndarray], source: str) -> SavedEmbeddings:
    """The table of a file's arrays."""
    count = len(arrays["embeddings"])
    wrong = [f"{name} {array.shape}" for name, array in arrays.items() if array.ndim and len(array) != count]
    if wrong or not arrays["embeddings"].size:
        raise DataError(f"{source}: {arrays['embeddings'].shape} embeddings, but {', '.join(wrong) or 'that is none'}")
    texts = {name: _texts(arrays[name], name, source) for name in (*COLUMNS, "checkpoint") if name in arrays}
    columns = {name: texts[name] for name in COLUMNS if name in texts and any(texts[name])}
    paths = columns.get("paths")
    for name in ("labels", "paths"):
        if name in columns and not all(columns[name]):
            raise DataError(f"{source}: utterance {columns[name].index('')} has an empty text in `{name}`")
    if "languages" not in columns and paths is not None and any(found := [language_of(path) for path in paths]):
        columns["languages"] = found
    if "conditions" in columns:
        columns["conditions"] = [parse_condition(condition) for condition in columns["conditions"]]
    tables = {name: _finite(arrays[name], name, source, paths) for name in TABLES if name in arrays}
    checkpoint = texts["checkpoint"][0] if "checkpoint" in texts else None
    return SavedEmbeddings(
        **tables, **{name: np.array(column) for name, column in columns.items()}, checkpoint=checkpoint or None
    )


def _texts(array: np.ndarray, name: str, source: str) -> list[str]:
    """The values of an array as texts. Raises DataError for one that is not UTF-8, or holds a control character."""
    try:
        values = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
        texts = [str(value) for value in values.reshape(-1)]
    except ValueError:  # bytes or numbers that are no characters
        raise DataError(f"{source}: {name} holds what is not text") from None
    if CONTROL.search("".join(texts)):
        row = next(row for row, text in enumerate(texts) if CONTROL.search(text))
        raise DataError(f"{source}: {name} of utterance {row} holds a control character: {shown(texts[row])}")
    return texts


def _finite(array: np.ndarray, name: str, source: str, paths: list[str] | None) -> np.ndarray:
    """A table as float32. Raises DataError that names the utterances whose row holds NaN, infinity, or overflows."""
    with np.errstate(over="ignore"):
        table = array.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        culprits = [f"utterance {row}" if paths is None else paths[row] for row in bad]
        raise DataError(bulleted(f"{source}: {len(bad)} {name} hold NaN, infinity or what float32 cannot", culprits))
    return table
