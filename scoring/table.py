"""The result of an evaluation as a table for the screen, rates in percent."""

from collections.abc import Callable


def table(result: dict, title: str = "", condition_name: Callable[[str], str] = str) -> str:
    """What `evaluate` returned, as text.

    Parameters
    ----------
    result : of `evaluate`, quick or whole, or of `evaluate_trials`
    title : of the list, printed above
    condition_name : what to call a condition
    """
    lines = [title] if title else []
    trials = f"{result['target_trials']:,} target and {result['nontarget_trials']:,} non-target trials"
    if "utterances" in result:  # a list whose pairs were all scored, not a list of trials
        trials = f"{result['utterances']:,} utterances of {result['systems']} systems: {trials}"
    lines.append(trials)
    if result.get("repeated"):
        lines.append(
            f"{result['repeated']} utterances repeat the path of another, and are counted as the list has them"
        )
    intervals = result.get("intervals") or {}
    for name, key, at in (("EER", "eer", "threshold"), ("macro EER", "macro_eer", "macro_threshold")):
        if key in result:
            ends = _interval(intervals.get(key))
            lines.append(f"{name:<10}{_percent(result[key])} %{ends}   at threshold {result[at]:.6f}")
    lines += _points(result)
    for key, first in (("conditions", "condition"), ("languages", "language"), ("by_system", "system")):
        if result.get(key):
            called = condition_name if key == "conditions" else str
            lines += ["", *_cells({called(name): cell for name, cell in result[key].items()}, first)]
    if intervals.get("eer"):
        level, draws = intervals["level"], intervals["draws"]
        lines += ["", f"[ ]: {level:.0%} interval, bootstrap over systems, {draws:,} draws"]
    return "\n".join(lines)


def _percent(rate: float) -> str:
    return f"{100 * rate:7.3f}"


def _interval(ends: list[float] | None) -> str:
    return f" [{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]" if ends else ""


def _points(result: dict) -> list[str]:
    """Costs, hits at wanted false acceptance, and what the threshold of another list gives."""
    lines = []
    for cost in result["min_dcf"]:
        lines.append(
            f"minDCF    {cost['min_dcf']:9.5f}   p_target {cost['p_target']:g}, costs {cost['c_miss']:g} and"
            f" {cost['c_fa']:g}, at threshold {cost['threshold']:.6f}"
        )
    for point in result.get("at_false_acceptance", ()):
        lines.append(
            f"TPR       {_percent(point['tpr'])} %   at FPR {100 * point['wanted']:g} %,"
            f" threshold {point['threshold']:.6f}"
        )
    if given := result.get("at_dev_threshold"):
        dcf = ", ".join(f"{cost['dcf']:.5f}" for cost in given["dcf"])
        lines.append(
            f"at the threshold {given['threshold']:.6f} of {given['threshold_from'] or 'another list'}:"
            f" FPR {_percent(given['fpr']).strip()} %, FNR {_percent(given['fnr']).strip()} %, DCF {dcf}"
        )
    if "cllr" in result:
        lines.append(f"Cllr      {result['cllr']:9.5f}   as scored, {result['min_cllr']:.5f} at best calibration")
    return lines


def _cells(cells: dict[str, dict], first: str) -> list[str]:
    """A row for each condition, language or system."""
    macro = any("macro_eer" in cell for cell in cells.values())
    width = max(len(first), *(len(name) for name in cells))
    head = f"{first:<{width}}  {'utts':>7}  {'systems':>7}  " if macro else f"{first:<{width}}  {'utts':>7}  "
    heads = f"{'EER %':>8}{'':18}{'macro EER %':>12}" if macro else f"{'EER %':>8}  {'threshold':>10}"
    rows = [(head + heads).rstrip()]
    for name, cell in cells.items():
        row = f"{name:<{width}}  {cell['utterances']:>7,}  "
        row += f"{cell['systems']:>7}  " if macro else ""
        if "note" in cell:
            rows.append(row + "  " + cell["note"])
            continue
        row += f"{100 * cell['eer']:>8.3f}"
        if macro:
            ends = cell.get("intervals") or {}
            row += f"{_interval(ends.get('eer')):<18}{100 * cell['macro_eer']:>12.3f}{_interval(ends.get('macro_eer'))}"
        else:
            row += f"  {cell['threshold']:>10.6f}"
        rows.append(row.rstrip())
    return rows
