"""The trade-off of errors and the densities of the scores, as pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy import stats

TICKS = np.array([0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98])
COLOURS = ("black", "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")


def det_figure(curves: Mapping[str, dict], title: str = ""):
    """False rejection against false acceptance on normal-deviate axes, a dot at each curve's EER.

    Martin et al., "The DET curve in assessment of detection task performance" (Eurospeech 1997).

    Parameters
    ----------
    curves : name to a list's or a condition's cell of `evaluate`: its `eer` and its `det`, fractions; the first is
        drawn thicker. A cell without an `eer` is not drawn.
    title : above the axes

    Returns
    -------
    matplotlib.figure.Figure
    """
    curves = {name: cell for name, cell in curves.items() if cell.get("eer") is not None}
    figure, axes = _figure(6.4, 6.4)
    reached = [0.05, 0.5]
    for (name, cell), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        label = f"{name}: EER {100 * cell['eer']:.2f} %"
        fpr, fnr = np.clip(cell["det"]["fpr"], 1e-6, 1 - 1e-6), np.clip(cell["det"]["fnr"], 1e-6, 1 - 1e-6)
        width = 2 if name == next(iter(curves)) else 1.2
        axes.plot(stats.norm.ppf(fpr), stats.norm.ppf(fnr), color=colour, linewidth=width, label=label)
        if 0 < cell["eer"] < 1:
            spot = stats.norm.ppf(cell["eer"])
            axes.plot(spot, spot, "o", color=colour, markersize=6)
            reached.append(cell["eer"])
    least, most = max(TICKS[0], min(reached) / 10), min(TICKS[-1], max(0.6, max(reached) * 1.5))
    ends = stats.norm.ppf([least, most])
    axes.plot(ends, ends, color="0.8", linewidth=0.8, zorder=0)
    shown = TICKS[(least <= TICKS) & (most >= TICKS)]
    for axis, what in ((axes.xaxis, "false acceptance"), (axes.yaxis, "false rejection")):
        axis.set_ticks(stats.norm.ppf(shown), [f"{100 * tick:g}" for tick in shown])
        axis.set_label_text(f"{what} rate, %")
    axes.set(xlim=ends, ylim=ends, title=title or "detection error trade-off", aspect="equal")
    axes.grid(True, linewidth=0.4, alpha=0.6)
    axes.legend(loc="upper right", fontsize="small")
    return figure


def draw_det(result: dict, path: str | Path, title: str = "", condition_name: Callable[[str], str] = str) -> None:
    """The PNG of `det_figure`: a curve for the list and for each condition.

    Parameters
    ----------
    result : of `evaluate`, not quick
    path : of the PNG
    title : of the list
    condition_name : what to call a condition
    """
    conditions = {condition_name(name): cell for name, cell in (result.get("conditions") or {}).items()}
    det_figure({"all": result, **conditions}, title).savefig(path, format="png", dpi=130)


def draw_scores(result: dict, path: str | Path, title: str = "") -> None:
    """Densities of target and non-target scores, and the threshold of the EER.

    Parameters
    ----------
    result : of `evaluate`, not quick
    path : of the PNG
    title : of the list
    """
    bars = result["densities"]
    middles = np.linspace(bars["low"], bars["high"], len(bars["target"]) + 1)
    middles = (middles[1:] + middles[:-1]) / 2
    figure, axes = _figure(7.2, 4.2)
    for kind, colour, name in (("nontarget", "tab:blue", "non-target"), ("target", "tab:orange", "target")):
        axes.fill_between(middles, bars[kind], color=colour, alpha=0.35, linewidth=0)
        axes.plot(
            middles, bars[kind], color=colour, linewidth=1.2, label=f"{name}, {result[f'{kind}_trials']:,} trials"
        )
    at = f"EER {100 * result['eer']:.2f} % at {result['threshold']:.3f}"
    axes.axvline(result["threshold"], color="black", linestyle="--", linewidth=1, label=at)
    seen = middles[(np.array(bars["target"]) > 0) | (np.array(bars["nontarget"]) > 0)]
    highest = 1.3 * max(*bars["target"], *bars["nontarget"])  # room for the legend above the curves
    aside = max(middles[1] - middles[0], 1e-3)  # all scores may lie in one bar
    ends = (seen.min() - aside, seen.max() + aside)
    axes.set(xlim=ends, ylim=(0, highest), xlabel="score", ylabel="density", title=title or "scores")
    axes.legend(loc="upper center", ncols=3, fontsize="small")
    figure.savefig(path, format="png", dpi=130)


def _figure(width: float, height: float):
    """A figure of its own, without pyplot: no display and no state that others share."""
    from matplotlib.figure import Figure  # half a second, which scoring alone need not wait for

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()
