"""Answers as plain dictionaries, ready for JSON: what every kind of evaluation reports in the same words."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from scoring.operating_points import MinCost
from settings.errors import ScoringError
from tuneThreshold import Point, check_costs, detection_costs

Cost = tuple[float, float, float]  # p_target, c_miss, c_fa


def check_options(costs: Sequence[Cost], false_acceptances: Sequence[float], threshold: float | None) -> None:
    """Raise a ScoringError for options out of range."""
    for cost in costs:
        if len(cost) != 3:
            raise ScoringError(f"an operating point is three numbers, p_target, c_miss and c_fa, not {cost}")
        check_costs(*cost)
    for rate in false_acceptances:
        if not 0 <= rate <= 1:
            raise ScoringError(f"a false acceptance rate is a fraction between 0 and 1, not {rate}")
    if threshold is not None and not np.isfinite(threshold):
        raise ScoringError(f"the threshold must be a number, not {threshold}")


def costs_as_dict(costs: Sequence[Cost], least: Sequence[MinCost]) -> list[dict]:
    """The least detection cost at each operating point, and where."""
    return [
        {"p_target": p_target, "c_miss": c_miss, "c_fa": c_fa, "min_dcf": found.cost, **asdict(found.point)}
        for (p_target, c_miss, c_fa), found in zip(costs, least, strict=True)
    ]


def rates_as_dict(wanted: Sequence[float], points: Sequence[Point]) -> list[dict]:
    """The hits and the threshold at each wanted false acceptance rate."""
    return [
        {"wanted": rate, "tpr": 1 - point.fnr, "fpr": point.fpr, "threshold": point.threshold}
        for rate, point in zip(wanted, points, strict=True)
    ]


def at_threshold_as_dict(point: Point, costs: Sequence[Cost], threshold_from: str | None) -> dict:
    """Rates and actual detection costs at a threshold that comes from elsewhere."""
    return {
        **asdict(point),
        "threshold_from": threshold_from,
        "dcf": [
            {
                "p_target": p,
                "c_miss": miss,
                "c_fa": fa,
                "dcf": float(detection_costs(point.fnr, point.fpr, p, miss, fa)),
            }
            for p, miss, fa in costs
        ],
    }
