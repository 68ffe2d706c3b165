"""Back-ends: what is learned from embeddings whose systems are known, to score others better than by plain cosine.

`cosine`   nothing is learned.
`wccn`     directions in which utterances of one system differ count less: x → x B with B Bᵀ the inverse of the
           within-system covariance. Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based
           speaker recognition" (Interspeech 2006).
`lda`      the directions in which systems differ most, as multiples of how utterances of one system do.
`plda`     two-covariance model: a system is a point from N(mean, between), an utterance is that point and N(0, within);
           a score is the natural log-likelihood ratio of one point against two. Brümmer and de Villiers, "The speaker
           partitioning problem" (Odyssey 2010).

All take embeddings brought to length one, and give every system the same weight, however many utterances it has. The
first three are linear maps, after which a score is a cosine; that of `plda` is a product and a number for each
utterance. So all pairs are scored as exactly, and as fast, as without.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import linalg

from engine import sealed_zip
from scoring.arrays import read_arrays
from scoring.choices import BACKENDS as NAMES
from scoring.embeddings import Utterances, unit_rows, utterances
from scoring.shrinkage import ledoit_wolf, spread
from settings.errors import ScoringError
from settings.text import suggestion

AT_ONCE = 8192  # rows mapped at once


@dataclass(frozen=True)
class Backend:
    """A back-end as arrays.

    Attributes
    ----------
    name : one of `NAMES`
    mean : (D,) float64, subtracted from embeddings of length one
    matrix : (D, K) float64, by which they are multiplied then
    between : (K,) float64, of `plda`: variance of systems in each direction, where utterances of one have 1; else None
    checkpoint : digest of the model whose embeddings it was learned from; '' where that is not known
    """

    name: str
    mean: np.ndarray
    matrix: np.ndarray
    between: np.ndarray | None = None
    checkpoint: str = ""


def learn(
    name: str, embeddings: np.ndarray, labels: np.ndarray, *, dimensions: int | None = None, checkpoint: str = ""
) -> Backend:
    """Learn a back-end.

    Parameters
    ----------
    name : one of `NAMES`
    embeddings : (N, D) of any real dtype
    labels : (N,) system of each
    dimensions : of `lda`; by default one less than there are systems, or D
    checkpoint : digest of the model that made the embeddings

    Raises
    ------
    ScoringError
        For an unknown name, one system only, or systems whose utterances are all alike.
    """
    if name not in NAMES:
        raise ScoringError(f"no back-end {name}{suggestion(name, NAMES)}: {', '.join(NAMES)}")
    rows = unit_rows(embeddings).astype(np.float64)
    origin, identity = np.zeros(rows.shape[1]), np.eye(rows.shape[1])
    if name == "cosine":
        return Backend(name, origin, identity, checkpoint=checkpoint)
    found = spread(rows, np.asarray(labels))
    if name == "wccn":
        root = linalg.cholesky(found.within)  # upper: rootᵀ root = within
        return Backend(name, origin, linalg.solve_triangular(root, identity), checkpoint=checkpoint)
    count = len(found.systems)
    apart = found.systems * np.sqrt(count / (count - 1))
    if name == "plda":
        ratios, directions = linalg.eigh(ledoit_wolf(apart), found.within)  # directionsᵀ within directions = 1
        between = np.maximum(ratios - (1 / found.counts).mean(), 0)  # a mean of n is itself off by within / n
        return Backend(name, found.mean, directions, between, checkpoint)
    most = min(count - 1, rows.shape[1])
    dimensions = most if dimensions is None else dimensions
    if not 1 <= dimensions <= most:
        raise ScoringError(f"lda of these systems has 1 to {most} dimensions, not {dimensions}")
    _, directions = linalg.eigh(apart.T @ apart / count, found.within)  # rising
    return Backend(name, found.mean, directions[:, ::-1][:, :dimensions], checkpoint=checkpoint)


def mapped(backend: Backend, embeddings: np.ndarray, names: np.ndarray | None = None) -> np.ndarray:
    """Embeddings (N, D) through the back-end's map: (N, K) float32, not of length one.

    Raises ScoringError for another number of dimensions, and as `unit_rows`.
    """
    rows = unit_rows(embeddings, names)
    if rows.shape[1] != len(backend.mean):
        raise ScoringError(f"the back-end is for {len(backend.mean)} dimensions; the embeddings have {rows.shape[1]}")
    if backend.name == "cosine":
        return rows
    out = np.empty((len(rows), backend.matrix.shape[1]), np.float32)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        out[part] = (rows[part] - backend.mean) @ backend.matrix
    return out


def as_products(backend: Backend, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows r (N, K) and shifts s (N,), float32: the `plda` score of i and j is r_i · r_j - s_i - s_j.

    With p the variance between systems in a direction where that within is 1, two points z and w have the ratio
    log(1 + p) - log(1 + 2 p) / 2 + z w p / (1 + 2 p) - (z² + w²) p² / (2 (1 + p) (1 + 2 p)), summed over directions.

    Parameters
    ----------
    points : (N, K) as `mapped` gives them
    """
    p = backend.between
    square = p**2 / (2 * (1 + p) * (1 + 2 * p))
    constant = np.log1p(p).sum() - np.log1p(2 * p).sum() / 2
    shifts = np.square(points, dtype=np.float64) @ square - constant / 2
    return (points * np.sqrt(p / (1 + 2 * p))).astype(np.float32), shifts.astype(np.float32)


