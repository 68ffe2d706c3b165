"""Score every pair of a list's embeddings, exactly, and say how well they trace the systems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trials.arrays import utterances
from trials.exact import ask
from trials.questions import EqualError, LeastCost
from tuneThreshold import ScoringError, check_costs

__all__ = ["ScoringError", "evaluate"]


def evaluate(
    embeddings: np.ndarray,
    labels: Sequence,
    *,
    names: Sequence | None = None,
    costs: Sequence[tuple[float, float, float]] = ((0.05, 1.0, 1.0),),
    threads: int | None = None,
    progress: bool = False,
) -> dict:
    """Everything about the scores of all pairs."""
    for point in costs:
        check_costs(*point)
    listed = utterances(embeddings, labels, names)
    questions = [EqualError("pooled"), EqualError("macro"), *(LeastCost(*point) for point in costs)]
    (pooled, macro, *least), _ = ask(listed, questions, threads=threads, progress=progress)
    targets, nontargets = listed.trials()
    return {
        "utterances": len(listed.rows),
        "systems": len(listed.systems),
        "target_trials": targets,
        "nontarget_trials": nontargets,
        "eer": pooled.eer,
        "threshold": pooled.threshold,
        "macro_eer": macro.eer,
        "macro_threshold": macro.threshold,
        "min_dcf": [
            {"p_target": p, "c_miss": miss, "c_fa": fa, "min_dcf": cost, "threshold": point.threshold}
            for (p, miss, fa), (cost, point) in zip(costs, least, strict=True)
        ],
    }
