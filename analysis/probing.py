"""Linear probing: how well one linear layer separates the systems, given nothing but their embeddings.

As Koutsianos et al. do it ("Synthetic Speech Source Tracing using Metric Learning", section 4.5): over-represented
systems are undersampled to the size of the others, 80 % of each system trains a linear layer by plain SGD at 0.1 for
50 epochs with cross-entropy, the other 20 % make the confusion matrix. The batch size is not given there: 128, its
ResNet's, is assumed.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from analysis.choices import LEAST, ProbeSettings
from analysis.embeddings import Embeddings
from settings.errors import DataError
from settings.text import bulleted, for_terminal


@dataclass
class ProbeResult:
    """What a probe found; one accuracy and macro F1 (fractions) for each repeat.

    Attributes
    ----------
    systems : C names, the order of the matrix
    kept : utterances of a system that were kept at most
    converged : False where the training loss was still falling at the end of a repeat
    confusion : (C, C) int64 test utterances of all repeats, true systems as rows, predicted as columns
    """

    systems: list[str]
    kept: int
    converged: bool = True
    accuracy: list[float] = field(default_factory=list)
    macro_f1: list[float] = field(default_factory=list)
    confusion: np.ndarray = None


def probe(embeddings: Embeddings, settings: ProbeSettings, progress=iter) -> ProbeResult:
    """Train and test a linear layer on `settings.repeats` random splits.

    Parameters
    ----------
    embeddings : Embeddings
        Used as they are: neither scaled nor centred.
    progress : callable
        Wraps the repeats (tqdm, say).

    Raises
    ------
    DataError
        Fewer than two systems, or systems with fewer than `LEAST` utterances.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    kept = size_to_keep(embeddings.counts(), settings.per_system)
    labels, systems = embeddings.labels(), embeddings.classes()
    result = ProbeResult(systems, kept, confusion=np.zeros((len(systems), len(systems)), np.int64))
    for seed in progress(range(settings.seed, settings.seed + settings.repeats)):
        rows = undersample(labels, kept, seed)
        train, test = split(rows, labels, settings.test_share, seed)
        predicted, losses = predict(embeddings.vectors, labels, train, test, len(systems), settings, seed)
        result.converged &= has_converged(losses, len(systems))
        truth = labels[test]
        result.accuracy.append(float((predicted == truth).mean()))
        result.macro_f1.append(float(f1_score(truth, predicted, average="macro", zero_division=0)))
        result.confusion += confusion_matrix(truth, predicted, labels=np.arange(len(systems)))
    return result


def size_to_keep(counts: Counter, wanted: int | str) -> int:
    """Utterances to keep of each system: the smallest system's, the most common count, or the number given."""
    if len(counts) < 2:
        raise DataError(f"a probe separates systems, and there is {len(counts)}: {', '.join(counts)}")
    few = [f"{system}: {n}" for system, n in sorted(counts.items()) if n < LEAST]
    if few:
        raise DataError(
            bulleted(f"systems with fewer than {LEAST} utterances, too few to split (--leave_out them)", few)
        )
    if wanted == "smallest":
        return min(counts.values())
    if wanted == "common":
        times = Counter(counts.values())
        return min(n for n in times if times[n] == max(times.values()))
    if wanted < LEAST:
        raise DataError(f"{wanted} utterances of a system are too few to split: at least {LEAST}")
    return int(wanted)


def undersample(labels: np.ndarray, kept: int, seed: int) -> np.ndarray:
    """Rows (M,) int64, rising: at most `kept` of each label, drawn without replacement."""
    random = np.random.default_rng(seed)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.sort(np.concatenate([random.permutation(m)[:kept] for m in members]))


