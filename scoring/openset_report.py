"""An open-set report: every score and every metric of a list, and from where each threshold comes."""

from collections.abc import Sequence

import numpy as np

from scoring import openset, openset_scores
from scoring.openset import METRICS, Case, Ranking, Thresholds
from scoring.openset_published import as_published
from settings.errors import ScoringError

Table = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # embeddings (N, D), labels (N,), logits (N, C) or None

DEFAULTS = openset_scores.Settings()


def report(
    train: Table,
    test: Table,
    dev: Table | None = None,
    *,
    names: Sequence[str] = (),
    settings: openset_scores.Settings = DEFAULTS,
    draws: int = 300,
    seed: int = 0,
    published: bool = False,
) -> dict:
    """Metrics of a test list whose systems are known (in the train list) or not.

    Parameters
    ----------
    train, test, dev : embeddings (N, D), labels (N,), logits (N, C) or None; dev gives thresholds
    names : of scores; by default all that there are logits for
    draws, seed : of the bootstrap over systems
    published : whether to add the official baseline's convention

    Returns
    -------
    dict of plain data for JSON. `scores` has for each score `higher_score_means` and `metrics`, by name: `pooled`,
    `macro`, their intervals, and `positive` and `threshold_from`.
    """
    known = openset_scores.known(*train)
    with_logits = all(table is None or table[2] is not None for table in (train, test, dev))
    names = names or [name for name in openset_scores.NAMES if with_logits or name not in openset_scores.OF_LOGITS]
    is_known = np.isin(test[1], known.systems)
    found = {
        "known_utterances": int(is_known.sum()),
        "unknown_utterances": int((~is_known).sum()),
        "known_systems": len(np.unique(test[1][is_known])),
        "unknown_systems": len(np.unique(test[1][~is_known])),
        "temperature": settings.temperature,
        "neighbours": settings.neighbours,
        "intervals": {"level": openset.LEVEL, "draws": draws, "over": "systems"} if draws else None,
        "scores": {},
    }
    for name in names:

        def case_of(table: Table, name: str = name) -> Case:
            scored = openset_scores.score(name, known, table[0], table[2], settings)
            return openset.case(scored.scores, scored.nearest, table[1], known.systems)

        thresholds = None if dev is None else openset.tune(case_of(dev))
        found["scores"][name] = _one_score(case_of(test), thresholds, draws, seed)
    if published:
        found["as_published"] = _published(train, test, dev, known.systems)
    return found


def _one_score(case: Case, thresholds: Thresholds | None, draws: int, seed: int) -> dict:
    """All metrics of one score."""
    ranking = Ranking(case)
    pooled = openset.measure(ranking, np.ones(len(case.scores)), thresholds)
    macro = openset.measure(ranking, openset.macro_weights(case), thresholds)
    ends = openset.intervals(ranking, thresholds, draws, seed) if draws else {}
    metrics = {
        name: {
            "pooled": pooled[name],
            "macro": macro[name],
            "pooled_interval": ends.get("pooled", {}).get(name),
            "macro_interval": ends.get("macro", {}).get(name),
            "positive": METRICS[name].positive,
            "higher_score_means": "known",
            "threshold_from": METRICS[name].threshold_from,
        }
        for name in METRICS
        if name in pooled
    }
    own = None if thresholds is None else {"dev_95_tpr": thresholds.caught, "dev_eer": thresholds.equal}
    return {"higher_score_means": "known", "thresholds": own, "metrics": metrics}


def _published(train: Table, test: Table, dev: Table | None, systems: np.ndarray) -> dict:
    if dev is None:
        raise ScoringError("--as-published needs --dev: the official baseline takes its threshold from dev")
    if any(table[2] is None for table in (train, test, dev)):
        raise ScoringError("--as-published needs logits, and a file has none: save it again with --save_embeddings")
    parts = [(table[0], table[2], np.isin(table[1], systems)) for table in (dev, test)]
    for (_, _, known), which in zip(parts, ("dev", "test"), strict=True):
        if known.all() or not known.any():
            raise ScoringError(f"all systems of {which} are {'known' if known.all() else 'unknown'}: both are needed")
    return as_published((train[0], train[2]), *parts)


def table(found: dict, title: str = "") -> str:
    """The report for people, rates in percent."""
    lines = [title] if title else []
    lines.append(
        f"{found['known_utterances']:,} utterances of {found['known_systems']} known systems,"
        f" {found['unknown_utterances']:,} of {found['unknown_systems']} unknown ones (not in the train list)"
    )
    for name, score in found["scores"].items():
        lines += ["", f"{name} (higher: known)"]
        lines.append(f"  {'':<65}{'pooled %':>8} {'':<16}{'macro %':>8}")
        for key, metric in score["metrics"].items():
            what = METRICS[key]
            label = f"{what.title} [{what.positive}; {what.threshold_from}]"
            cells = [
                f"{100 * metric[weighing]:>8.2f} {_ends(metric[f'{weighing}_interval']):<16}"
                for weighing in ("pooled", "macro")
            ]
            lines.append(f"  {label:<65}{''.join(cells)}".rstrip())
    lines += ["", "[positive class; threshold from]; intervals: bootstrap over systems" if found["intervals"] else ""]
    if "as_published" in found:
        lines += _published_lines(found["as_published"])
    return "\n".join(lines).rstrip()


def _ends(ends: list[float] | None) -> str:
    return "" if ends is None else f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"


def _published_lines(found: dict) -> list[str]:
    return [
        "",
        "as the official baseline publishes it (NSD, read as: higher means unknown; padded with rows of zeros)",
        f"  dev EER {100 * found['dev_eer']:.2f} % at threshold {found['threshold']:.4f}; test at that threshold:"
        f" accuracy {100 * found['accuracy']:.2f} %, macro-F1 {100 * found['macro_f1']:.2f} %,"
        f" recall of unknown {100 * found['unknown_recall']:.2f} %, of known {100 * found['known_recall']:.2f} %",
    ]
