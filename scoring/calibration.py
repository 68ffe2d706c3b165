"""Scores to likelihood ratios: logistic regression in which every system weighs the same, and how sure its line is.

A comparison sets one thing from a source system (an utterance) against another from the same or another system (an
enrolled system, or an utterance). In what a calibration is learned from, every system's target comparisons weigh the
same in total, and so does every pair of systems' non-target comparisons; targets weigh as much as non-targets, so that
the log-odds of the regression are natural log-likelihood ratios. Brümmer and du Preez, "Application-independent
evaluation of speaker detection" (Computer Speech and Language, 2006), section 6.

A finite list, even one in which no comparison went wrong, does not prove that none can. So each kind is taken to hold
one more comparison, that came out as the other kind: Platt's targets ("Probabilistic outputs for support vector
machines", 1999), with utterances for what he counts. `scoring.calibration_bounds` says how far a ratio may go at all.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from scoring.cllr import min_cllr
from settings.errors import ScoringError

STEPS = 100
PRECISE = 1e-10  # a Newton step this small, in slopes of standardised scores, ends the search


@dataclass(frozen=True)
class Comparisons:
    """T scored comparisons.

    Attributes
    ----------
    scores : (T,) float64
    source, against : (T,) int64, numbers of the two systems; equal in a target comparison
    utterances : number of different utterances that targets and non-targets were made of, the lesser of the two
    """

    scores: np.ndarray
    source: np.ndarray
    against: np.ndarray
    utterances: int

    @property
    def targets(self) -> np.ndarray:
        """(T,) bool."""
        return self.source == self.against

    def take(self, chosen: np.ndarray) -> "Comparisons":
        """Those of a (T,) mask."""
        return Comparisons(self.scores[chosen], self.source[chosen], self.against[chosen], self.utterances)


def weights(comparisons: Comparisons, times: np.ndarray | None = None) -> np.ndarray:
    """(T,) float64 weights: targets sum to one, every system the same; non-targets too, every pair of systems the same.

    Parameters
    ----------
    times : (S,) how often each system was drawn, in a bootstrap; a pair is there as often as the product. The pairs of
        source and enrolled system are ordered: utterances of a against b are not those of b against a.

    Raises
    ------
    ScoringError
        Where there are no targets, or no non-targets.
    """
    targets, systems = comparisons.targets, int(max(comparisons.source.max(), comparisons.against.max())) + 1
    pair = comparisons.source * systems + comparisons.against
    _, codes, counts = np.unique(pair, return_inverse=True, return_counts=True)
    each = 1 / counts[codes]
    if times is not None:
        each = each * np.where(
            targets, times[comparisons.source], times[comparisons.source] * times[comparisons.against]
        )
    totals = [each[kind].sum() for kind in (targets, ~targets)]
    if not all(totals):
        raise ScoringError(
            f"no {'target' if not totals[0] else 'non-target'} comparison: a calibration needs both kinds"
        )
    return each / np.where(targets, *totals)


@dataclass(frozen=True)
class Line:
    """Natural log-likelihood ratio = slope * score + offset."""

    slope: float
    offset: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return self.slope * np.asarray(scores, np.float64) + self.offset


def fit(
    comparisons: Comparisons, weight: np.ndarray | None = None, start: Line | None = None, doubt: float = 1.0
) -> Line:
    """The line of greatest weighted likelihood.

    Parameters
    ----------
    weight : (T,) see `weights`, the default
    start : where to begin the search
    doubt : how many comparisons of each kind are taken to have come out wrong; 0 for plain logistic regression, which
        has no answer where scores separate the kinds

    Raises
    ------
    ScoringError
        For scores that are not finite or all equal.
    """
    scores, targets = comparisons.scores, comparisons.targets
    weight = weights(comparisons) if weight is None else weight
    if not np.isfinite(scores).all():
        raise ScoringError("a score to calibrate is NaN or infinite")
    middle = float(np.average(scores, weights=weight))
    width = float(np.sqrt(np.average((scores - middle) ** 2, weights=weight)))
    if not width > 1e-12:
        raise ScoringError("all scores to calibrate are equal: they say nothing")
    x = (scores - middle) / width
    wrong = doubt / (comparisons.utterances + 2 * doubt) if doubt else 0.0
    wanted = np.where(targets, 1 - wrong, wrong)
    at = np.array([1.0, 0.0] if start is None else [start.slope * width, start.offset + start.slope * middle])
    cost = _cost(at, x, wanted, weight)
    for _ in range(STEPS):
        step = _newton(at, x, wanted, weight)
        while (tried := _cost(at - step, x, wanted, weight)) > cost and np.abs(step).max() >= PRECISE:
            step /= 2  # a far start overshoots; the cost is convex, so this ends
        at, cost = at - step, tried
        if np.abs(step).max() < PRECISE:
            return Line(float(at[0] / width), float(at[1] - at[0] * middle / width))
    raise ScoringError("scores of the two kinds do not overlap: logistic regression without doubt has no answer")


def _cost(at: np.ndarray, x: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> float:
    """Weighted cross-entropy of a slope and an offset."""
    odds = at[0] * x + at[1]
    return float(weight @ (np.logaddexp(0, odds) - wanted * odds))


def _newton(at: np.ndarray, x: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(2,) step to the minimum of the parabola that touches the cost."""
    likely = expit(at[0] * x + at[1])
    gap, bend = weight * (likely - wanted), weight * likely * (1 - likely)
    hessian = np.array([[bend @ x**2, bend @ x], [bend @ x, bend.sum()]]) + 1e-12 * np.eye(2)
    return np.linalg.solve(hessian, [gap @ x, gap.sum()])


