"""Training that goes wrong says so: plain warnings with the likely cause."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engine import checkpoints
from engine.progress import NotFinite, Progress
from settings.text import bulleted, enumerated

log = logging.getLogger(__name__)

PATIENCE = 10  # epochs in which a loss that learns has fallen
COLLAPSED = 0.99  # mean cosine between embeddings
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


def of_sampling(systems_drawn: np.ndarray, classes: list[str], row: dict) -> Iterator[str]:
    """Systems, or most of the utterances, that an epoch's batches left out; its row has their counts.

    `systems_drawn` are the labels (batches, B) of the epoch's plan.
    """
    drawn = set(np.unique(systems_drawn).tolist())
    never = [name for c, name in enumerate(classes) if c not in drawn]
    if never:
        yield f"{len(never)} systems were in no batch of this epoch ({enumerated(never, 10)}): see --sampler balanced"
    used, available = row["utterances_used"], row["utterances_available"]
    if used < 2 / 3 * available and systems_drawn.size < available:
        yield f"an epoch uses {used} of {available} utterances: a batch does not fit once more; see --batch_size"


def of_evaluation(row: dict, warmup: float) -> Iterator[str]:
    """Embeddings that all point the same way, and an EER that is no better than chance.

    Until the learning rate has been up for PATIENCE epochs, an EER near chance is nothing to worry about.
    """
    if row["dev_mean_cosine"] > COLLAPSED:
        yield f"the embeddings have collapsed (mean cosine {row['dev_mean_cosine']:.5f}): is --lr too high?"
    elif row["dev_eer"] > 0.45 and row["epoch"] >= int(warmup) + PATIENCE:
        eer = row["dev_eer"]
        yield f"a dev EER of {eer:.1%} is near chance: is training too short, --lr off, or are dev labels wrong?"


def mean_cosine(embeddings: np.ndarray) -> float:
    """The mean cosine between any two of the first 1,000 embeddings (N, D)."""
    unit = embeddings[:1000].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    n = len(unit)
    return float((np.square(unit.sum(axis=0)).sum() - n) / max(1, n * (n - 1)))


def warn(history: list[dict], loader, classes: list[str], warmup: float) -> None:
    """Log what the newest of the finished epochs' rows gives reason to warn of."""
    row, warnings = history[-1], []
    if len(history) == 1:
        warnings += of_sampling(loader.systems_drawn(0), classes, row)
    if "dev_eer" in row:
        warnings += of_evaluation(row, warmup)
    for text in [*warnings, *of_epoch(history, warmup)]:
        log.warning("warning: %s", text)


def explain(error: NotFinite, progress: Progress, batches: int, path: Path, place: Callable[[int], str]) -> str:
    """What to say of a batch that gave no finite loss or gradient; it is saved to `path` for a look.

    `place` names an utterance by its row in the train list.
    """
    batch, rows = error.batch, error.batch.rows.tolist()
    checkpoints.write(path, {"waveforms": batch.waveforms, "labels": batch.labels, "rows": rows})
    where = f"epoch {progress.epoch + 1}, batch {progress.batch + 1} of {batches}"
    advice = "lower --lr or set --grad_clip; --skip_not_finite n skips such batches"
    found = f"{where}: {error}; {advice}. The batch is in {path}, its utterances are"
    return bulleted(found, [place(row) for row in rows])
