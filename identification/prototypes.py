"""A few utterances that stand for many: those nearest to the centres that k-means on the sphere finds."""

import numpy as np

ROUNDS = 10


def prototypes(rows: np.ndarray, count: int) -> np.ndarray:
    """(count,) rising places of rows (N, D) of length one that stand for all of them; a function of the rows alone.

    The first centre is the row most like the mean, each further one the row least like those there are; then spherical
    k-means (Dhillon and Modha, "Concept decompositions", Machine Learning, 2001).
    """
    if count >= len(rows):
        return np.arange(len(rows))
    chosen = [int(np.argmax(rows @ rows.mean(axis=0)))]
    nearest = rows @ rows[chosen[0]]
    while len(chosen) < count:
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, rows @ rows[chosen[-1]])
    centres = rows[chosen]
    for _ in range(ROUNDS):
        owner = np.argmax(rows @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, rows)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 1e-6, sums / np.maximum(length, 1e-6), centres)
    places: list[int] = []
    for cosines in centres @ rows.T:
        cosines[places] = -np.inf  # two centres may have one nearest row
        places.append(int(np.argmax(cosines)))
    return np.sort(places)
