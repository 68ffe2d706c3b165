"""Whether one recipe has fewer errors than another: one list, embedded by models of several seeds of each.

Two things were sampled: the seeds, and the systems of the list. A draw takes as many of each as there are, with
replacement (see `scoring.bootstrap`), and the same ones for both recipes, so that what is hard for both cancels out.
Its EERs are averaged over its seeds, and the ratio of the two means is reported: 0.8 is a fifth fewer errors.
"""

from collections.abc import Sequence

import numpy as np

from scoring.bootstrap import FEWEST, LEVEL, draw_systems, drawn_eers, widening
from scoring.counts import groups_for
from scoring.embeddings import Utterances
from scoring.exact import solve
from scoring.operating_points import EqualError
from scoring.passes import ALONE, PassOptions
from settings.errors import ScoringError

CURVES = {name: EqualError(name) for name in ("pooled", "macro")}


def compare(
    before: Sequence[Utterances],
    after: Sequence[Utterances],
    *,
    draws: int = 1000,
    seed: int = 0,
    options: PassOptions = ALONE,
) -> dict[str, dict]:
    """Compare two recipes on one list.

    Parameters
    ----------
    before, after : the list as each of K models of a recipe embeds it; entry k of both has the same seed
    draws, seed : of the bootstrap
    options : of the passes over all trials

    Returns
    -------
    for "pooled" and "macro" EER a dict: `before` and `after` (K fractions each), `ratio` of their means, its `interval`
    [low, high] at 95 %, and `fewer`, the share of draws in which `after` has fewer errors. The last three are None
    where they cannot be had: no errors before, fewer than five systems, or less than two seeds.

    Raises
    ------
    ScoringError
        Where the recipes have not as many seeds, or the lists differ.
    """
    if len(before) != len(after) or not before:
        raise ScoringError(
            f"{len(before)} and {len(after)} files: give as many of one recipe as of the other, seed by seed"
        )
    first = before[0]
    for other in (*before, *after):
        if not (np.array_equal(other.systems, first.systems) and np.array_equal(other.sizes, first.sizes)):
            raise ScoringError("the files are of different lists: their systems or numbers of utterances differ")
    generator = np.random.default_rng(seed)
    systems = draw_systems(first.sizes, draws, generator)
    seeds = generator.multinomial(len(before), np.full(len(before), 1 / len(before)), size=len(systems))
    found = [[_eers(listed, systems, options) for listed in recipe] for recipe in (before, after)]
    enough = len(before) > 1 and min(len(first.sizes), int((first.sizes > 1).sum())) >= FEWEST
    return {
        curve: _ratio([[eers[curve] for eers in r] for r in found], seeds, len(first.sizes), enough) for curve in CURVES
    }


def _eers(listed: Utterances, systems: np.ndarray, options: PassOptions) -> dict[str, tuple[float, np.ndarray]]:
    """For each curve the EER of the list and the (draws,) EERs of the draws of its systems."""
    groups = groups_for(len(listed.systems))
    solved = solve(listed, list(CURVES.values()), groups=groups, options=options)
    drawn = drawn_eers(solved.counts.groups, groups, listed.sizes, systems, list(CURVES))
    return {curve: (solved.answers[point].eer, drawn[curve]) for curve, point in CURVES.items()}


def _ratio(recipes: list[list[tuple[float, np.ndarray]]], seeds: np.ndarray, systems: int, enough: bool) -> dict:
    """One curve's comparison, from each recipe's (EER, drawn EERs) of each seed."""
    eers = [[eer for eer, _ in recipe] for recipe in recipes]
    means = [float(np.mean(values)) for values in eers]
    result = {"before": eers[0], "after": eers[1], "ratio": None, "interval": None, "fewer": None}
    if not means[0]:
        return result
    result["ratio"] = means[1] / means[0]
    drawn = [(seeds * np.stack([values for _, values in recipe], axis=1)).sum(axis=1) for recipe in recipes]
    both = (drawn[0] > 0) & (drawn[1] > 0)
    if enough and means[1] and both.mean() > 0.99:
        logs = np.log(drawn[1][both] / drawn[0][both])
        low, middle, high = np.quantile(logs, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        ends = np.exp(np.log(result["ratio"]) + widening(systems) * (np.array([low, high]) - middle))
        result["interval"] = [float(end) for end in ends]
    if enough:
        result["fewer"] = float((drawn[1] < drawn[0]).mean() + (drawn[1] == drawn[0]).mean() / 2)
    return result


def table(found: dict[str, dict]) -> str:
    """`compare`'s results of several parts of a list, by the part's name, for people: rates in percent."""
    lines = [f"{'':<40}{'before':>16}{'after':>18}{'ratio':>8}{'95 % interval':>16}{'fewer errors in':>17}"]
    for part, curves in found.items():
        for curve, result in curves.items():
            means = "".join(f"{_mean(result[which]):>{width}}" for which, width in (("before", 16), ("after", 18)))
            ratio = "" if result["ratio"] is None else f"{result['ratio']:.3f}"
            ends = "" if result["interval"] is None else "[{:.2f}, {:.2f}]".format(*result["interval"])
            fewer = "" if result["fewer"] is None else f"{result['fewer']:.1%} of draws"
            lines.append(
                f"{part if curve == 'pooled' else '':<33}{curve:<7}{means}{ratio:>8}{ends:>16}{fewer:>17}".rstrip()
            )
    return "\n".join(lines)


def _mean(eers: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    spread = f" ± {100 * np.std(eers, ddof=1):.2f}" if len(eers) > 1 else ""
    return f"{100 * np.mean(eers):.2f}{spread}"
