"""What each command of analyse.py does with its parsed options; every `run_` returns the lines to print."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from analysis import embeddings as saved
from analysis import experiment_folder, matrix_picture, output, page, probing, projection, scatter_picture, similarity
from analysis.choices import NAMES, ProbeSettings
from analysis.embeddings import Embeddings
from analysis.from_checkpoint import embed
from analysis.report import ReportOptions, report
from engine.atomic_files import write_text
from settings.errors import ConfigError, DataError
from settings.text import bulleted, for_csv, for_html, for_terminal


def opened(options: argparse.Namespace) -> tuple[Embeddings, Path, str]:
    """The embeddings that a command is to look into, the folder for its results (made), and a name for titles."""
    if bool(options.embeddings) == bool(options.checkpoint) or bool(options.checkpoint) != bool(options.list):
        raise ConfigError("name either an .npz file, or --checkpoint and --list")
    if options.embeddings:
        source = Path(options.embeddings)
        embeddings, folder = saved.read(source), source.with_suffix("")
    else:
        source = Path(options.list)
        embeddings = embed(options.checkpoint, options.list, options.path, options.device)
        folder = Path(options.checkpoint).with_suffix("") / source.stem
    return embeddings, output.folder(options.out or folder), source.stem


def bar(description: str) -> Callable:
    """A progress bar that wraps an iterable; silent where nobody watches."""
    return partial(tqdm, desc=description, leave=False, disable=None)


def run_probe(options: argparse.Namespace) -> list[str]:
    """probe.json, probe_confusion.csv, probe_confusion.png; returns the findings in words."""
    embeddings, folder, name = opened(options)
    unknown = sorted(set(options.leave_out) - set(embeddings.systems))
    if unknown:
        raise DataError(bulleted("--leave_out names systems that are not there", unknown))
    embeddings = embeddings.take(np.flatnonzero([system not in options.leave_out for system in embeddings.systems]))
    asked = ("per_system", "epochs", "lr", "batch_size", "seed", "repeats")
    settings = ProbeSettings(**{field: getattr(options, field) for field in asked})
    result = probing.probe(embeddings, settings, bar("probing"))
    summary = probing.summary(result, settings) | {"left_out": options.leave_out}
    write_text(folder / "probe.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    output.write_matrix(folder / "probe_confusion.csv", result.confusion, result.systems, "true \\ predicted")
    title = f"Linear probe of {name}: accuracy {summary['accuracy_mean']:.1%}, macro F1 {summary['macro_f1_mean']:.1%}"
    picture = matrix_picture.confusions(result.confusion, result.systems, title)
    output.write_bytes(folder / "probe_confusion.png", picture)
    common = probing.size_to_keep(embeddings.counts(), "common")
    small = f"note: most systems have {common} utterances; --per_system common keeps as many of each that has them"
    return [
        *embeddings.remarks(),
        *[small] * (options.per_system == "smallest" and common > result.kept),
        *probing.convergence_note(result, settings),
        f"{summary['systems']} systems, at most {result.kept} utterances of each; {settings.epochs} epochs of SGD at "
        f"{settings.lr:g}, batches of {settings.batch_size} (assumed: the paper does not say)",
        f"accuracy {percent(result.accuracy)}, macro F1 {percent(result.macro_f1)}",
        *summary["most_confused"],
        f"written: {folder}/probe.json, probe_confusion.csv, probe_confusion.png",
    ]


def percent(values: list[float]) -> str:
    """A mean in percent, with its standard deviation where there are several values."""
    if len(values) == 1:
        return f"{100 * values[0]:.1f} %"
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f} % over {len(values)} splits"


def run_umap(options: argparse.Namespace) -> list[str]:
    """METHOD_system.png and, where known, _language.png and _condition.png; METHOD.html, the interactive page."""
    method, notes = projection.available(options.method)
    embeddings, folder, name = opened(options)
    places = projection.project(embeddings, method, options.seed, options.neighbours, options.min_dist)
    title = f"{NAMES[method]} of {name}"
    written = [f"{method}.html"]
    for kind, groups in bar("drawing")(page.groupings(embeddings).items()):
        written.append(f"{method}_{kind}.png")
        output.write_bytes(folder / written[-1], scatter_picture.scatter(places, groups, f"{title}, by {kind}"))
    body = f"<h1>{for_html(title)}</h1>\n{page.scatter(places, embeddings, 'points')}"
    write_text(folder / written[0], page.page(title, body, ("scatter.js",)))
    return [*notes, *embeddings.remarks(), f"written: {folder}/{', '.join(written)}"]


def run_confusions(options: argparse.Namespace) -> list[str]:
    """cosines.csv and cosines.png, both in the order of the clustering; returns the nearest pairs in words."""
    embeddings, folder, name = opened(options)
    cosines, systems = similarity.mean_cosines(embeddings), embeddings.classes()
    tree = similarity.clustering(cosines)
    order = similarity.order(tree)
    ordered, names = cosines[np.ix_(order, order)], [systems[i] for i in order]
    output.write_matrix(folder / "cosines.csv", ordered.round(6), names, "mean cosine")
    picture = matrix_picture.mean_cosines(ordered, names, tree, f"Mean cosine between the systems of {name}")
    output.write_bytes(folder / "cosines.png", picture)
    written = f"written: {folder}/cosines.csv, cosines.png"
    return [*embeddings.remarks(), *similarity.look_alikes(cosines, systems), written]


def run_neighbours(options: argparse.Namespace) -> list[str]:
    """neighbours.csv, a row for each neighbour of an utterance asked for; returns them in words, and a summary."""
    embeddings, folder, _ = opened(options)
    asked = similarity.matching(embeddings, options.of)
    found = similarity.neighbours(embeddings, np.arange(len(embeddings)), options.k, bar("comparing"))
    lines, rows = [], []
    for query in asked:
        path, system = embeddings.paths[query], embeddings.systems[query]
        lines.append(f"{for_terminal(path)} ({for_terminal(system)})")
        for rank, (row, cosine) in enumerate(zip(found.rows[query], found.cosines[query], strict=True), 1):
            other, whose = embeddings.paths[row], embeddings.systems[row]
            differs = "" if whose == system else "  <- another system"
            lines.append(f"  {rank}. {cosine:.3f}  {for_terminal(other)} ({for_terminal(whose)}){differs}")
            rows.append([for_csv(path), for_csv(system), rank, f"{cosine:.6f}", for_csv(other), for_csv(whose)])
    if rows:
        header = ["path", "system", "rank", "cosine", "neighbour", "neighbour_system"]
        output.write_rows(folder / "neighbours.csv", [header, *rows])
        lines.append(f"written: {folder}/neighbours.csv")
    labels = embeddings.labels()
    same = (labels[found.rows[:, 0]] == labels).mean()
    summary = f"the nearest neighbour is of the same system for {same:.1%} of all {len(embeddings)} utterances"
    return [*lines, *embeddings.remarks(), summary]


def run_report(options: argparse.Namespace) -> list[str]:
    """The page."""
    folders = experiment_folder.read_all(options.experiments)
    method, notes = (options.method, []) if options.no_embeddings else projection.available(options.method)
    if options.out.endswith(".html"):
        raise ConfigError(f"--out {options.out}: a folder, as in all commands; the page in it is report.html")
    target = output.folder(options.out) / "report.html"
    content = report(folders, ReportOptions(method, not options.no_embeddings, options.seed, notes), bar("report"))
    write_text(target, content)
    return [*notes, f"written: {target}"]
