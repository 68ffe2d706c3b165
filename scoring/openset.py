"""Open-set metrics: known systems against unknown ones, and known ones named, by scores that are higher for known ones.

Every metric is a function of what each utterance weighs. So one form gives the pooled figure (all weigh the same), the
macro one (every known system weighs the same in total, and so does every unknown one), and the draws of a bootstrap
over systems, in which known and unknown systems are drawn apart.
"""

from dataclasses import dataclass

import numpy as np

from settings.errors import ScoringError
from tuneThreshold import TIE

LEVEL = 0.95
CAUGHT = 0.95  # share of known utterances accepted, of the field's FPR95
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Metric:
    """What a figure is about, beside its value.

    Attributes
    ----------
    positive : the class that counts as positive: "known", "unknown", or "every system" of a classification
    threshold_from : the list that the threshold was chosen on: "none" (all thresholds), "this list", "dev"
    title : for people
    """

    positive: str
    threshold_from: str
    title: str


METRICS = {
    "auroc": Metric("known", "none", "AUROC"),
    "aupr_known": Metric("known", "none", "AUPR, known positive"),
    "aupr_unknown": Metric("unknown", "none", "AUPR, unknown positive"),
    "ood_eer": Metric("unknown", "this list", "OOD-EER"),
    "fpr_at_95_tpr": Metric("known", "this list", "FPR at 95 % TPR"),
    "fpr_at_dev_95_tpr": Metric("known", "dev", "FPR, threshold of dev's 95 % TPR"),
    "tpr_at_dev_95_tpr": Metric("known", "dev", "TPR there"),
    "rejection_accuracy": Metric("unknown", "dev", "accuracy of rejection, threshold of dev's EER"),
    "known_accuracy": Metric("every system", "none", "accuracy on known systems"),
    "known_macro_f1": Metric("every system", "none", "macro-F1 on known systems"),
    "open_macro_f1": Metric("every system", "dev", "macro-F1 with unknown as a class"),
}


@dataclass(frozen=True)
class Thresholds:
    """Tuned on dev: where 95 % of its known utterances are accepted, and where its errors are equal."""

    caught: float
    equal: float


@dataclass(frozen=True)
class Case:
    """A list with its scores.

    Attributes
    ----------
    scores : (N,) higher for known systems
    systems : (N,) int64, the true system
    known : (N,) bool, whether that is in the train list
    nearest : (N,) the train system that each is most like
    names : (S,) of the systems' numbers
    """

    scores: np.ndarray
    systems: np.ndarray
    known: np.ndarray
    nearest: np.ndarray
    names: np.ndarray


def case(scores: np.ndarray, nearest: np.ndarray, labels: np.ndarray, train_systems: np.ndarray) -> Case:
    """A list, its labels (N,) looked up among the train systems (S,).

    Raises ScoringError where all systems are known, or none, and for a score that is NaN.
    """
    names, systems = np.unique(labels, return_inverse=True)
    is_known = np.isin(labels, train_systems)
    if is_known.all() or not is_known.any():
        raise ScoringError(
            f"all {len(labels)} utterances are of {'known' if is_known.all() else 'unknown'} systems (in the train"
            " list or not): open-set metrics need both kinds"
        )
    if np.isnan(scores).any():
        raise ScoringError("an open-set score is NaN")
    return Case(np.asarray(scores), systems, is_known, np.asarray(nearest), names)


def macro_weights(of: Case, times: np.ndarray | None = None) -> np.ndarray:
    """(N,) such that every known system weighs the same in total, and so does every unknown one, as often as drawn."""
    each = 1 / np.bincount(of.systems)[of.systems]
    return each if times is None else each * times[of.systems]


@dataclass(frozen=True)
class Curve:
    """Shares of known (tpr) and unknown (fpr) weight accepted at falling thresholds, the first above all scores."""

    thresholds: np.ndarray
    tpr: np.ndarray
    fpr: np.ndarray
    known: float
    unknown: float


class Ranking:
    """A case sorted once, for curves under many weights."""

    def __init__(self, of: Case):
        self.of = of
        self.order = np.argsort(-of.scores, kind="stable")
        scores = of.scores[self.order]
        self.last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # of each tie
        self.thresholds = np.concatenate([[np.inf], scores[self.last]])
        self.known = of.known[self.order]

    def curve(self, weight: np.ndarray) -> Curve:
        weight = weight[self.order]
        hits, alarms = (np.cumsum(np.where(kind, weight, 0))[self.last] for kind in (self.known, ~self.known))
        tpr, fpr = (np.concatenate([[0.0], total / total[-1]]) for total in (hits, alarms))
        return Curve(self.thresholds, tpr, fpr, hits[-1], alarms[-1])


def auroc(curve: Curve) -> float:
    """Chance that a known utterance scores above an unknown one; equal scores count half."""
    return float(np.trapezoid(curve.tpr, curve.fpr))


