"""Points on a plane as a picture, coloured by group, with a numbered legend: legible at 64 systems and more."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.palette import look, shortened
from analysis.png import png
from settings.text import for_picture

MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D"}
ROWS = 34  # of a legend column
LABEL = (0.028, 0.019)  # width and height of a number, in fractions of the axes


def scatter(places: np.ndarray, groups: list[str], title: str) -> bytes:
    """PNG of points (N, 2) of N groups' names, each group numbered where most of it lies and named in the legend."""
    figure = Figure(figsize=(9, 9))
    axes = figure.add_axes((0, 0, 1, 1))
    names, index = np.unique(groups, return_inverse=True)
    size = np.clip(80_000 / len(places), 3, 22)
    handles = []
    shuffled = np.random.default_rng(0).permutation(len(places))  # no group lies on top of all others
    for chunk in np.array_split(shuffled, min(40, len(places))):
        for group in np.unique(index[chunk]):
            colour, shape = look(group)
            xy = places[chunk[index[chunk] == group]]
            axes.scatter(*xy.T, s=size, c=colour, marker=MARKERS[shape], linewidths=0, alpha=0.7, rasterized=True)
    for group, name in enumerate(names):
        colour, shape = look(group)
        label = f"{group + 1}  {shortened(name)} ({(index == group).sum()})"
        handles.append(Line2D([], [], color=colour, marker=MARKERS[shape], linestyle="", markersize=6, label=label))
    number_groups(axes, np.array([middle(places[index == group]) for group in range(len(names))]))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#c8ccd4")
    axes.set_title(for_picture(title), fontsize=12, loc="left")
    columns = -(-len(names) // ROWS)
    style = {"frameon": False, "fontsize": 8.5, "borderaxespad": 0, "labelspacing": 0.55, "handletextpad": 0.2}
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.015, 1), ncols=columns, **style)
    return png(figure, 150, tight=True)


def middle(places: np.ndarray) -> np.ndarray:
    """(2,) the point of (n, 2) that is nearest to their median: inside the group, even where it has several parts."""
    return places[np.linalg.norm(places - np.median(places, axis=0), axis=1).argmin()]


def number_groups(axes, anchors: np.ndarray) -> None:
    """Number the groups at their anchors (G, 2); where numbers would overlap they move apart and a line leads home."""
    to_axes = axes.transData + axes.transAxes.inverted()
    home = to_axes.transform(anchors)
    for group, (place, anchor) in enumerate(zip(apart(home), home, strict=True)):
        colour, _ = look(group)
        box = {"boxstyle": "round,pad=0.15,rounding_size=0.3", "facecolor": "white", "edgecolor": colour, "alpha": 0.9}
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        moved = np.abs(place - anchor).max() > LABEL[1] / 2
        axes.annotate(
            str(group + 1),
            anchor,
            place,
            xycoords="axes fraction",
            fontsize=7.5,
            ha="center",
            va="center",
            bbox=box,
            arrowprops=leader if moved else None,
            zorder=9,
        )


def apart(places: np.ndarray, rounds: int = 200) -> np.ndarray:
    """(G, 2) places, in fractions of the axes, moved until no two labels overlap (or `rounds` are over)."""
    places = places + np.random.default_rng(0).normal(scale=1e-4, size=places.shape)  # none exactly on another
    for _ in range(rounds):
        gap = places[:, None] - places[None]
        overlap = (np.abs(gap) < LABEL).all(axis=2) & ~np.eye(len(places), dtype=bool)
        if not overlap.any():
            break
        distance = np.linalg.norm(gap, axis=2, keepdims=True).clip(1e-6)
        places = places + (gap / distance * overlap[..., None]).sum(axis=1) * LABEL[1] / 4
        places = places.clip(0.015, 0.985)
    return places
