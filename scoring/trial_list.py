"""Lists of given trials: reading them, scoring them, and what their scores say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scoring.backends import Backend, mapped, score_rows
from scoring.embeddings import unit_rows
from scoring.operating_points import LeastCost
from scoring.results import Cost, at_threshold_as_dict, check_options, costs_as_dict, rates_as_dict
from scoring.score_norm import TOP, cohort_statistics
from settings.errors import ScoringError
from settings.text import enumerated
from tuneThreshold import Curve, at_false_acceptance, at_threshold, curve_of, equal_error

AT_ONCE = 8192  # trials multiplied at once


@dataclass(frozen=True)
class TrialList:
    """(T,) places of the two utterances of each trial; (T,) labels, 1 for a target trial, where the list has them."""

    first: np.ndarray
    second: np.ndarray
    labels: np.ndarray | None


def read_trials(path: str | Path, names: Sequence[str]) -> TrialList:
    """Read a file of lines `label path path` (label 1 or 0) or `path path`, one form throughout.

    Parameters
    ----------
    path : of the file
    names : (N,) the utterances that there are embeddings of, as their paths; a leading ./ makes no difference

    Raises
    ------
    ScoringError
        For a file that cannot be read or is empty, a line of another form, and utterances without an embedding, each
        with its line.
    """
    place = {_plain(name): row for row, name in reversed(list(enumerate(names)))}  # the first of repeated paths
    labels, first, second, missing, columns = [], [], [], [], None
    for number, words in _lines(path):
        columns = columns or len(words)
        if len(words) != columns or columns not in (2, 3):
            raise ScoringError(
                f"{path} line {number}: a line is `label path path` or `path path`, the same throughout;"
                f" this one has {len(words)} columns"
            )
        if columns == 3:
            if words[0] not in ("0", "1"):
                raise ScoringError(
                    f"{path} line {number}: the label must be 1 (target) or 0 (non-target), not {words[0]}"
                )
            labels.append(int(words[0]))
        rows = [place.get(_plain(word)) for word in words[-2:]]
        missing += [f"{word} (line {number})" for word, row in zip(words[-2:], rows, strict=True) if row is None]
        first.append(rows[0])
        second.append(rows[1])
    if columns is None:
        raise ScoringError(f"{path} has no trial in it")
    if missing:
        raise ScoringError(f"{path}: there is no embedding of {enumerated(missing)}")
    return TrialList(np.array(first), np.array(second), np.array(labels) if labels else None)


def _lines(path: str | Path):
    """Number and words of each line that is not blank."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if words := line.split():
                    yield number, words
    except (OSError, UnicodeDecodeError) as error:
        raise ScoringError(f"{path} cannot be read as a trial list: {error}") from error


def _plain(name: str) -> str:
    return str(name).removeprefix("./")


def score_pairs(
    embeddings: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    names: Sequence | None = None,
    backend: Backend | None = None,
    cohort: np.ndarray | None = None,
    top: int = TOP,
) -> np.ndarray:
    """Scores of given trials: cosines, their adaptive s-norm, or what a back-end gives.

    Parameters
    ----------
    embeddings : (N, D) of any real dtype
    first, second : (T,) places of the two utterances of each trial
    names : (N,) what an error calls each utterance
    backend, cohort, top : see `evaluate`

    Returns
    -------
    (T,) float32. They differ from those of all pairs by the rounding of the sum at most, about 1e-7
    """
    if backend is not None:
        embeddings = mapped(backend, embeddings, names)
        cohort = None if cohort is None else mapped(backend, cohort)
    pair_by_pair = backend is not None and backend.between is not None
    if pair_by_pair and cohort is not None:
        raise ScoringError("score normalisation is of cosines, and plda gives likelihood ratios: choose one of them")
    rows = embeddings if pair_by_pair else unit_rows(embeddings, names)
    first, second = np.asarray(first, np.int64), np.asarray(second, np.int64)
    if first.shape != second.shape or first.ndim != 1:
        raise ScoringError(f"trials are two lists of one length, not of shapes {first.shape} and {second.shape}")
    places = np.concatenate([first, second])
    if ((places < 0) | (places >= len(rows))).any():
        raise ScoringError(f"a trial names an utterance outside the {len(rows)} there are")
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        one, other = rows[first[part]], rows[second[part]]
        scores[part] = score_rows(backend, one, other) if pair_by_pair else np.einsum("td,td->t", one, other)
    if cohort is None:
        return scores
    mean, std = cohort_statistics(rows, cohort, top)
    if (std[np.concatenate([first, second])] < 1e-7).any():
        raise ScoringError(
            "the highest cohort scores of an utterance are all equal: a cohort must be of different ones"
        )
    ends = [(scores - mean[end]) / std[end] for end in (first, second)]
    return ((ends[0] + ends[1]) / 2).astype(np.float32)


def evaluate_trials(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    costs: Sequence[Cost] = ((0.05, 1.0, 1.0),),
    false_acceptances: Sequence[float] = (0.01, 0.001),
    threshold: float | None = None,
    threshold_from: str | None = None,
) -> dict:
    """Error rates of scored trials, under the keys that `evaluate` uses: fractions, ready for JSON.

    Parameters
    ----------
    scores, labels : (T,) see `tuneThreshold.curve_of`
    costs, false_acceptances, threshold, threshold_from : see `evaluate`
    """
    check_options(costs, false_acceptances, threshold)
    curve = _finite(curve_of(scores, labels))
    point = equal_error(curve)
    return {
        "target_trials": curve.targets,
        "nontarget_trials": curve.nontargets,
        "eer": point.eer,
        "threshold": point.threshold,
        "min_dcf": costs_as_dict(costs, [LeastCost(*cost).read(curve) for cost in costs]),
        "at_false_acceptance": rates_as_dict(
            false_acceptances, [at_false_acceptance(curve, r) for r in false_acceptances]
        ),
        "at_dev_threshold": None
        if threshold is None
        else at_threshold_as_dict(at_threshold(curve, threshold), costs, threshold_from),
    }


def _finite(curve: Curve) -> Curve:
    """The threshold above all scores as the next number above, for JSON has no infinity."""
    thresholds = curve.thresholds.copy()
    thresholds[0] = np.nextafter(thresholds.dtype.type(thresholds[1]), thresholds.dtype.type(np.inf))
    return Curve(thresholds, curve.hits, curve.false_alarms, curve.targets, curve.nontargets)
