"""What a court or a reviewer asks of a calibrated bank, measured on a test list: plain data for a page."""

import numpy as np

from identification.calibrate import Judged, best_ratios, by_condition, comparisons, judge, weighted_curve
from identification.lists import Listed
from identification.scores import Prepared
from scoring.calibration import Comparisons, weights
from scoring.cllr import min_cllr
from settings.errors import DataError
from tuneThreshold import equal_error

LEVEL = 0.95
POINTS = 200  # of a Tippett curve
BINS = 10  # of the reliability diagram
RANKS = (1, 5)


def validate(prepared: Prepared, listed: Listed, *, draws: int = 500, seed: int = 0) -> dict:
    """Measure the answers of a calibrated bank.

    Every system, and every pair of systems, weighs the same. Intervals are of a bootstrap over systems.

    Returns
    -------
    dict of plain data: `cllr`, `min_cllr` with intervals, `tippett`, `reliability`, `rank_1`, `rank_5`, `named`,
    `unknown`, `conditions`, `by_system`, `left_out`

    Raises
    ------
    DataError
        Where no utterance is of an enrolled system.
    """
    judged = judge(prepared, listed.embeddings, listed.systems, listed.conditions)
    if not (judged.owner >= 0).any():
        raise DataError(f"{listed.source}: none of its systems is enrolled in the bank")
    found, calibration = comparisons(judged), prepared.bank.calibration
    natural = calibration.identify.natural(judged.scores)
    log10 = calibration.identify.log10(found.scores)
    names = prepared.bank.systems
    return {
        "list": listed.source,
        "utterances": len(judged.codes),
        "known_utterances": int((judged.owner >= 0).sum()),
        "systems": len(np.unique(judged.codes)),
        "draws": draws,
        **_cllr(found, log10 * np.log(10), draws, seed),
        "tippett": tippett(found, log10),
        "reliability": reliability(found, log10),
        **_rates(judged, natural, calibration.threshold, draws, seed),
        "unknown": _unknown(judged, natural),
        "conditions": _conditions(judged, natural, calibration.threshold, found, log10 * np.log(10)),
        "by_system": _by_system(judged, natural, calibration.threshold, names),
        "left_out": _left_out(judged, natural, calibration.threshold, names),
    }


def _cllr(found: Comparisons, ratios: np.ndarray, draws: int, seed: int) -> dict:
    """Cllr of the ratios as they are, and at the best calibration of this list, with intervals."""
    systems = np.unique(np.concatenate([found.source, found.against]))
    generator, drawn = np.random.default_rng(seed), []
    bits = np.logaddexp(0, np.where(found.targets, -1, 1) * ratios) / np.log(2)
    _, level = np.unique(found.scores, return_inverse=True)

    def both(weight: np.ndarray) -> tuple[float, float]:
        kinds = [np.bincount(level[kind], weight[kind], level.max() + 1) for kind in (found.targets, ~found.targets)]
        return float(weight @ bits / 2), min_cllr(*kinds)

    for _ in range(draws):
        times = np.zeros(systems.max() + 1)
        times[systems] = generator.multinomial(len(systems), np.full(len(systems), 1 / len(systems)))
        kinds = found.targets[times[found.source] * times[found.against] > 0]
        if kinds.any() and not kinds.all():
            drawn.append(both(weights(found, times)))
    cost, least = both(weights(found))
    ends = _ends(np.array(drawn)) if drawn else [None, None]
    return {"cllr": cost, "cllr_interval": ends[0], "min_cllr": least, "min_cllr_interval": ends[1]}


def _ends(drawn: np.ndarray) -> list[list[float]]:
    """[low, high] of each column of (draws, K)."""
    return np.percentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0).T.tolist()


def tippett(found: Comparisons, log10: np.ndarray) -> dict:
    """Shares of target and of non-target comparisons with a ratio above each of a row of log10 ratios.

    Tippett et al., "The evidential value of the comparison of paint flakes" (1968), as forensic speech uses it.
    """
    at = np.linspace(log10.min() - 0.1, log10.max() + 0.1, POINTS)
    weight = weights(found)
    shares = {}
    for name, kind in (("targets", found.targets), ("nontargets", ~found.targets)):
        order = np.argsort(log10[kind])
        above = np.append(np.cumsum(weight[kind][order][::-1])[::-1], 0.0)
        shares[name] = above[np.searchsorted(log10[kind][order], at, side="right")].tolist()
    misleading = [float(weight[found.targets & (log10 < 0)].sum()), float(weight[~found.targets & (log10 > 0)].sum())]
    return {
        "log10_lr": at.tolist(),
        **shares,
        "misleading_targets": misleading[0],
        "misleading_nontargets": misleading[1],
    }


def reliability(found: Comparisons, log10: np.ndarray) -> list[dict]:
    """Bins of the posterior at even odds: what was said on average, and which share were targets."""
    weight = weights(found)
    said = 1 / (1 + 10.0**-log10)
    rows = []
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        inside = place == number
        if inside.any():
            total = weight[inside].sum()
            share = weight[inside & found.targets].sum() / total
            rows.append(
                {
                    "said": float(weight[inside] @ said[inside] / total),
                    "share": float(share),
                    "comparisons": int(inside.sum()),
                }
            )
    return rows


