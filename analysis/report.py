"""A report of experiments, one self-contained HTML page: what differed, how they learned, trace and mix up."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis import charts, matrix_picture, page, probing, projection
from analysis.choices import NAMES, ProbeSettings
from analysis.embeddings import Embeddings
from analysis.experiment_folder import Folder
from analysis.png import png
from analysis.tracing import Rates, trace
from scoring.plots import det_figure
from settings.errors import DataError
from settings.options import Config, run_options
from settings.schema import COMMAND, MACHINE
from settings.text import for_html


@dataclass(frozen=True)
class ReportOptions:
    """What a report contains. `method` projects; without `audio`, nothing that needs embeddings; `notes` on top."""

    method: str = "umap"
    audio: bool = True
    seed: int = 10
    notes: list[str] = field(default_factory=list)


def report(folders: list[Folder], asked: ReportOptions, progress: Callable = iter) -> str:
    """The page. `progress` wraps the long loops."""
    title = "Report: " + ", ".join(folder.name for folder in folders)
    sections = [summary(folders), differences(folders), learning(folders)]
    if asked.audio:
        lists = list(dict.fromkeys(name for folder in folders for name in folder.lists()))
        for name in lists:
            having = [folder for folder in folders if name in folder.lists()]
            found = {folder.name: folder.embeddings(name) for folder in progress(having)}
            sections.append(tracing(name, having, found))
            remarks = [f"{run}, {name}: {remark}" for run, made in found.items() for remark in made.remarks()]
            sections[0] += "".join(f"<p>{for_html(remark)}</p>" for remark in remarks)
            if name == lists[0]:
                sections += [probes(name, found, asked.seed), maps(name, found, asked)]
    body = "\n".join(f"<section>\n{section}\n</section>" for section in sections)
    notes = "".join(f"<p>{for_html(note)}</p>\n" for note in asked.notes)
    return page.page(title, f"<h1>{for_html(title)}</h1>\n{notes}{body}", ("scatter.js",) if asked.audio else ())


def percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.2f}"


def summary(folders: list[Folder]) -> str:
    """A row an experiment: what it is, how far it came, its error rates."""
    names = list(dict.fromkeys(name for folder in folders for name in folder.results))
    header = ["experiment", "model", "loss", "sampler", "nOut", "epochs", "best epoch", "dev EER %", "dev macro EER %"]
    header += [text for name in names for text in (f"{name} EER %", f"{name} macro EER %")]
    rows = []
    for folder in folders:
        best = min(
            (row for row in folder.rows if row.get("dev_eer") is not None), key=lambda row: row["dev_eer"], default={}
        )
        config = [str(folder.config[key]) for key in ("model", "trainfunc", "sampler", "nOut")]
        epochs = [f"{len(folder.rows)} of {folder.config['max_epoch']}", str(best.get("epoch", "–"))]
        rates = [best.get("dev_eer"), best.get("dev_macro_eer")]
        rates += [folder.results.get(name, {}).get(key) for name in names for key in ("eer", "macro_eer")]
        rows.append([folder.name, *config, *epochs, *map(percent, rates)])
    said = "Pooled EER counts every trial once; macro EER weighs every system the same."
    return f"<h2>Summary</h2>\n{page.table(header, rows, texts=4)}\n<p class='soft'>{said}</p>"


def differences(folders: list[Folder]) -> str:
    """The options in which experiments differ; of one alone, those that are not the defaults."""
    keys = list(dict.fromkeys(key for folder in folders for key in folder.config))
    if len(folders) == 1:
        defaults, dull = Config().flat(), {o.name for o in run_options() if o.scope in (COMMAND, MACHINE)}
        config = folders[0].config
        rows = [[key, in_words(config[key])] for key in keys if key not in dull and config[key] != defaults.get(key)]
        said = "<p>Options that are not the trainer's defaults, and the model's and loss's own.</p>"
        return f"<h2>Configuration</h2>\n{said}\n{page.table(['option', folders[0].name], rows, texts=2)}"
    absent = object()
    differ = [
        key for key in keys if any(f.config.get(key, absent) != folders[0].config.get(key, absent) for f in folders)
    ]
    rows = [[key, *(in_words(f.config.get(key, "")) for f in folders)] for key in differ if key != "save_path"]
    table = page.table(["option", *(f.name for f in folders)], rows, texts=1 + len(folders)) if rows else "<p>None.</p>"
    return f"<h2>Differences in configuration</h2>\n{table}"


def in_words(value: object) -> str:
    """An option's value as one would write it on a command line; – where it is empty."""
    if isinstance(value, list):
        return " ".join(map(in_words, value)) or "–"
    return str(value).lower() if isinstance(value, bool) else str(value) or "–"


