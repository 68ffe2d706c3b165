"""The small charts of a report: learning curves, DET curves, EER by condition, as PNG bytes."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from analysis.palette import look
from analysis.png import png
from analysis.tracing import Rates

TICKS = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5])
PANELS = {
    "loss": ("loss", 1.0),
    "accuracy_percent": ("train accuracy, %", 1.0),
    "dev_eer": ("dev EER, %", 100.0),
    "lr": ("learning rate", 1.0),
}


def axes_of(figure: Figure, count: int):
    """`count` axes side by side, with a pale grid and no frame on top and right."""
    every = figure.subplots(1, count, squeeze=False)[0]
    for axes in every:
        axes.grid(color="#e4e6ea", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return every


def legend_below(figure: Figure, axes, columns: int = 1) -> None:
    """The names of the lines below all panels, where there is more than one."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=8.5, frameon=False)


def learning_curves(runs: dict[str, list[dict]]) -> bytes:
    """Loss, accuracy, dev EER and learning rate over epochs, a line each run."""
    figure = Figure(figsize=(13, 3.4 + 0.12 * len(runs)), layout="constrained")
    panels = axes_of(figure, len(PANELS))
    for axes, (key, (title, scale)) in zip(panels, PANELS.items(), strict=True):
        for n, (name, rows) in enumerate(runs.items()):
            points = [(row["epoch"], scale * row[key]) for row in rows if row.get(key) is not None]
            mark = "o" if len(points) < 30 else None
            if points:
                axes.plot(
                    *zip(*points, strict=True), color=look(n)[0], marker=mark, markersize=3, linewidth=1.5, label=name
                )
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("epoch", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, panels[0], columns=2)
    return png(figure)


def det_curves(runs: dict[str, Rates], title: str) -> bytes:
    """False rejection over false acceptance, both on the scale of normal deviates (Martin et al., Eurospeech 1997)."""
    figure = Figure(figsize=(6.4, 5.8 + 0.2 * len(runs)), layout="constrained")
    (axes,) = axes_of(figure, 1)
    for n, (name, found) in enumerate(runs.items()):
        inside = (found.fpr > 0) & (found.fnr > 0) & (found.fpr < 1) & (found.fnr < 1)
        x, y = norm.ppf(found.fpr[inside]), norm.ppf(found.fnr[inside])
        axes.plot(x, y, color=look(n)[0], linewidth=1.6, label=name)
    ends = norm.ppf([0.0007, 0.6])
    axes.plot(ends, ends, color="#9aa0ae", linewidth=0.8, linestyle=":")
    texts = [f"{100 * tick:g}" for tick in TICKS]
    axes.set_xticks(norm.ppf(TICKS), texts)
    axes.set_yticks(norm.ppf(TICKS), texts)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.set_xlabel("false acceptance, %", fontsize=9)
    axes.set_ylabel("false rejection, %", fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    legend_below(figure, axes)
    return png(figure)


def conditions_chart(runs: dict[str, dict[str, Rates]], title: str) -> bytes:
    """Pooled EER of each condition with its interval, a colour each run."""
    names = list(dict.fromkeys(name for conditions in runs.values() for name in conditions))
    figure = Figure(figsize=(7, 1.6 + 0.32 * len(names) * (1 + len(runs)) ** 0.8), layout="constrained")
    (axes,) = axes_of(figure, 1)
    step = 0.7 / len(runs)
    for n, (run, conditions) in enumerate(runs.items()):
        for name, found in conditions.items():
            if found.eer is None:
                continue
            y = names.index(name) + (n - (len(runs) - 1) / 2) * step
            ends = found.interval or (found.eer, found.eer)
            label = run if name == "all" else None
            axes.plot([100 * end for end in ends], [y, y], color=look(n)[0], linewidth=2, alpha=0.6)
            axes.plot([100 * found.eer], [y], "o", color=look(n)[0], markersize=6, label=label)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("EER, %, with 95 % interval over systems", fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    legend_below(figure, axes)
    return png(figure)
