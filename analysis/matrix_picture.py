"""A matrix of systems as a picture that can be read at 2 systems and at 64: confusions, mean cosines."""

import numpy as np
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from analysis.palette import shortened
from analysis.png import png
from settings.text import for_picture

CELL = 0.3  # inches a side, room for three digits
DOTS_PER_INCH = 130
INK = "#30343b"


def confusions(counts: np.ndarray, systems: list[str], title: str) -> bytes:
    """PNG of counts (C, C), true systems as rows: each cell shows its count, coloured by its share of the row."""
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    texts = [[f"{n}" if n else "" for n in row] for row in counts]
    # The square root lifts one mistake in a hundred out of the white.
    figure, axes = matrix_figure(shares, texts, systems, "share of the system's test utterances", PowerNorm(0.5, 0, 1))
    axes.set_xlabel("predicted system")
    axes.set_ylabel("true system")
    return finish(figure, title)


def mean_cosines(cosines: np.ndarray, systems: list[str], tree: np.ndarray | None, title: str) -> bytes:
    """PNG of mean cosines (C, C), in the order of the leaves of `tree` (scipy's linkage), drawn beside them."""
    texts = [["" if np.isnan(value) else short_cosine(value) for value in row] for row in cosines]
    figure, axes = matrix_figure(cosines, texts, systems, "mean cosine; cells in hundredths", Normalize(-1, 1), "PuOr")
    if tree is not None:
        branches = axes.inset_axes([1.01, 0, 0.12, 1])
        dendrogram(tree, ax=branches, orientation="right", no_labels=True, link_color_func=lambda _: INK)
        for lines in branches.collections:
            lines.set_linewidth(1)
        branches.invert_yaxis()  # the first leaf on top, as the matrix has it
        branches.axis("off")
    return finish(figure, title)


def short_cosine(value: float) -> str:
    """A cosine in hundredths, as short as it goes: 93 for 0.93, -5 for -0.05."""
    return f"{100 * value:.0f}".replace("-0", "0")


def matrix_figure(
    values: np.ndarray, texts: list[list[str]], systems: list[str], scale: str, norm: Normalize, colours="BuPu"
):
    """Figure and axes of a coloured matrix (C, C), a text in every cell; rows and columns carry numbers and names."""
    side = max(2.5, CELL * len(systems))
    figure = Figure(figsize=(side, side))
    axes = figure.add_axes((0, 0, 1, 1))
    image = axes.imshow(values, cmap=colours, norm=norm, aspect="equal")
    dark = image.to_rgba(values)[..., :3] @ (0.299, 0.587, 0.114) < 0.55  # perceived brightness (ITU-R BT.601)
    numbers = np.arange(len(systems))
    names = [shortened(name) for name in systems]
    axes.set_xticks(numbers, [f"{name}  {n + 1}" for n, name in enumerate(names)], rotation=90, fontsize=8)
    axes.set_yticks(numbers, [f"{name}  {n + 1}" for n, name in enumerate(names)], fontsize=8)
    axes.set_xticks(numbers + 0.5, minor=True)
    axes.set_yticks(numbers + 0.5, minor=True)
    axes.grid(which="minor", color="#e4e6ea", linewidth=0.5)
    axes.tick_params(which="both", length=0)
    for row in numbers:
        for column in numbers:
            colour = "white" if dark[row, column] else INK
            axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=7, color=colour)
    bar = figure.add_axes((0, 1 + 0.16 / side, min(1, 2.5 / side), 0.1 / side))
    figure.colorbar(image, cax=bar, orientation="horizontal", ticks=np.linspace(norm.vmin, norm.vmax, 5))
    bar.xaxis.set_ticks_position("top")
    bar.set_title(scale, fontsize=8, loc="left")
    bar.tick_params(labelsize=7, length=2)
    return figure, axes


def finish(figure: Figure, title: str) -> bytes:
    """The picture, with its title above everything else."""
    side = figure.get_size_inches()[1]
    figure.text(0, 1 + 0.75 / side, for_picture(title), fontsize=11, va="bottom")
    return png(figure, DOTS_PER_INCH, tight=True)
