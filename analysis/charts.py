"""The small charts of a report: learning curves, DET curves, EER by condition, as PNG bytes."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.palette import look
from analysis.png import png
from analysis.tracing import Rates
from settings.text import for_picture

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


def learning_curves(runs: dict[str, list[dict]]) -> dict[str, bytes]:
    """Title to picture: loss, accuracy, dev EER and learning rate over epochs, a line each run in `look`'s colour."""
    return {title: learning_curve(runs, key, title, scale) for key, (title, scale) in PANELS.items()}


def learning_curve(runs: dict[str, list[dict]], key: str, title: str, scale: float) -> bytes:
    """One measure of the epochs' rows, so small a picture that it can be read on a telephone."""
    figure = Figure(figsize=(3.6, 2.9), layout="constrained")
    (axes,) = axes_of(figure, 1)
    for n, rows in enumerate(runs.values()):
        points = [(row["epoch"], scale * row[key]) for row in rows if row.get(key) is not None]
        if points:
            mark = "o" if len(points) < 30 else None
            axes.plot(*zip(*points, strict=True), color=look(n)[0], marker=mark, markersize=3, linewidth=1.5)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("epoch", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return png(figure)


def conditions_chart(runs: dict[str, dict[str, Rates]], title: str) -> bytes:
    """Pooled EER of each condition with its interval, a colour each run."""
    names = list(dict.fromkeys(name for conditions in runs.values() for name in conditions))
    figure = Figure(figsize=(5, 1.6 + 0.32 * len(names) * (1 + len(runs)) ** 0.8), layout="constrained")
    (axes,) = axes_of(figure, 1)
    step = 0.7 / len(runs)
    for n, (run, conditions) in enumerate(runs.items()):
        for name, found in conditions.items():
            if found.eer is None:
                continue
            y = names.index(name) + (n - (len(runs) - 1) / 2) * step
            ends = found.interval or (found.eer, found.eer)
            label = for_picture(run) if name == "all" else None
            axes.plot([100 * end for end in ends], [y, y], color=look(n)[0], linewidth=2, alpha=0.6)
            axes.plot([100 * found.eer], [y], "o", color=look(n)[0], markersize=6, label=label)
    axes.set_yticks(range(len(names)), [for_picture(name).replace(", ", ",\n") for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("EER, %, and its 95 % interval over systems", fontsize=9)
    axes.set_title(for_picture(title), fontsize=10, loc="left")
    legend_below(figure, axes)
    return png(figure)