def drawn_lines(comparisons: Comparisons, line: Line, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, 2) slopes and offsets, had other systems been in the list: a bootstrap over systems.

    As in `scoring.bootstrap`, a system drawn v times and one drawn w times bring their comparisons v * w times.
    """
    systems = np.unique(np.concatenate([comparisons.source, comparisons.against]))
    generator, lines = np.random.default_rng(seed), []
    for _ in range(draws):
        times = np.zeros(systems.max() + 1)
        times[systems] = generator.multinomial(len(systems), np.full(len(systems), 1 / len(systems)))
        kept = (times[comparisons.source] > 0) & (times[comparisons.against] > 0)
        kinds = comparisons.targets[kept]
        if not kinds.any() or kinds.all():
            continue  # nothing to learn from; such draws are rare but with very few systems
        part = comparisons.take(kept)
        found = fit(part, weights(part, times), start=line)
        lines.append((found.slope, found.offset))
    return np.array(lines).reshape(-1, 2)


def costs(ratios: np.ndarray, comparisons: Comparisons) -> tuple[float | None, float | None]:
    """What natural log-likelihood ratios cost on targets and on non-targets, in bits; Cllr is the mean of the two.

    Every system, and every pair of systems, weighs the same. None for a kind of which there is none.
    """
    targets, systems = comparisons.targets, int(max(comparisons.source.max(), comparisons.against.max())) + 1
    found = []
    for kind, sign in ((targets, -1), (~targets, 1)):
        if not kind.any():
            found.append(None)
            continue
        pair = comparisons.source[kind] * systems + comparisons.against[kind]
        _, codes, counts = np.unique(pair, return_inverse=True, return_counts=True)
        found.append(float(np.average(np.logaddexp(0, sign * ratios[kind]), weights=1 / counts[codes]) / np.log(2)))
    return found[0], found[1]


def weighted_cllr(ratios: np.ndarray, comparisons: Comparisons) -> float | None:
    """Cllr of natural log-likelihood ratios, weighed as `costs`; None where a kind is missing."""
    miss, alarm = costs(ratios, comparisons)
    return None if miss is None or alarm is None else (miss + alarm) / 2


def least_cllr(comparisons: Comparisons) -> float | None:
    """Cllr at the best rising map of the scores there is (pool-adjacent-violators), weighed as `costs`."""
    targets = comparisons.targets
    if targets.all() or not targets.any():
        return None
    weight = weights(comparisons)
    _, level = np.unique(comparisons.scores, return_inverse=True)
    return min_cllr(*(np.bincount(level[kind], weight[kind], level.max() + 1) for kind in (targets, ~targets)))


def left_out_ratios(comparisons: Comparisons) -> np.ndarray:
    """(T,) natural log-likelihood ratios, each by a line learned without the comparison's two systems' own data.

    A system's utterances are calibrated by what the utterances of all other systems teach, against all other systems.
    Falls back to the line of all where too little is left.
    """
    ratios, everything = np.empty(len(comparisons.scores)), fit(comparisons)
    for system in np.unique(comparisons.source):
        own = comparisons.source == system
        rest = ~own & (comparisons.against != system)
        kinds = comparisons.targets[rest]
        line = everything
        if kinds.any() and not kinds.all():
            line = fit(comparisons.take(rest), start=everything)
        ratios[own] = line(comparisons.scores[own])
    return ratios