def aupr_known(curve: Curve) -> float:
    """Average precision, known utterances positive: precision at each threshold, weighed by the recall it adds."""
    accepted = curve.tpr * curve.known + curve.fpr * curve.unknown
    return float(np.diff(curve.tpr) @ (curve.tpr[1:] * curve.known / np.maximum(accepted[1:], 1e-300)))


def aupr_unknown(curve: Curve) -> float:
    """Average precision, unknown utterances positive: those below each threshold are taken for unknown."""
    found, wrong = (1 - curve.fpr[:-1]) * curve.unknown, (1 - curve.tpr[:-1]) * curve.known
    return float(np.diff(curve.fpr) @ (found / np.maximum(found + wrong, 1e-300)))


def equal_error(curve: Curve) -> tuple[float, float]:
    """The rate max(FPR, FNR) and the threshold where the two are nearest; of several, the highest."""
    gap = np.abs(1 - curve.tpr - curve.fpr)
    at = int(np.argmax(gap <= gap.min() + TIE))
    return float(max(1 - curve.tpr[at], curve.fpr[at])), float(curve.thresholds[at])


def at_tpr(curve: Curve, wanted: float = CAUGHT) -> tuple[float, float]:
    """FPR and threshold at the highest threshold that accepts `wanted` of the known."""
    at = int(np.argmax(curve.tpr >= wanted - TIE))
    return float(curve.fpr[at]), float(curve.thresholds[at])


def macro_f1(true: np.ndarray, predicted: np.ndarray, classes: int, weight: np.ndarray) -> float:
    """Mean F1 over the classes that occur in `true` (with weight); a class that is never predicted has 0."""
    right = np.bincount(true, weight * (true == predicted), classes)
    there = np.bincount(true, weight, classes)
    named = np.bincount(predicted, weight, classes)
    occurs = there > 0
    return float(np.mean(2 * right[occurs] / (there[occurs] + named[occurs])))


def measure(ranking: Ranking, weight: np.ndarray, thresholds: Thresholds | None) -> dict[str, float]:
    """Every metric of `METRICS`, a fraction, with utterances weighing (N,) `weight`; of dev only with thresholds."""
    of, curve = ranking.of, ranking.curve(weight)
    true, nearest, unknown = _as_classes(of)
    known = of.known & (weight > 0)
    found = {
        "auroc": auroc(curve),
        "aupr_known": aupr_known(curve),
        "aupr_unknown": aupr_unknown(curve),
        "ood_eer": equal_error(curve)[0],
        "fpr_at_95_tpr": at_tpr(curve)[0],
        "known_accuracy": float(np.average(true[known] == nearest[known], weights=weight[known])),
        "known_macro_f1": macro_f1(true[known], nearest[known], unknown + 1, weight[known]),
    }
    if thresholds is None:
        return found
    caught = of.scores >= thresholds.caught
    accepted = of.scores >= thresholds.equal
    return found | {
        "fpr_at_dev_95_tpr": float(np.average(caught[~of.known], weights=weight[~of.known])),
        "tpr_at_dev_95_tpr": float(np.average(caught[of.known], weights=weight[of.known])),
        "rejection_accuracy": float(np.average(accepted == of.known, weights=weight)),
        "open_macro_f1": macro_f1(true, np.where(accepted, nearest, unknown), unknown + 1, weight),
    }


def _as_classes(of: Case) -> tuple[np.ndarray, np.ndarray, int]:
    """(N,) true class and (N,) nearest train system as numbers, and the number of the class "unknown", the last."""
    truth = of.names[of.systems]
    systems, codes = np.unique(np.concatenate([truth, of.nearest]), return_inverse=True)
    true, nearest = codes[: len(truth)], codes[len(truth) :]
    return np.where(of.known, true, len(systems)), nearest, len(systems)


def tune(of: Case) -> Thresholds:
    """The thresholds of a dev list, every utterance weighing the same, as the field has it."""
    curve = Ranking(of).curve(np.ones(len(of.scores)))
    return Thresholds(at_tpr(curve)[1], equal_error(curve)[1])


def intervals(
    ranking: Ranking, thresholds: Thresholds | None, draws: int, seed: int = 0
) -> dict[str, dict[str, list[float]]]:
    """For "pooled" and "macro", an interval of each metric had other systems been in the list: percentiles of draws."""
    of, generator = ranking.of, np.random.default_rng(seed)
    is_known = np.zeros(len(of.names), bool)
    is_known[of.systems[of.known]] = True
    found: dict[str, list[dict]] = {"pooled": [], "macro": []}
    for _ in range(draws):
        times = np.zeros(len(of.names))
        for kind in (is_known, ~is_known):
            times[kind] = generator.multinomial(kind.sum(), np.full(kind.sum(), 1 / kind.sum()))
        found["pooled"].append(measure(ranking, times[of.systems], thresholds))
        found["macro"].append(measure(ranking, macro_weights(of, times), thresholds))
    ends = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    return {
        weighing: {
            name: np.percentile([row[name] for row in rows], ends).tolist() for name in (rows[0] if rows else ())
        }
        for weighing, rows in found.items()
    }
