"""The small charts of a report: learning curves, DET curves, EER by condition, as PNG bytes."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.palette import look
from analysis.png import png
from analysis.tracing import Rates

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
