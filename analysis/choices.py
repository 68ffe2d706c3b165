"""What the commands of analyse.py may be asked for, where their options and their work both find it."""

from dataclasses import dataclass

NAMES = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}  # methods of projection
METHODS = tuple(NAMES)
LEAST = 5  # utterances of a system: fewer leave nothing to test on after an 80/20 split


@dataclass(frozen=True)
class ProbeSettings:
    """`per_system`: utterances kept of each system, or 'smallest' or 'common', a count that the data gives."""

    per_system: int | str = "smallest"
    test_share: float = 0.2
    epochs: int = 50
    lr: float = 0.1
    batch_size: int = 128  # assumed
    seed: int = 10
    repeats: int = 1
