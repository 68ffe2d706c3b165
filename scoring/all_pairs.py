"""From arrays to a plain dictionary that says everything about a list's scores."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scoring.backends import Backend, as_utterances, mapped
from scoring.bootstrap import LEVEL, intervals
from scoring.cllr import cllr, min_cllr
from scoring.counts import NO_GROUPS, Groups, groups_for
from scoring.curves import densities, trade_off
from scoring.embeddings import Utterances, column, utterances
from scoring.exact import Solution, solve
from scoring.operating_points import AtThreshold, EqualError, FalseAcceptance, LeastCost
from scoring.passes import PassOptions, Shard
from scoring.per_system import by_system
from scoring.results import Cost, at_threshold_as_dict, check_options, costs_as_dict, rates_as_dict
from scoring.score_norm import TOP, normalised
from settings.errors import ScoringError
from tuneThreshold import Point

POOLED, MACRO = EqualError("pooled"), EqualError("macro")


class Bootstrap(NamedTuple):
    """How the intervals of a list and of its parts are drawn."""

    draws: int
    seed: int


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
    threshold_from: str | None = None,
    backend: Backend | None = None,
    cohort: np.ndarray | None = None,
    top: int = TOP,
    draws: int = 1000,
    seed: int = 0,
    threads: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    shard: Shard = Shard(),  # noqa: B008 it cannot be changed
) -> dict:
    """Score every pair of a list, and say everything about the scores.

    Parameters
    ----------
    embeddings : (N, D) of any real dtype, in memory or memory-mapped
    labels : (N,) system of each utterance
    languages, conditions : (N,) of each utterance, where known
    names : (N,) what an error calls each utterance, and by which repeated ones are known: their paths
    quick : only counts, pooled and macro EER with thresholds, and the least costs: what training asks for
    costs : operating points (p_target, c_miss, c_fa)
    false_acceptances : rates, fractions, at which the threshold and the hits are reported
    threshold : one tuned on another list (dev), at which this list's rates and costs are reported
    threshold_from : what that list is called
    backend : learned elsewhere, by which pairs are scored instead of by cosine
    cohort : (M, D) embeddings that normalise the scores (adaptive s-norm), with the `top` most alike of them
    draws : of the bootstrap; 0 for no intervals
    seed : of the bootstrap
    threads : by default one for each core this process may use
    device : "cpu", or a torch device such as "cuda"
    progress : whether long work shows a bar on stderr
    shard : this process's share of the work, where several score one list together; all get the same results

    Returns
    -------
    dict of plain numbers, text, lists and dicts, ready for JSON; rates are fractions. Keys: `utterances`, `systems`,
    `target_trials`, `nontarget_trials`, `passes`, `eer`, `threshold`, `macro_eer`, `macro_threshold`, `min_dcf` (a
    list), and unless `quick`: `repeated`, `intervals`, `at_false_acceptance`, `at_dev_threshold`, `cllr`, `min_cllr`,
    `conditions`, `languages`, `by_system`, `det`, `densities`.

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
    listed = _listed(embeddings, labels, names, backend, cohort, top)
    options, bootstrap = PassOptions(threads, device, progress, shard), Bootstrap(draws, seed)
    least = [LeastCost(*cost) for cost in costs]
    if quick:
        return _summary(listed, solve(listed, [POOLED, MACRO, *least], options=options), costs)

    groups = groups_for(len(listed.systems))
    rates = [FalseAcceptance(rate) for rate in false_acceptances]
    given = [] if threshold is None else [AtThreshold(threshold)]
    solved = solve(listed, [POOLED, MACRO, *least, *rates, *given], groups=groups, options=options)
    answers, counts = solved.answers, solved.counts
    points, more_passes = by_system(listed, counts, groups, options=options)
    target, nontarget = counts.pooled[::-1]

    result = _summary(listed, solved, costs)
    result["passes"] += more_passes
    result["repeated"] = 0 if names is None else len(names) - len(np.unique(names))
    result["intervals"] = _intervals(listed, solved, groups, bootstrap)
    result["at_false_acceptance"] = rates_as_dict(false_acceptances, [answers[rate] for rate in rates])
    result["at_dev_threshold"] = at_threshold_as_dict(answers[given[0]], costs, threshold_from) if given else None
    result["cllr"] = cllr(counts.to.centres(), target, nontarget)  # the scores taken as log-likelihood ratios
    result["min_cllr"] = min_cllr(target, nontarget)
    result["conditions"] = _cells(listed, conditions, "conditions", bootstrap, options, curves=True)
    result["languages"] = _cells(listed, languages, "languages", bootstrap, options)
    result["by_system"] = {
        str(listed.systems[i]): _system_cell(listed, int(listed.sizes[i]), points[i])
        for i in np.argsort(listed.systems)
    }
    result["det"], result["densities"] = trade_off(counts), densities(counts)
    return result