def learning(folders: list[Folder]) -> str:
    """Learning curves, and how fast and how long it went."""
    curves = charts.learning_curves({f.name: f.rows for f in folders})
    pictures = "".join(page.picture(png, f"{title} over epochs") for title, png in curves.items())
    legend = page.legend([folder.name for folder in folders])
    rows = []
    for folder in folders:
        speed = [row["utterances_per_s"] for row in folder.rows if row.get("utterances_per_s") is not None]
        waited = [row["data_wait"] for row in folder.rows if row.get("data_wait") is not None]
        seconds = sum(row.get("seconds") or 0 for row in folder.rows)
        known = [f"{np.median(speed):.0f}", f"{np.median(waited):.1%}"] if speed and waited else ["–", "–"]
        rows.append([folder.name, *known, f"{seconds / 60:.1f}"])
    header = ["experiment", "utterances/s (median)", "waiting for data (median)", "minutes of training"]
    return f"<h2>Learning curves</h2>\n{legend}\n<div class='curves'>{pictures}</div>\n{page.table(header, rows)}"


def tracing(name: str, folders: list[Folder], found: dict[str, Embeddings]) -> str:
    """A list's EER by condition, and its DET curves."""
    runs = {folder.name: trace(found[folder.name], *folder.known()) for folder in folders}
    chart = charts.conditions_chart(runs, f"{name}: pooled EER by condition")
    det = det_figure({run: rates["all"].cell() for run, rates in runs.items()}, f"{name}: DET, all pairs")
    pictures = (page.picture(chart, f"{name}: EER by condition"), page.picture(png(det), f"{name}: DET curves"))
    header = ["experiment", "condition", "utterances", "systems", "EER %", "95 % interval", "macro EER %"]
    rows = [[run, condition, *cells(rates)] for run, of in runs.items() for condition, rates in of.items()]
    said = (
        "A condition says whether training has seen the system and the language; its trials are the pairs within "
        "it. The interval says how far the pooled EER would move with other systems of the same kind (95 %, "
        "bootstrap over systems)."
    )
    return (
        f"<h2>Tracing: {for_html(name)}</h2>\n"
        f"<div class='side'><div>{pictures[0]}</div><div>{pictures[1]}</div></div>\n"
        f"{page.table(header, rows, texts=2)}\n<p class='soft'>{said}</p>"
    )


def cells(rates: Rates) -> list[str]:
    """A condition's figures as texts."""
    interval = "–" if rates.interval is None else f"{percent(rates.interval[0])} to {percent(rates.interval[1])}"
    return [str(rates.utterances), str(rates.systems), percent(rates.eer), interval, percent(rates.macro_eer)]


def probes(name: str, found: dict[str, Embeddings], seed: int) -> str:
    """The linear probe of each experiment: accuracy over five splits, confusion matrix, most confused pairs."""
    settings, parts = ProbeSettings(seed=seed, repeats=5), []
    for run, embeddings in found.items():
        try:
            result = probing.probe(embeddings, settings)
        except DataError as error:
            why = for_html(" ".join(str(error).split()))
            parts.append(f"<h3>{for_html(run)}</h3>\n<p>No probe: {why}</p>")
            continue
        said = probing.summary(result, settings)
        title = (
            f"accuracy {said['accuracy_mean']:.1%} ± {said['accuracy_std']:.1%}, macro F1 {said['macro_f1_mean']:.1%}"
        )
        png = matrix_picture.confusions(result.confusion, result.systems, f"{run}: {title}")
        pairs = "".join(f"<li>{for_html(pair)}</li>" for pair in said["most_confused"][:5])
        picture = page.picture(png, f"confusions of {run}")
        notes = "".join(f"<p>{for_html(note)}</p>" for note in probing.convergence_note(result, settings))
        parts.append(f"<h3>{for_html(run)}: {title}</h3>\n{notes}<div class='probe'>{picture}<ul>{pairs}</ul></div>")
    said = (
        f"One linear layer on the embeddings of {for_html(name)}: {settings.epochs} epochs of SGD at {settings.lr:g}, "
        f"batches of {settings.batch_size} (assumed), every system undersampled to the smallest, "
        f"{settings.repeats} splits 80/20."
    )
    return f"<h2>Linear probe</h2>\n<p class='soft'>{said}</p>\n" + "\n".join(parts)


def maps(name: str, found: dict[str, Embeddings], asked: ReportOptions) -> str:
    """An interactive map of each experiment's embeddings."""
    parts = []
    for n, (run, embeddings) in enumerate(found.items()):
        places = projection.project(embeddings, asked.method, asked.seed)
        parts.append(f"<h3>{for_html(run)}</h3>\n{page.scatter(places, embeddings, f'points{n}')}")
    return f"<h2>{NAMES[asked.method]} of {for_html(name)}</h2>\n" + "\n".join(parts)
