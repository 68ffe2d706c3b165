"""Trials and their error rates, from arrays alone: all pairs of a list scored exactly, trial lists, results, plots."""

from scoring.all_pairs import evaluate
from scoring.files import write_results, write_scores
from scoring.plots import draw_det, draw_scores
from scoring.table import table
from scoring.trial_list import evaluate_trials, read_trials, score_pairs

__all__ = [
    "draw_det",
    "draw_scores",
    "evaluate",
    "evaluate_trials",
    "read_trials",
    "score_pairs",
    "table",
    "write_results",
    "write_scores",
]
