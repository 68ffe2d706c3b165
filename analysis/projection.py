"""Embeddings to points on a plane: PCA, t-SNE or UMAP."""

import importlib.util
import warnings

import numpy as np

from analysis.embeddings import Embeddings
from settings.errors import DataError

LEAST = 5  # utterances: below that neither t-SNE nor UMAP is defined


def project(
    embeddings: Embeddings, method: str, seed: int = 10, neighbours: int = 15, min_dist: float = 0.1
) -> np.ndarray:
    """(N, 2) float32 places, by cosine: every method sees the vectors scaled to length 1.

    Parameters
    ----------
    method : one of METHODS, as `available` gives it
    neighbours, min_dist : UMAP's `n_neighbors` and `min_dist`

    Raises
    ------
    DataError
        Fewer than LEAST utterances.
    """
    if len(embeddings) < LEAST:
        raise DataError(f"{len(embeddings)} utterances are too few to draw: at least {LEAST}")
    unit = embeddings.unit()
    if method == "pca":
        return pca(unit)
    if method == "tsne":
        return tsne(unit, seed)
    return umap(unit, seed, neighbours, min_dist)


def available(method: str) -> tuple[str, list[str]]:
    """The method, or PCA where UMAP is not installed; and then a sentence that says so."""
    try:
        if method != "umap" or importlib.util.find_spec("umap"):
            return method, []
    except ValueError:  # a module without a spec stands in its place
        pass
    return "pca", ["note: PCA instead of UMAP, which needs umap-learn: pip install -r requirements-analysis.txt"]


def pca(x: np.ndarray) -> np.ndarray:
    """(N, 2) float32 first two principal components of (N, D); each points where its largest value is positive."""
    from sklearn.decomposition import PCA

    places = PCA(min(2, x.shape[1]), svd_solver="full").fit_transform(x)
    if places.shape[1] < 2:
        places = np.hstack([places, np.zeros_like(places)])
    largest = places[np.abs(places).argmax(axis=0), np.arange(2)]
    return (places * np.where(largest < 0, -1, 1)).astype(np.float32)


def tsne(x: np.ndarray, seed: int) -> np.ndarray:
    """(N, 2) float32 t-SNE (scikit-learn, from PCA). On unit vectors Euclidean distance orders as the cosine does."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(x) - 1) / 3)
    init = "pca" if x.shape[1] > 1 else "random"
    return TSNE(perplexity=perplexity, init=init, random_state=seed).fit_transform(x).astype(np.float32)


def umap(x: np.ndarray, seed: int, neighbours: int, min_dist: float) -> np.ndarray:
    """(N, 2) float32 UMAP by cosine. Seeded, so on one thread."""
    from umap import UMAP  # optional, and slow to import

    reducer = UMAP(
        n_neighbors=min(neighbours, len(x) - 1),
        min_dist=min_dist,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
        init="spectral" if len(x) > 50 else "random",  # too few points have no spectrum to start from
        tqdm_kwds={"desc": "UMAP", "leave": False, "disable": None},
    )
    with warnings.catch_warnings():
        # Islands of points that no neighbour connects are what a picture of systems is about, not an accident.
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        return reducer.fit_transform(x).astype(np.float32)
