"""Trials and their error rates, from arrays alone: all pairs of a list scored exactly, trial lists, results, plots."""

import importlib

WHERE = {
    "draw_det": "plots",
    "draw_scores": "plots",
    "evaluate": "all_pairs",
    "evaluate_trials": "trial_list",
    "read_trials": "trial_list",
    "score_pairs": "trial_list",
    "write_results": "files",
    "write_scores": "files",
}

__all__ = list(WHERE)


def __getattr__(name: str) -> object:
    """Each from its module, imported when it is first asked for (PEP 562): importing this package costs nothing."""
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"scoring.{WHERE[name]}"), name)
