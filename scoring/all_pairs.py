"""From arrays to a plain dictionary that says everything about a list's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.backends import Backend, as_utterances, mapped
from scoring.bins import BINS
from scoring.bootstrap import LEVEL, intervals
from scoring.cllr import cllr, min_cllr
from scoring.counts import NO_GROUPS, Counts, groups_for
from scoring.curves import densities, trade_off
from scoring.embeddings import Utterances, column, utterances
from scoring.exact import solve
from scoring.operating_points import AtThreshold, EqualError, FalseAcceptance, LeastCost
from scoring.per_system import by_system
from scoring.results import Cost, at_threshold_as_dict, check_options, costs_as_dict, rates_as_dict
from scoring.score_norm import TOP, normalised
from settings.errors import ScoringError
from tuneThreshold import Point


@dataclass(frozen=True)
class PassOptions:
    """The options of an evaluation that its parts share."""

    draws: int
    seed: int
    threads: int | None
    device: str
    progress: bool

    def of_pass(self, title: str) -> dict:
        """What `count_trials` is told."""
        return {"threads": self.threads, "device": self.device, "progress": self.progress, "title": title}


def evaluate(
    embeddings: np.ndarray,
    labels: Sequence,
    *,
    languages: Sequence | None = None,
    conditions: Sequence | None = None,
    names: Sequence | None = None,
    quick: bool = False,
    costs: Sequence[Cost] = ((0.05, 1.0, 1.0),),
    false_acceptances: Sequence[float] = (0.01, 0.001),
    threshold: float | None = None,
    backend: Backend | None = None,
    cohort: np.ndarray | None = None,
    top: int = TOP,
    draws: int = 1000,
    seed: int = 0,
    threads: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> dict:
    """Score every pair of a list, and say everything about the scores.

    Parameters
    ----------
    embeddings : (N, D) of any real dtype, in memory or memory-mapped
    labels : (N,) system of each utterance
    languages, conditions : (N,) of each utterance, where known
    names : (N,) what an error calls each utterance, and what tells repeated ones: their paths
    quick : only counts, pooled and macro EER with thresholds, and the least costs: what training asks for
    costs : operating points (p_target, c_miss, c_fa)
    false_acceptances : rates, fractions, at which the threshold and the hits are told
    threshold : one carried from another list (dev), at which this list's rates and costs are told
    backend : learned elsewhere, by which pairs are scored instead of by cosine
    cohort : (M, D) embeddings that normalise the scores (adaptive s-norm), with the `top` most alike of them
    draws : of the bootstrap; 0 for no intervals
    seed : of the bootstrap
    threads : by default one for each core this process may use
    device : "cpu", or a torch device such as "cuda"
    progress : whether long work shows a bar on stderr

    Returns
    -------
    dict of plain numbers, text, lists and dicts, ready for JSON; rates are fractions. Keys: `utterances`, `systems`,
    `target_trials`, `nontarget_trials`, `eer`, `threshold`, `macro_eer`, `macro_threshold`, `min_dcf` (a list), and
    unless `quick`: `repeated`, `intervals`, `at_false_acceptance`, `carried`, `cllr`, `min_cllr`, `conditions`,
    `languages`, `by_system`, `det`, `densities`.

    Raises
    ------
    ScoringError
        For embeddings without a direction, columns of another length, options out of range, and lists without a target
        or without a non-target trial.
    """
    check_options(costs, false_acceptances, threshold)
    if draws < 0:
        raise ScoringError(f"the bootstrap takes 0 or more draws, not {draws}")
    names = None if names is None else column(names, "names", len(embeddings))
    listed = _listed(embeddings, labels, names, backend)
    if cohort is not None:
        if backend is not None and backend.name == "plda":
            raise ScoringError(
                "score normalisation is of cosines, and plda gives likelihood ratios: choose one of them"
            )
        cohort = cohort if backend is None else mapped(backend, cohort)
        listed = normalised(listed, cohort, top)
    how = PassOptions(draws, seed, threads, device, progress)
    questions = [EqualError("pooled"), EqualError("macro"), *(LeastCost(*point) for point in costs)]
    if quick:
        answers, _ = solve(listed, questions, **how.of_pass("scoring"))
        return _summary(listed, *answers[:2], costs, answers[2:])
    rest = [FalseAcceptance(rate) for rate in false_acceptances]
    rest += [AtThreshold(threshold)] if threshold is not None else []
    groups = groups_for(len(listed.systems))
    answers, counts = solve(listed, questions + rest, groups=groups, **how.of_pass("scoring"))
    pooled, macro, least = answers[0], answers[1], answers[2 : len(questions)]
    result = _summary(listed, pooled, macro, costs, least)
    result["repeated"] = 0 if names is None else len(names) - len(np.unique(names))
    result["intervals"] = _intervals(listed, counts, groups, pooled, macro, how)
    told = answers[len(questions) :]
    result["at_false_acceptance"] = rates_as_dict(false_acceptances, told[: len(false_acceptances)])
    result["carried"] = None if threshold is None else at_threshold_as_dict(told[-1], costs)
    result["cllr"], result["min_cllr"] = _information(counts)
    points = by_system(listed, counts, groups, **how.of_pass("by system"))
    result["conditions"] = _cells(listed, conditions, "conditions", how, curves=True)
    result["languages"] = _cells(listed, languages, "languages", how)
    result["by_system"] = {
        str(system): _system_cell(listed, size, point)
        for system, size, point in zip(listed.systems, listed.sizes.tolist(), points, strict=True)
    }
    result["det"], result["densities"] = trade_off(counts), densities(counts)
    return result


def _listed(embeddings: np.ndarray, labels: Sequence, names: Sequence | None, backend: Backend | None) -> Utterances:
    """The list, ready for its pairs to be scored."""
    return (
        utterances(embeddings, labels, names) if backend is None else as_utterances(backend, embeddings, labels, names)
    )


def _size(listed: Utterances) -> dict:
    targets, nontargets = listed.trials()
    return {
        "utterances": len(listed.rows),
        "systems": len(listed.systems),
        "target_trials": targets,
        "nontarget_trials": nontargets,
    }


def _summary(listed: Utterances, pooled: Point, macro: Point, costs: Sequence[Cost], least: list) -> dict:
    """What even the quick evaluation tells."""
    return {
        **_size(listed),
        **_equal_errors(pooled, macro),
        "min_dcf": costs_as_dict(costs, least),
    }


def _equal_errors(pooled: Point, macro: Point) -> dict:
    """Both EERs. The macro one is told to 12 digits: beyond, it depends on the order in which threads add."""
    return {
        "eer": pooled.eer,
        "threshold": pooled.threshold,
        "macro_eer": round(macro.eer, 12),
        "macro_threshold": macro.threshold,
    }


def _intervals(
    listed: Utterances, counts: Counts, groups, pooled: Point, macro: Point, how: PassOptions
) -> dict | None:
    """The intervals of both EERs, and how they were made."""
    if not how.draws:
        return None
    eers = {"pooled": pooled.eer, "macro": macro.eer}
    ends = intervals(counts.groups, groups, listed.sizes, eers, draws=how.draws, seed=how.seed)
    return {"level": LEVEL, "draws": how.draws, "over": "systems", "eer": ends["pooled"], "macro_eer": ends["macro"]}


def _information(counts: Counts) -> tuple[float, float]:
    """Cllr of the scores taken as log-likelihood ratios, and at the best calibration, from the histograms' bins."""
    centres = float(counts.to.low) + (np.arange(BINS) + 0.5) / float(counts.to.scale)
    nontarget, target = counts.pooled
    return cllr(centres, target, nontarget), min_cllr(target, nontarget)