def split(rows: np.ndarray, labels: np.ndarray, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to test on, each system divided in the same proportion."""
    from sklearn.model_selection import train_test_split

    try:
        return tuple(train_test_split(rows, test_size=test_share, stratify=labels[rows], random_state=seed))
    except ValueError as error:
        raise DataError(
            f"{len(rows)} utterances cannot be split {1 - test_share:.0%}/{test_share:.0%}: {error}"
        ) from None


def predict(
    vectors: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    classes: int,
    settings: ProbeSettings,
    seed: int,
) -> tuple[np.ndarray, list[float]]:
    """(M,) int64 labels by a linear layer, trained on the rows `train`, of the M rows `test`; and each epoch's loss."""
    random = np.random.default_rng(seed)
    bound = vectors.shape[1] ** -0.5  # the initial range of torch.nn.Linear
    weight = random.uniform(-bound, bound, (classes, vectors.shape[1])).astype(np.float32)
    bias = random.uniform(-bound, bound, classes).astype(np.float32)
    losses = []
    for _ in range(settings.epochs):
        shuffled, total = random.permutation(train), 0.0
        for start in range(0, len(shuffled), settings.batch_size):
            rows = shuffled[start : start + settings.batch_size]
            total += len(rows) * descend(weight, bias, vectors[rows], labels[rows], settings.lr)
        losses.append(total / len(train))
    return (vectors[test] @ weight.T + bias).argmax(axis=1), losses


def has_converged(losses: list[float], classes: int) -> bool:
    """Whether a training loss is near zero, or fell by less than 1 % in the last tenth of the epochs."""
    before = losses[-1 - max(1, len(losses) // 10)] if len(losses) > 1 else np.log(classes)
    return bool(losses[-1] < 0.1 * np.log(classes) or losses[-1] > 0.99 * before)


def descend(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, lr: float) -> float:
    """One SGD step on the mean cross-entropy of x (B, D) with labels y (B,), in place on weight (C, D) and bias (C,).

    Returns the loss before the step. Its gradient by the logits is softmax − one-hot. Steps this small are many times
    faster here than by autograd.
    """
    logits = x @ weight.T + bias
    gradient = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient /= gradient.sum(axis=1, keepdims=True)
    loss = -np.log(gradient[np.arange(len(y)), y].clip(1e-30)).mean()
    gradient[np.arange(len(y)), y] -= 1
    gradient *= lr / len(y)
    weight -= gradient.T @ x
    bias -= gradient.sum(axis=0)
    return float(loss)


def convergence_note(result: ProbeResult, settings: ProbeSettings) -> list[str]:
    """A sentence where the probe's figures are too low because it was trained too little."""
    if result.converged:
        return []
    utterances = round(result.kept * len(result.systems) * (1 - settings.test_share))
    steps = settings.epochs * -(-utterances // settings.batch_size)
    return [
        f"note: the probe has not converged, its loss was still falling after {steps} steps: the list is small for "
        "these settings, and more --epochs, a larger --lr or a smaller --batch_size give a higher accuracy"
    ]


def most_confused(result: ProbeResult, most: int = 10) -> list[str]:
    """Sentences on the most confused pairs of systems, the worst first."""
    wrong = result.confusion * (1 - np.eye(len(result.systems), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    sentences = []
    for true, taken in zip(*np.unravel_index(order, wrong.shape), strict=True):
        n, of = wrong[true, taken], result.confusion[true].sum()
        if n:
            sentences.append(
                f"{n} of {of} {for_terminal(result.systems[true])} were taken for "
                f"{for_terminal(result.systems[taken])} ({n / of:.1%})"
            )
    return sentences


def summary(result: ProbeResult, settings: ProbeSettings) -> dict:
    """What probe.json holds: settings, and rates as fractions."""
    return {
        "utterances_per_system": result.kept,
        "systems": len(result.systems),
        **{name: getattr(settings, name) for name in ("test_share", "epochs", "lr", "batch_size", "seed", "repeats")},
        "batch_size_is_assumed": True,
        "converged": result.converged,
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "accuracy_mean": float(np.mean(result.accuracy)),
        "accuracy_std": float(np.std(result.accuracy, ddof=1)) if settings.repeats > 1 else None,
        "macro_f1_mean": float(np.mean(result.macro_f1)),
        "macro_f1_std": float(np.std(result.macro_f1, ddof=1)) if settings.repeats > 1 else None,
        "most_confused": most_confused(result),
    }