def _listed(
    embeddings: np.ndarray,
    labels: Sequence,
    names: Sequence | None,
    backend: Backend | None,
    cohort: np.ndarray | None,
    top: int,
) -> Utterances:
    """The list, ready for its pairs to be scored."""
    if backend is None:
        listed = utterances(embeddings, labels, names)
    else:
        listed = as_utterances(backend, embeddings, labels, names)
    if cohort is None:
        return listed
    if backend is not None and backend.name == "plda":
        raise ScoringError("score normalisation is of cosines, and plda gives likelihood ratios: choose one of them")
    return normalised(listed, cohort if backend is None else mapped(backend, cohort), top)


def _size(listed: Utterances) -> dict:
    targets, nontargets = listed.trials()
    return {
        "utterances": len(listed.rows),
        "systems": len(listed.systems),
        "target_trials": targets,
        "nontarget_trials": nontargets,
    }


def _summary(listed: Utterances, solved: Solution, costs: Sequence[Cost]) -> dict:
    """What even the quick evaluation reports."""
    least = [solved.answers[LeastCost(*cost)] for cost in costs]
    return {
        **_size(listed),
        "passes": solved.passes,
        **_equal_errors(solved),
        "min_dcf": costs_as_dict(costs, least),
    }


def _equal_errors(solved: Solution) -> dict:
    """Both EERs. The macro one is reported to 12 digits: beyond, it depends on the order in which threads add."""
    pooled, macro = solved.answers[POOLED], solved.answers[MACRO]
    return {
        "eer": pooled.eer,
        "threshold": pooled.threshold,
        "macro_eer": round(macro.eer, 12),
        "macro_threshold": macro.threshold,
    }


def _intervals(listed: Utterances, solved: Solution, groups: Groups, bootstrap: Bootstrap) -> dict | None:
    """The intervals of both EERs, and how they were made."""
    if not bootstrap.draws:
        return None
    eers = {"pooled": solved.answers[POOLED].eer, "macro": solved.answers[MACRO].eer}
    ends = intervals(solved.counts.groups, groups, listed.sizes, eers, **bootstrap._asdict())
    macro = ends["macro"] and [round(end, 12) for end in ends["macro"]]
    return {"level": LEVEL, "draws": bootstrap.draws, "over": "systems", "eer": ends["pooled"], "macro_eer": macro}


def _cells(
    listed: Utterances,
    values: Sequence | None,
    what: str,
    bootstrap: Bootstrap,
    options: PassOptions,
    curves: bool = False,
) -> dict[str, dict] | None:
    """EERs among the utterances of each value: both of a trial belong to it."""
    if values is None:
        return None
    values = column(values, what, len(listed.rows))[listed.order]
    return {
        str(value): _cell(listed.subset(values == value), f"{value}", bootstrap, options, curves)
        for value in np.unique(values)
    }


def _cell(listed: Utterances, title: str, bootstrap: Bootstrap, options: PassOptions, curves: bool) -> dict:
    """The EERs of a part of the list, or why it has none."""
    cell = _size(listed)
    if cell["systems"] == 1:
        return {**cell, "note": "one system only: no non-target trial"}
    if not cell["target_trials"]:
        return {**cell, "note": "one utterance of each system: no target trial"}
    groups = groups_for(len(listed.systems)) if bootstrap.draws else NO_GROUPS
    solved = solve(listed, [POOLED, MACRO], groups=groups, options=options, title=title)
    cell |= _equal_errors(solved)
    cell["intervals"] = _intervals(listed, solved, groups, bootstrap)
    return {**cell, "det": trade_off(solved.counts)} if curves else cell


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