def _outcomes(judged: Judged, natural: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """(N,) bool of each utterance: in the first ranks (known ones), named, named rightly."""
    best = natural.argmax(axis=1)
    own = np.take_along_axis(natural, np.maximum(judged.owner, 0)[:, None], axis=1)
    place = (natural > own).sum(axis=1)  # 0: nothing above its own system
    known, named = judged.owner >= 0, natural.max(axis=1) >= threshold
    ranks = {f"rank_{rank}": known & (place < rank) for rank in RANKS}
    return ranks | {"known": known, "named": named, "right": named & (best == judged.owner)}


def _rates(judged: Judged, natural: np.ndarray, threshold: float, draws: int, seed: int) -> dict:
    """Identification rates, and what becomes of known and unknown recordings at the threshold."""
    of = _outcomes(judged, natural, threshold)
    known, unknown = of["known"], ~of["known"]
    wanted = {f"rank_{rank}": (of[f"rank_{rank}"], known) for rank in RANKS}
    wanted |= {
        "named_rightly": (of["right"], known),
        "named_wrongly": (of["named"] & ~of["right"], known),
        "missed": (~of["named"], known),
        "unknown_named": (of["named"], unknown),
    }
    found = {name: _rate(*pair, judged.codes, draws, seed) for name, pair in wanted.items() if pair[1].any()}
    named = int(of["named"].sum())
    wrong = int((of["named"] & ~of["right"]).sum())
    return {"rates": found, "named": {"utterances": named, "wrong": wrong, "coverage": named / len(known)}}


def _rate(hit: np.ndarray, among: np.ndarray, codes: np.ndarray, draws: int, seed: int) -> dict:
    """A share, pooled and as the mean over systems, with the interval of the latter."""
    systems, own = np.unique(codes[among], return_inverse=True)
    rates = np.bincount(own, hit[among]) / np.bincount(own)
    generator = np.random.default_rng(seed)
    drawn = rates[generator.integers(len(rates), size=(draws, len(rates)))].mean(axis=1)
    ends = _ends(drawn[:, None])[0] if draws and len(systems) > 1 else None
    return {"pooled": float(hit[among].mean()), "macro": float(rates.mean()), "interval": ends}


def _unknown(judged: Judged, natural: np.ndarray) -> dict:
    """How well known and unknown systems part by the highest ratio, at this list's own equal-error threshold."""
    highest, known, codes, left_out = best_ratios(judged, natural)
    point = equal_error(weighted_curve(highest, known, codes))
    return {"eer": point.eer, "threshold_log10_lr": point.threshold / np.log(10), "left_out": left_out}


def _conditions(
    judged: Judged, natural: np.ndarray, threshold: float, found: Comparisons, ratios: np.ndarray
) -> list[dict]:
    """A row for all, and for each condition."""
    of, rows = _outcomes(judged, natural, threshold), by_condition(judged, found.scores, ratios, found)
    for row in rows:
        inside = np.ones(len(judged.codes), bool)
        if row["condition"] != "all":
            inside = np.asarray(judged.conditions) == row["condition"]
        known, unknown = inside & of["known"], inside & ~of["known"]
        row["rank_1"] = float(of["rank_1"][known].mean()) if known.any() else None
        row["named_rightly"] = float(of["right"][known].mean()) if known.any() else None
        row["unknown_named"] = float(of["named"][unknown].mean()) if unknown.any() else None
    return rows


def _by_system(judged: Judged, natural: np.ndarray, threshold: float, names: list[str]) -> list[dict]:
    """A row for each system of the list: how it fared, and what it is taken for most."""
    of, best, rows = _outcomes(judged, natural, threshold), natural.argmax(axis=1), []
    for system in np.unique(judged.systems):
        own = judged.systems == system
        wrong = np.bincount(best[own & of["named"] & ~of["right"]], minlength=len(names))
        rows.append(
            {
                "system": str(system),
                "utterances": int(own.sum()),
                "enrolled": bool(of["known"][own][0]),
                "rank_1": float(of["rank_1"][own].mean()) if of["known"][own][0] else None,
                "named_rightly": float(of["right"][own].mean()),
                "named_wrongly": float((of["named"] & ~of["right"])[own].mean()),
                "called_unknown": float((~of["named"])[own].mean()),
                "taken_for": names[wrong.argmax()] if wrong.any() else None,
            }
        )
    return rows


def _left_out(judged: Judged, natural: np.ndarray, threshold: float, names: list[str]) -> list[dict]:
    """A row for each enrolled system of the list, had it not been enrolled: how often another one would be named."""
    rows = []
    for system in np.unique(judged.owner[judged.owner >= 0]) if len(names) > 1 else ():
        rest = np.delete(natural[judged.owner == system], system, axis=1)
        others = [name for number, name in enumerate(names) if number != system]
        named = rest.max(axis=1) >= threshold
        taken = np.bincount(rest.argmax(axis=1)[named], minlength=len(others))
        rows.append(
            {
                "system": names[system],
                "utterances": len(rest),
                "named": float(named.mean()),
                "taken_for": others[taken.argmax()] if named.any() else None,
            }
        )
    return rows
