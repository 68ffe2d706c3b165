"""Look into embeddings: linear probe, UMAP, look-alike systems, neighbours, and a report of whole experiments.

Run: python trainSpeakerNet.py --eval --initial_model M --test_list L --save_embeddings dev.npz, then
     python analyse.py probe dev.npz      (or umap, confusions, neighbours; python analyse.py report exps/a exps/b)
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from analysis import embeddings as saved
from analysis import matrix_picture, page, probing, projection, scatter_picture, similarity
from analysis.embeddings import Embeddings
from audio import DataError
from config_sources import Parser
from files import write_text, written_whole
from lists import named
from plugins import ConfigError


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when what was asked was done, 2 on a user's mistake."""
    try:
        options = command_line().parse_args(argv)
        for line in options.run(options):
            sys.stdout.write(f"{line}\n")
    except ConfigError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    return 0


def command_line() -> Parser:
    """The subcommands and their options."""
    parser = Parser(description="Look into embeddings.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=partial(Parser, allow_abbrev=False))
    one = partial(add_command, commands)

    probe = one("probe", run_probe, "how well one linear layer tells the systems apart (the paper's figure 1)")
    default = probing.ProbeSettings()
    number = {"metavar": "N", "type": partial(whole, minimum=1)}
    probe.add_argument(
        "--per_system",
        metavar="smallest|common|N",
        type=per_system,
        default=default.per_system,
        help="utterances kept of each system: as many as the smallest has (default), as most have, or N",
    )
    probe.add_argument("--leave_out", nargs="+", default=[], metavar="SYSTEM", help="systems to leave out")
    probe.add_argument("--epochs", **number, default=default.epochs, help="epochs of SGD (default: 50)")
    probe.add_argument("--lr", type=positive, metavar="X", default=default.lr, help="learning rate (default: 0.1)")
    probe.add_argument(
        "--batch_size", **number, default=default.batch_size, help="the paper does not tell it (default: 128, assumed)"
    )
    probe.add_argument("--repeats", **number, default=1, help="random splits to repeat it over (default: 1)")

    umap = one("umap", run_umap, "a map of the embeddings: pictures and an interactive page (the paper's figure 2)")
    umap.add_argument("--method", choices=projection.METHODS, default="umap", help="(default: umap)")
    umap.add_argument(
        "--neighbours",
        type=partial(whole, minimum=2),
        metavar="N",
        default=15,
        help="UMAP: neighbours of a point that it looks at (default: 15)",
    )
    umap.add_argument("--min_dist", type=positive, metavar="X", default=0.1, help="UMAP: least distance (default: 0.1)")

    one("confusions", run_confusions, "which systems are mistaken for which: mean cosines, clustered")

    near = one("neighbours", run_neighbours, "the nearest neighbours of utterances, and of which systems they are")
    near.add_argument(
        "--of",
        nargs="+",
        metavar="PATH",
        default=[],
        help="paths as in the list, their ends, or shell patterns (default: the summary only)",
    )
    near.add_argument("--k", **number, default=5, help="neighbours of each (default: 5)")
    return parser


def add_command(commands: argparse._SubParsersAction, name: str, run: Callable, help: str) -> Parser:
    """A subcommand on embeddings."""
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.add_argument("embeddings", metavar="EMBEDDINGS.npz", help="what --save_embeddings wrote")
    parser.add_argument("--out", metavar="FOLDER", help="where results go (default: beside the .npz file, by its name)")
    parser.add_argument("--seed", type=partial(whole, minimum=0), metavar="N", default=10, help="(default: 10)")
    parser.set_defaults(run=run)
    return parser


def whole(text: str, minimum: int) -> int:
    """A whole number of at least `minimum`, or argparse's complaint."""
    if not text.isdecimal() or int(text) < minimum:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
    return int(text)


def positive(text: str) -> float:
    """A number above 0, or argparse's complaint."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def per_system(text: str) -> int | str:
    return text if text in ("smallest", "common") else whole(text, minimum=probing.LEAST)


def opened(options: argparse.Namespace) -> tuple[Embeddings, Path, str]:
    """The embeddings that a command is to look into, the folder for its results (made), and a name for titles."""
    source = Path(options.embeddings)
    embeddings = saved.read(source)
    folder = Path(options.out) if options.out else source.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: {error.strerror}") from None
    return embeddings, folder, source.stem


def bar(description: str) -> Callable:
    """A progress bar that wraps an iterable; silent where nobody watches."""
    return partial(tqdm, desc=description, leave=False, disable=None)


def run_probe(options: argparse.Namespace) -> list[str]:
    """probe.json, probe_confusion.csv, probe_confusion.png; returns the findings in words."""
    embeddings, folder, name = opened(options)
    unknown = sorted(set(options.leave_out) - set(embeddings.systems))
    if unknown:
        raise DataError(named("--leave_out names systems that are not there", unknown))
    embeddings = embeddings.take(np.flatnonzero([system not in options.leave_out for system in embeddings.systems]))
    asked = ("per_system", "epochs", "lr", "batch_size", "seed", "repeats")
    settings = probing.ProbeSettings(**{field: getattr(options, field) for field in asked})
    result = probing.probe(embeddings, settings, bar("probing"))
    summary = probing.summary(result, settings) | {"left_out": options.leave_out}
    write_text(folder / "probe.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    write_matrix(folder / "probe_confusion.csv", result.confusion, result.systems, "true \\ predicted")
    title = f"Linear probe of {name}: accuracy {summary['accuracy_mean']:.1%}, macro F1 {summary['macro_f1_mean']:.1%}"
    matrix_picture.draw_confusions(folder / "probe_confusion.png", result.confusion, result.systems, title)
    common = probing.size_to_keep(embeddings.counts(), "common")
    small = f"note: most systems have {common} utterances; --per_system common keeps as many of each that has them"
    return [
        *embeddings.remarks(),
        *[small] * (options.per_system == "smallest" and common > result.kept),
        f"{summary['systems']} systems, at most {result.kept} utterances of each; {settings.epochs} epochs of SGD at "
        f"{settings.lr:g}, batches of {settings.batch_size} (assumed: the paper does not tell)",
        f"accuracy {percent(result.accuracy)}, macro F1 {percent(result.macro_f1)}",
        *summary["most_confused"],
        f"written: {folder}/probe.json, probe_confusion.csv, probe_confusion.png",
    ]


def percent(values: list[float]) -> str:
    """A mean in percent, with its standard deviation where there are several values."""
    spread = f" ± {100 * np.std(values, ddof=1):.1f} ({len(values)} splits)" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread} %"


def run_umap(options: argparse.Namespace) -> list[str]:
    """METHOD_system.png and, where known, _language.png and _condition.png; METHOD.html, the interactive page."""
    embeddings, folder, name = opened(options)
    method = options.method
    places = projection.project(embeddings, method, options.seed, options.neighbours, options.min_dist)
    title = f"{projection.NAMES[method]} of {name}"
    pictures = []
    for kind, groups in bar("drawing")(page.groupings(embeddings).items()):
        pictures.append(f"{method}_{kind}.png")
        scatter_picture.draw_scatter(folder / pictures[-1], places, groups, f"{title}, by {kind}")
    body = f"<h1>{page.escape(title)}</h1>\n{page.scatter(places, embeddings, 'points')}"
    write_text(folder / f"{method}.html", page.page(title, body, ("scatter.js",)))
    return [f"written: {folder}/{', '.join([f'{method}.html', *pictures])}"]


def run_confusions(options: argparse.Namespace) -> list[str]:
    """cosines.csv and cosines.png, both in the order of the clustering; returns the nearest pairs in words."""
    embeddings, folder, name = opened(options)
    cosines, systems = similarity.mean_cosines(embeddings), embeddings.classes()
    tree = similarity.clustering(cosines)
    order = similarity.order(tree)
    ordered, names = cosines[np.ix_(order, order)], [systems[i] for i in order]
    write_matrix(folder / "cosines.csv", ordered.round(6), names, "mean cosine")
    title = f"Mean cosine between the systems of {name}"
    matrix_picture.draw_cosines(folder / "cosines.png", ordered, names, tree, title)
    return [*similarity.look_alikes(cosines, systems), f"written: {folder}/cosines.csv, cosines.png"]


def write_matrix(path: Path, matrix: np.ndarray, names: list[str], corner: str) -> None:
    """A square matrix as CSV with the names on both sides."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([corner, *names])
        writer.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))


