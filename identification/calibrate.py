"""A development list's scores to a calibration: likelihood ratios, bounds, and the threshold for "unknown"."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from identification.bank import Bank, today
from identification.calibration import Calibration, Ratios
from identification.scores import Prepared, against
from scoring.backends import mapped, score_rows
from scoring.calibration import Comparisons, costs, drawn_lines, fit, least_cllr, left_out_ratios, weighted_cllr
from scoring.calibration_bounds import elub
from scoring.embeddings import unit_rows
from settings.errors import DataError
from settings.text import enumerated
from tuneThreshold import Curve, at_false_acceptance, equal_error

DRAWS = 200
PAIRED = 20  # utterances of a system that are compared with each other
SAME = 1 - 1e-6  # cosine of one recording with itself, whatever it was batched with
ROWS = 1024  # compared with the bank at once
AT_ONCE = 65536  # of these pairs scored at once


@dataclass(frozen=True)
class Judged:
    """A list scored against a bank, N utterances of which K are of enrolled systems.

    Attributes
    ----------
    scores : (N, S) against every enrolled system
    owner : (N,) int64, the number of the utterance's system in the bank; -1 where it is not enrolled
    systems : (N,) names
    codes : (N,) int64, numbers of all systems: first those of the bank, then the others
    conditions : N texts, or None
    """

    scores: np.ndarray
    owner: np.ndarray
    systems: np.ndarray
    codes: np.ndarray
    conditions: Sequence[str] | None


def judge(prepared: Prepared, embeddings: np.ndarray, systems: Sequence[str], conditions=None) -> Judged:
    """Score utterances (N, D) of known origin against a bank."""
    bank, systems = prepared.bank, np.asarray(systems)
    place = {system: number for number, system in enumerate(bank.systems)}
    for system in sorted(set(systems.tolist()) - place.keys()):
        place[system] = len(place)
    codes = np.array([place[system] for system in systems.tolist()])
    owner = np.where(codes < len(bank.systems), codes, -1)
    return Judged(against(prepared, embeddings), owner, systems, codes, conditions)


def comparisons(judged: Judged) -> Comparisons:
    """Every utterance against every enrolled system."""
    count, systems = judged.scores.shape
    known = len(np.flatnonzero(judged.owner >= 0))
    return Comparisons(
        judged.scores.ravel(), np.repeat(judged.codes, systems), np.tile(np.arange(systems), count), max(known, 1)
    )


def pairs(bank: Bank, embeddings: np.ndarray, codes: np.ndarray) -> Comparisons:
    """Pairs of utterances: all of those between up to `PAIRED` of each system, evenly spaced in the list."""
    chosen = []
    for system in np.unique(codes):
        own = np.flatnonzero(codes == system)
        chosen.append(own[np.linspace(0, len(own) - 1, min(PAIRED, len(own))).astype(int)])
    rows = np.concatenate(chosen)
    points = mapped(bank.backend, embeddings[rows])
    first, second = np.triu_indices(len(rows), 1)
    scores = np.empty(len(first))
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        scores[part] = score_rows(bank.backend, points[first[part]], points[second[part]])
    ends = np.sort([codes[rows[first]], codes[rows[second]]], axis=0)
    return Comparisons(scores, ends[0], ends[1], len(rows))


def check_not_enrolled(bank: Bank, embeddings: np.ndarray, paths: Sequence[str], source: str) -> None:
    """Raises DataError where utterances of a list are in the bank: scored against themselves, they prove nothing.

    The same are those of one path, and those of one embedding, whatever they are called.
    """
    rows, enrolled = unit_rows(embeddings), set(bank.paths)
    twice = [path for path in paths if path in enrolled]
    for start in range(0, len(rows), ROWS):
        same = (rows[start : start + ROWS] @ bank.rows.T).max(axis=1) > SAME
        twice += [paths[start + row] for row in np.flatnonzero(same) if paths[start + row] not in enrolled]
    if twice:
        raise DataError(
            f"{source}: {len(twice)} of its files are enrolled in the bank, for example {enumerated(twice, 2)};"
            " what a bank is calibrated or validated with must be other files"
        )


def best_ratios(judged: Judged, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Highest ratio of each utterance, whether its system is there, its system, and whether systems were left out.

    Where all utterances are of enrolled systems, each is taken a second time, its own system left out of the bank.
    """
    highest, known = ratios.max(axis=1), judged.owner >= 0
    if not known.all():
        return highest, known, judged.codes, False
    if ratios.shape[1] < 2:
        raise DataError("the bank has one system and the list no other: nothing says what an unknown one looks like")
    rest = ratios.copy()
    rest[np.arange(len(rest)), judged.owner] = -np.inf
    both = np.concatenate([highest, rest.max(axis=1)])
    return both, np.repeat([True, False], len(highest)), np.tile(judged.codes, 2), True


