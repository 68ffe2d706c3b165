"""One self-contained page of what `validate` measured: limits, figures, tables. No script, nothing from elsewhere."""

import base64
import io
import json
from html import escape
from pathlib import Path

from corpus.conditions import printed
from engine.atomic_files import write_text
from identification.output import header

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: 14px; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; } td { white-space: nowrap; }
th { border-bottom: 2px solid #888; }
img { max-width: 100%; } .limits { background: #f4f4ef; padding: .7rem 1rem; font-size: 13px; white-space: pre-wrap; }
.side { display: flex; flex-wrap: wrap; gap: 1rem; } .side > * { flex: 1 1 26rem; }
.soft { color: #666; font-size: 13px; }
"""


def write_page(result: dict, limits: dict, out: str | Path) -> list[Path]:
    """validation.html and validation.json in a folder. Raises ConfigError where they cannot be written."""
    folder = Path(out)
    text = json.dumps({"limits": limits, "result": result}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / "validation.json", text)
    write_text(folder / "validation.html", page(result, limits))
    return [folder / "validation.html", folder / "validation.json"]


def page(result: dict, limits: dict) -> str:
    """The page as HTML."""
    title = f"Validation with {result['list']}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<div class='limits'>{escape(header(limits))}</div>",
        f"<p>{result['utterances']:,} utterances of {result['systems']} systems, {result['known_utterances']:,} of them"
        " of enrolled ones. Every system weighs the same; [ ]: 95 % interval over systems.</p>",
        *summary(result),
        *pictures(result),
        *by_condition(result),
        *by_system(result),
    ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>\n"


def percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.1f} %"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def between(ends: list[float] | None, form=number) -> str:
    return "" if ends is None else f" [{form(ends[0])}, {form(ends[1])}]"


def table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


TITLES = {
    "rank_1": "the right system ranked first (enrolled systems)",
    "rank_5": "the right system among the first five",
    "named_rightly": "enrolled system named rightly",
    "named_wrongly": "enrolled system named as another",
    "missed": "enrolled system called unknown",
    "unknown_named": "unknown system named as an enrolled one",
}


def summary(result: dict) -> list[str]:
    """The figures that matter most."""
    rows = [
        ["Cllr of the likelihood ratios", number(result["cllr"]) + between(result["cllr_interval"])],
        [
            "Cllr at the best calibration of this list",
            number(result["min_cllr"]) + between(result["min_cllr_interval"]),
        ],
    ]
    for name, rate in result["rates"].items():
        rows.append([TITLES[name], percent(rate["macro"]) + between(rate["interval"], percent)])
    named, unknown = result["named"], result["unknown"]
    rows.append(["recordings named, of all", f"{named['utterances']:,} ({percent(named['coverage'])})"])
    error = named["wrong"] / named["utterances"] if named["utterances"] else None
    rows.append(["of these wrong (as the list is made up)", f"{named['wrong']:,} ({percent(error)})"])
    how = "enrolled systems left out in turn" if unknown["left_out"] else "unknown systems of the list"
    rows.append([f"unknown detection, EER ({how})", percent(unknown["eer"])])
    note = "Cllr: 0 is perfect, 1 is no information; the difference of the two is what calibration costs here."
    return ["<h2>Summary</h2>", table(["", "mean over systems"], rows), f"<p class='soft'>{note}</p>"]


def by_condition(result: dict) -> list[str]:
    heads = ["condition", "utterances", "enrolled", "Cllr", "cost, targets", "cost, others", "rank 1", "named rightly"]
    rows = [
        [
            printed(row["condition"]),
            f"{row['utterances']:,}",
            f"{row['known']:,}",
            number(row["after"]),
            number(row["after_target"]),
            number(row["after_nontarget"]),
            percent(row["rank_1"]),
            percent(row["named_rightly"]),
            percent(row["unknown_named"]),
        ]
        for row in result["conditions"]
    ]
    note = "Cllr is the mean of two costs in bits; a condition without enrolled systems has only that of the others."
    titles = [*heads, "unknown named"]
    return ["<h2>By condition</h2>", table(titles, rows), f"<p class='soft'>{note}</p>"]


def by_system(result: dict) -> list[str]:
    rows = [
        [
            row["system"] + ("" if row["enrolled"] else " (not enrolled)"),
            row["utterances"],
            percent(row["rank_1"]),
            percent(row["named_rightly"]) if row["enrolled"] else "–",
            percent(row["named_wrongly"]),
            percent(row["called_unknown"]),
            row["taken_for"] or "–",
        ]
        for row in result["by_system"]
    ]
    heads = ["system", "utterances", "rank 1", "named rightly", "named wrongly", "called unknown", "taken most for"]
    parts = ["<h2>By system</h2>", table(heads, rows)]
    left = [[r["system"], r["utterances"], percent(r["named"]), r["taken_for"] or "–"] for r in result["left_out"]]
    if left:
        parts.append("<h2>Had the system not been enrolled</h2>")
        parts.append(table(["system", "utterances", "named as another", "taken most for"], left))
    return parts


def pictures(result: dict) -> list[str]:
    """Tippett plot and reliability diagram, side by side."""
    one = picture(draw_tippett(result["tippett"]), "Tippett plot")
    other = picture(draw_reliability(result["reliability"]), "reliability diagram")
    off = result["tippett"]
    note = (
        f"Misleading: {percent(off['misleading_targets'])} of comparisons with the right system have a ratio below 1,"
        f" {percent(off['misleading_nontargets'])} of those with another one above 1."
    )
    return ["<h2>Likelihood ratios</h2>", f"<div class='side'>{one}{other}</div>", f"<p class='soft'>{note}</p>"]


def picture(figure, title: str) -> str:
    """A matplotlib figure inside the page."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    data = base64.b64encode(out.getvalue()).decode()
    return f"<div><img alt='{escape(title)}' src='data:image/png;base64,{data}'></div>"


def draw_tippett(curves: dict):
    """Shares with a ratio above each, of both kinds."""
    figure, axes = _figure()
    for name, label, colour in (
        ("targets", "its own system", "#3366cc"),
        ("nontargets", "another system", "#dc3912"),
    ):
        axes.plot(curves["log10_lr"], [100 * share for share in curves[name]], color=colour, label=label)
    axes.axvline(0, color="0.6", linewidth=0.9)
    axes.set(xlabel="log10 LR", ylabel="comparisons with a higher ratio, %", title="Tippett plot", ylim=(0, 101))
    axes.legend(title="compared with")
    return figure


def draw_reliability(rows: list[dict]):
    """What was said against what was so, at even odds."""
    figure, axes = _figure()
    axes.plot([0, 100], [0, 100], color="0.6", linewidth=0.9, label="perfect")
    said, share = ([100 * row[name] for row in rows] for name in ("said", "share"))
    axes.plot(said, share, "-", color="#3366cc", linewidth=0.8, alpha=0.5)
    axes.scatter(
        said, share, s=[12 + 6 * row["comparisons"] ** 0.5 for row in rows], color="#3366cc", label="this list"
    )
    for x, y, row in zip(said, share, rows, strict=True):
        axes.annotate(f"{row['comparisons']:,}", (x, y), (4, 5), textcoords="offset points", fontsize=7)
    axes.set(
        xlabel="posterior said at even odds, %",
        ylabel="share of its own system, %",
        title="Reliability (number of comparisons)",
    )
    axes.legend()
    return figure


def _figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True, linewidth=0.4, alpha=0.6)
    return figure, axes