def as_utterances(
    backend: Backend, embeddings: np.ndarray, labels: np.ndarray, names: np.ndarray | None = None
) -> Utterances:
    """A list ready for all its pairs to be scored by a back-end; see `scoring.embeddings.utterances`."""
    points = mapped(backend, embeddings, names)
    listed = utterances(points, labels, names)
    if backend.between is None:
        return listed
    rows, shifts = as_products(backend, points)
    half = np.full(len(rows), 0.5, np.float32)  # the score of i and j is multiplied by the sum of theirs
    return Utterances(rows[listed.order], listed.order, listed.systems, listed.starts, half, shifts[listed.order])


def score_rows(backend: Backend, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T,) float32 scores of pairs of points (T, K), as `mapped` gives them: cosines, or log-likelihood ratios."""
    if backend.between is None:
        return np.einsum("td,td->t", unit_rows(first), unit_rows(second))
    (a, shift_a), (b, shift_b) = as_products(backend, first), as_products(backend, second)
    return np.einsum("td,td->t", a, b) - shift_a - shift_b


def write_backend(backend: Backend, path: str | Path) -> None:
    """The back-end as an .npz of plain arrays."""
    sealed_zip.write_arrays(path, backend_arrays(backend))


def read_backend(path: str | Path) -> Backend:
    """Read what `write_backend` wrote. Raises ScoringError for anything else; nothing in it is executed."""
    return backend_from(read_arrays(path, "a back-end"), path)


def saved_backend(path: str | Path) -> Backend | None:
    """The back-end that `write_backend` wrote to a file; None where the file is something else, such as embeddings."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return None  # whoever reads it as embeddings says what is wrong with it
    return read_backend(path) if "backend_name.npy" in names and "embeddings.npy" not in names else None


def backend_arrays(backend: Backend) -> dict[str, np.ndarray]:
    """The arrays that a file keeps of a back-end."""
    between = {} if backend.between is None else {"backend_between": backend.between}
    return {
        "backend_name": np.array(backend.name),
        "backend_mean": backend.mean,
        "backend_matrix": backend.matrix,
        "backend_checkpoint": np.array(backend.checkpoint),
        **between,
    }


def backend_from(arrays: dict[str, np.ndarray], path: str | Path) -> Backend:
    """The back-end in a file's arrays. Raises ScoringError where they are none."""
    name, mean, matrix, between, checkpoint = (
        arrays.get(f"backend_{what}") for what in ("name", "mean", "matrix", "between", "checkpoint")
    )
    texts = [value is not None and value.dtype.kind == "U" and value.ndim == 0 for value in (name, checkpoint)]
    if not all(texts) or str(name) not in NAMES:
        raise ScoringError(f"{path}: no back-end in it (backend_name is one of {', '.join(NAMES)})")
    numbers = {"backend_mean": mean, "backend_matrix": matrix, "backend_between": between}
    if between is None and str(name) != "plda":
        del numbers["backend_between"]
    for what, array in numbers.items():
        if array is None or array.dtype != np.float64 or not np.isfinite(array).all():
            raise ScoringError(f"{path}: {what} must be finite float64 numbers")
    fits = matrix.ndim == 2 and mean.shape == matrix.shape[:1] and matrix.size > 0
    if not fits or (between is not None and (between.shape != matrix.shape[1:] or (between < 0).any())):
        raise ScoringError(f"{path}: the arrays of the back-end do not fit each other")
    if (between is not None) != (str(name) == "plda"):
        raise ScoringError(f"{path}: backend_between belongs to plda, and this is {name}")
    return Backend(str(name), mean, matrix, between, str(checkpoint))


def check_same_model(what: str, checkpoint: str, other: str, others: str) -> None:
    """Raises ScoringError where the digests of two models are both known and differ."""
    if checkpoint and other and checkpoint != other:
        raise ScoringError(
            f"{what} is of another model (digest {checkpoint[:12]}) than {others} ({other[:12]}):"
            " embeddings of two models cannot be compared"
        )