def run_neighbours(options: argparse.Namespace) -> list[str]:
    """neighbours.csv, a row for each neighbour of an utterance asked for; returns them in words, and a summary."""
    embeddings, folder, _ = opened(options)
    asked = similarity.matching(embeddings, options.of)
    everyone = similarity.neighbours(embeddings, np.arange(len(embeddings)), options.k, bar("comparing"))
    labels = embeddings.labels()
    same = labels[everyone.rows] == labels[:, None]
    told, rows = [], []
    for query in asked:
        told.append(f"{embeddings.paths[query]} ({embeddings.systems[query]})")
        for rank, (row, cosine) in enumerate(zip(everyone.rows[query], everyone.cosines[query], strict=True), 1):
            mark = "" if same[query, rank - 1] else "  <- another system"
            told.append(f"  {rank}. {cosine:.3f}  {embeddings.paths[row]} ({embeddings.systems[row]}){mark}")
            rows.append(
                [
                    embeddings.paths[query],
                    embeddings.systems[query],
                    rank,
                    f"{cosine:.6f}",
                    embeddings.paths[row],
                    embeddings.systems[row],
                ]
            )
    if rows:
        with (
            written_whole(folder / "neighbours.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file).writerows([["path", "system", "rank", "cosine", "neighbour", "neighbour_system"], *rows])
        told.append(f"written: {folder}/neighbours.csv")
    return [
        *told,
        *embeddings.remarks(),
        f"the nearest neighbour is of the same system for {same[:, 0].mean():.1%} of all {len(embeddings)} utterances",
    ]


if __name__ == "__main__":
    sys.exit(main())
