"""Training that goes wrong says so: plain warnings with the likely cause."""

from collections.abc import Iterator

import numpy as np

PATIENCE = 10  # epochs in which a loss that learns has fallen
SMALL = 1e-3  # a loss that begins there has nowhere to fall to: a run that starts from trained weights


def of_epoch(history: list[dict], warmup: float) -> Iterator[str]:
    """What the rows of finished epochs give reason to say; each is said once, in the epoch in which it becomes true."""
    losses = [row["loss"] for row in history]
    begun = int(warmup) + 1
    least = losses[0] - 0.01 * abs(losses[0])
    if len(losses) == begun + PATIENCE and losses[0] > SMALL and min(losses[begun:]) > least:
        yield (
            f"the loss has not fallen in {len(losses)} epochs ({losses[0]:.3f} to {losses[-1]:.3f}): "
            "is --lr too high or too low, or do the labels not belong to the audio?"
        )


def of_sampling(systems_sampled: np.ndarray, classes: list[str]) -> Iterator[str]:
    """Systems that the epoch's batches left out. `systems_sampled` are the labels of the epoch's plan."""
    sampled = set(np.unique(systems_sampled).tolist())
    never = [name for c, name in enumerate(classes) if c not in sampled]
    if never:
        yield f"{len(never)} systems were in no batch of this epoch ({', '.join(never[:10])}): see --sampler balanced"


def of_embeddings(embeddings: np.ndarray, eer: float, epoch: int, warmup: float) -> Iterator[str]:
    """Embeddings (N, D) that all point the same way, and an EER that is no better than chance after `epoch` epochs.

    Until the learning rate has been up for PATIENCE epochs, an EER near chance is nothing to worry about.
    """
    unit = embeddings[:1000].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    n = len(unit)
    mean_cosine = (np.square(unit.sum(axis=0)).sum() - n) / max(1, n * (n - 1))
    if mean_cosine > 0.999:
        yield f"the embeddings have collapsed (mean cosine {mean_cosine:.5f}): is --lr too high?"
    elif eer > 0.45 and epoch >= int(warmup) + PATIENCE:
        yield f"a dev EER of {eer:.1%} is near chance: is training too short, --lr off, or are dev labels wrong?"
