"""The README's picture: the commands in order, and what the demo's test list looks like at the end.

Run in the repository's folder, after make demo and
python trainSpeakerNet.py --eval --initial_model exps/demo/model/best.model --test_list data_lists/demo/test.csv \
    --test_path data/demo --save_path exps/demo_test --save_embeddings exps/demo_test/test.npz:
python docs/pictures/overview.py exps/demo_test/test.npz
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from sklearn.manifold import TSNE
from sklearn.metrics import roc_curve

BLUE, RED, GREY = "#3366cc", "#dc3912", "#44475a"
STEPS = (  # a box: what it is, who makes it
    ("audio and lists", "dataprep.py\nformats · audit · cache"),
    ("training", "trainSpeakerNet.py\nmodels/ + loss/"),
    ("embeddings", "--save_embeddings\none vector an utterance"),
    ("scores", "score.py\nEER over all pairs"),
    ("answers", "identify.py · analyse.py\nexport.py"),
)


def flow(axes) -> None:
    """The commands as boxes, left to right."""
    axes.set(xlim=(0, len(STEPS)), ylim=(0, 1))
    axes.axis("off")
    for place, (title, words) in enumerate(STEPS):
        box = FancyBboxPatch((place + 0.08, 0.1), 0.78, 0.8, "round,pad=0.02", fc="#f2f5fc", ec=BLUE, lw=1.2)
        axes.add_patch(box)
        axes.text(place + 0.47, 0.7, title, ha="center", va="center", weight="bold", size=12, color=GREY)
        axes.text(place + 0.47, 0.36, words, ha="center", va="center", size=9.5, color=GREY, linespacing=1.5)
        if place:
            ends = (place - 0.1, 0.5), (place + 0.05, 0.5)
            axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, color=BLUE))


def utterance_map(axes, embeddings: np.ndarray, labels: np.ndarray) -> None:
    """Embeddings (N, D) in the plane, a colour for each system."""
    tsne = TSNE(metric="cosine", init="random", perplexity=12, early_exaggeration=30, random_state=0)
    places = tsne.fit_transform(embeddings)
    colours = matplotlib.colormaps["tab20"]
    for number, system in enumerate(np.unique(labels)):
        x, y = places[labels == system].T
        axes.plot(x, y, "o", ms=4, color=colours(number), alpha=0.8)
        axes.annotate(system, (np.median(x), np.median(y)), size=7, ha="center", color="black",
                      bbox={"fc": "white", "ec": "none", "alpha": 0.6, "pad": 0.5})  # fmt: skip
    axes.set(xticks=[], yticks=[], title="test utterances by system (t-SNE)")


def score_densities(axes, scores: np.ndarray, same: np.ndarray) -> None:
    """Scores (pairs,) of pairs of one system and of two."""
    bins = np.linspace(-1, 1, 61)
    for chosen, colour, name in ((~same, RED, "two systems"), (same, BLUE, "one system")):
        axes.hist(scores[chosen], bins, density=True, color=colour, alpha=0.55, label=name)
    axes.legend(frameon=False, fontsize=9)
    axes.set(xlabel="cosine", yticks=[], title="scores of all pairs")


def errors(axes, scores: np.ndarray, same: np.ndarray) -> None:
    """Miss against false acceptance, and where they meet."""
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    nearest = np.abs(1 - tpr - fpr).argmin()
    eer = max(fpr[nearest], 1 - tpr[nearest])
    axes.plot(100 * fpr, 100 * (1 - tpr), color=BLUE)
    axes.plot([0, 50], [0, 50], ":", color=GREY, lw=0.8)
    axes.plot(100 * eer, 100 * eer, "o", color=RED)
    axes.annotate(f"EER {100 * eer:.1f} %", (100 * eer + 2, 100 * eer + 2), color=RED)
    axes.set(xlim=(0, 50), ylim=(0, 50), xlabel="false acceptance, %", ylabel="miss, %", title="error rates")


def main(path: str) -> None:
    """Draw docs/pictures/overview.png from saved embeddings."""
    matplotlib.use("Agg")
    with np.load(path, allow_pickle=False) as saved:
        embeddings, labels = saved["embeddings"], saved["labels"]
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(labels), 1)
    scores, same = (embeddings @ embeddings.T)[first, second], labels[first] == labels[second]
    figure = plt.figure(figsize=(12, 6.2), layout="constrained")
    rows = figure.add_gridspec(2, 3, height_ratios=(1, 3), width_ratios=(1.3, 1, 1))
    flow(figure.add_subplot(rows[0, :]))
    utterance_map(figure.add_subplot(rows[1, 0]), embeddings, labels)
    score_densities(figure.add_subplot(rows[1, 1]), scores, same)
    errors(figure.add_subplot(rows[1, 2]), scores, same)
    figure.savefig(Path(__file__).with_name("overview.png"), dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1])
