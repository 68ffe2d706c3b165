"""The table of a sweep as a picture: one heat map a list, the paper's values in small print."""

from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from engine.atomic_files import atomic_write
from settings.text import for_picture
from sweeping.markdown import number_text
from sweeping.table import Cell, Table

INK, PALE = "#23262d", "#eceef2"
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)  # percent


def draw(path: str | Path, table: Table, title: str) -> None:
    """Pooled EER in percent of every cell; lists side by side, one logarithmic scale for all, with its range."""
    lists, columns, rows = table.lists, len(table.columns), len(table.rows)
    figure = Figure(figsize=(3.4 + 1.15 * columns * len(lists), 1.3 + 0.52 * rows), dpi=140, layout="constrained")
    panels = figure.subplots(1, len(lists), squeeze=False, sharey=True)[0]
    means = [score.mean for cell in table.cells.values() for (_, m), score in cell.scores.items() if m == "eer"]
    norm = LogNorm(max(min(means, default=1), 0.01), max(max(means, default=100), 0.02))
    for of, axes in zip(lists, panels, strict=True):
        image = draw_list(axes, table, of, norm)
        axes.set_title(for_picture(f"{of} EER, %"), fontsize=10)
    panels[0].set_yticks(range(rows), [for_picture(" ".join(row)) for row in table.rows], fontsize=8.5)
    if means:
        scale = figure.colorbar(image, ax=panels, pad=0.01, aspect=30)
        ticks = [value for value in TICKS if 1.15 * norm.vmin < value < 0.9 * norm.vmax]  # none on another
        scale.set_ticks([norm.vmin, *ticks, norm.vmax], labels=[f"{v:.3g}" for v in (norm.vmin, *ticks, norm.vmax)])
        scale.minorticks_off()
        scale.set_label("EER, %", fontsize=8)
        scale.ax.tick_params(labelsize=8)
    figure.suptitle(for_picture(title), fontsize=11, x=0.01, ha="left")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def draw_list(axes, table: Table, of: str, norm: LogNorm) -> AxesImage:
    """One list's cells, coloured where there is a figure and pale where there is none."""
    best = table.best(of, "eer")
    values = np.full((len(table.rows), len(table.columns)), np.nan)
    for (row, column), cell in table.cells.items():
        if (of, "eer") in cell.scores:
            values[table.rows.index(row), table.columns.index(column)] = cell.scores[of, "eer"].mean
    axes.set_facecolor(PALE)
    image = axes.imshow(values, cmap="YlGnBu", norm=norm, aspect="auto")
    dark = image.to_rgba(values)[..., :3] @ (0.299, 0.587, 0.114) < 0.5  # perceived brightness (ITU-R BT.601)
    for (row, column), cell in table.cells.items():
        place = table.rows.index(row), table.columns.index(column)
        colour = "white" if dark[place] and not np.isnan(values[place]) else INK
        write_cell(axes, place, cell, of, colour, values[place] == best)
    axes.set_xticks(range(len(table.columns)), [str(column) for column in table.columns], fontsize=8.5)
    axes.set_xlabel("nOut", fontsize=9)
    axes.tick_params(length=0)
    return image


def write_cell(axes, place: tuple[int, int], cell: Cell, of: str, colour: str, best: bool) -> None:
    """The figure, the paper's below it; or one word on why there is none."""
    row, column = place
    style = {"ha": "center", "va": "center", "color": colour, "parse_math": False}
    score = cell.scores.get((of, "eer"))
    if score is None:
        axes.text(column, row, cell.missing.split(":")[0].split(" at ")[0] or "no figure", fontsize=7, **style)
        return
    below = 0.16 if score.paper is not None else 0
    axes.text(column, row - below, number_text(score), fontsize=8.5, weight="bold" if best else "normal", **style)
    if score.paper is not None:
        axes.text(column, row + 0.26, f"paper {score.paper:.2f}", fontsize=6.5, **style)