def _cells(
    listed: Utterances, values: Sequence | None, what: str, how: PassOptions, curves: bool = False
) -> dict[str, dict] | None:
    """EERs among the utterances of each value: both of a trial belong to it."""
    if values is None:
        return None
    values = column(values, what, len(listed.rows))[listed.order]
    return {str(value): _cell(listed.subset(values == value), f"{value}", how, curves) for value in np.unique(values)}


def _cell(listed: Utterances, title: str, how: PassOptions, curves: bool) -> dict:
    """The EERs of a part of the list, or why it has none."""
    cell = _size(listed)
    if cell["systems"] == 1:
        return {**cell, "note": "one system only: no non-target trial"}
    if not cell["target_trials"]:
        return {**cell, "note": "one utterance of each system: no target trial"}
    groups = groups_for(len(listed.systems)) if how.draws else NO_GROUPS
    questions = [EqualError("pooled"), EqualError("macro")]
    (pooled, macro), counts = solve(listed, questions, groups=groups, **how.of_pass(title))
    cell |= _equal_errors(pooled, macro)
    cell["intervals"] = _intervals(listed, counts, groups, pooled, macro, how)
    return {**cell, "det": trade_off(counts)} if curves else cell


def _system_cell(listed: Utterances, size: int, point: Point | None) -> dict:
    """One system's target trials against those between it and any other."""
    cell = {
        "utterances": size,
        "target_trials": size * (size - 1) // 2,
        "nontarget_trials": size * (len(listed.rows) - size),
    }
    if point is None:
        return {**cell, "note": "one utterance only: no target trial"}
    return {**cell, "eer": point.eer, "threshold": point.threshold}