def weighted_curve(scores: np.ndarray, known: np.ndarray, codes: np.ndarray) -> Curve:
    """Known utterances accepted (hits) and unknown ones (false alarms), every system of each kind weighing the same."""
    weight = np.empty(len(scores))
    for kind in (known, ~known):
        counts = np.bincount(codes[kind])
        weight[kind] = 1 / counts[codes[kind]] / (counts > 0).sum()
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    hits, alarms = (np.cumsum(np.where(kind[order], weight[order], 0.0))[last] for kind in (known, ~known))
    above = np.nextafter(ranked[0], np.inf)
    return Curve(np.r_[above, ranked[last]], np.r_[0.0, hits], np.r_[0.0, alarms], hits[-1], alarms[-1])


def learned(found: Comparisons, draws: int, seed: int) -> Ratios:
    """The line, its spread over systems, and its bounds. Raises DataError where the scores say the reverse."""
    line = fit(found)
    if line.slope <= 0:
        raise DataError("utterances are less like their own system than like others: these embeddings do not trace")
    low, high = elub(line(found.scores), found)
    return Ratios(line, drawn_lines(found, line, draws, seed), low, high)


def by_condition(judged: Judged, before: np.ndarray, after: np.ndarray, found: Comparisons) -> list[dict]:
    """Cllr before and after, in all and by condition; where a condition has no target, its non-target half alone."""
    systems = judged.scores.shape[1]
    groups = {"all": np.ones(len(judged.codes), bool)}
    if judged.conditions is not None:
        names = np.asarray(judged.conditions)
        groups |= {str(name): names == name for name in np.unique(names)}
    rows = []
    for name, mask in groups.items():
        inside = np.repeat(mask, systems)
        part = found.take(inside)
        halves = {"before": costs(before[inside], part), "after": costs(after[inside], part)}
        row = {"condition": name, "utterances": int(mask.sum()), "known": int((judged.owner[mask] >= 0).sum())}
        for when, (miss, alarm) in halves.items():
            row |= {f"{when}_target": miss, f"{when}_nontarget": alarm}
            row[when] = None if miss is None or alarm is None else (miss + alarm) / 2
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Wanted:
    """How to calibrate: the rate of unknown systems taken for known ones (None: dev's equal error), draws, seed."""

    false_alarm: float | None = None
    draws: int = DRAWS
    seed: int = 0


def calibrate(
    prepared: Prepared,
    embeddings: np.ndarray,
    systems: Sequence[str],
    *,
    source: str,
    conditions: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    wanted: Wanted = Wanted(),
) -> Calibration:
    """Learn it from utterances (N, D) of known origin, of which some must be of enrolled systems.

    Raises
    ------
    DataError
        Where no utterance is of an enrolled system, or too little is there to learn from.
    """
    judged = judge(prepared, embeddings, systems, conditions)
    if not (judged.owner >= 0).any():
        raise DataError(f"{source}: none of its systems is enrolled in the bank: nothing says what a match looks like")
    found = comparisons(judged)
    ratios = learned(found, wanted.draws, wanted.seed)
    after = left_out_ratios(found)
    couples = pairs(prepared.bank, embeddings, judged.codes)
    compare = learned(couples, wanted.draws, wanted.seed)
    highest, known, codes, left_out = best_ratios(judged, ratios.natural(judged.scores))
    curve = weighted_curve(highest, known, codes)
    point = equal_error(curve) if wanted.false_alarm is None else at_false_acceptance(curve, wanted.false_alarm)
    about = {
        "list": source,
        "date": today(),
        "rule": "equal error rate" if wanted.false_alarm is None else f"false-alarm rate {wanted.false_alarm:g}",
        "known": len(np.unique(judged.codes[judged.owner >= 0])),
        "unknown": len(np.unique(judged.codes[judged.owner < 0])),
        "left_out": left_out,
        "utterances": len(judged.codes),
        "languages": sorted({language for language in languages or () if language}),
        "false_alarm": point.fpr,
        "miss": point.fnr,
        "cllr_before": weighted_cllr(found.scores, found),
        "cllr_after": weighted_cllr(after, found),
        "min_cllr": least_cllr(found),
        "compare_cllr": weighted_cllr(left_out_ratios(couples), couples),
        "conditions": by_condition(judged, found.scores, after, found),
    }
    return Calibration(ratios, compare, point.threshold, about)
