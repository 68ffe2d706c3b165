"""One self-contained HTML page: styles, scripts, pictures and data inside, nothing fetched from anywhere."""

import base64
import json
from pathlib import Path

import numpy as np

from analysis.embeddings import Embeddings
from analysis.palette import look
from settings.text import for_html

WEB = Path(__file__).parent / "web"
# The browser itself then refuses whatever the page might try to load.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(title: str, body: str, scripts: tuple[str, ...] = ()) -> str:
    """A whole document. `body` is HTML whose texts are escaped already; `scripts` are files in `analysis/web`."""
    code = "".join(f"<script>\n{(WEB / name).read_text(encoding='utf-8')}</script>\n" for name in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{for_html(title)}</title>\n'
        f"<style>\n{(WEB / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{code}</body>\n</html>\n"
    )


def scatter(places: np.ndarray, embeddings: Embeddings, name: str, first: str = "system") -> str:
    """HTML of an interactive scatter of points (N, 2); the page needs the script `scatter.js`, and `name` once only."""
    extent = max(float(np.ptp(places, axis=0).max()), 1e-30)
    thousandths = np.round(
        1000 * (places.astype(float) - places.min(axis=0)) / extent, 2
    )  # finer than a screen, shorter than floats
    data = {
        "x": thousandths[:, 0].tolist(),
        "y": thousandths[:, 1].tolist(),
        "order": np.random.default_rng(0).permutation(len(places)).tolist(),  # no group lies on top of all others
        "paths": embeddings.paths,
        "groupings": {kind: grouping(values) for kind, values in groupings(embeddings, first).items()},
    }
    return f'<div class="scatter" data-from="{for_html(name)}"></div>\n{json_for_html(name, data)}'


def groupings(embeddings: Embeddings, first: str = "system") -> dict[str, list[str]]:
    """What points can be coloured by, `first` first: whichever of system, language and condition is known."""
    known = {"system": embeddings.systems, "language": embeddings.languages, "condition": embeddings.conditions}
    return {kind: known[kind] for kind in sorted(known, key=lambda kind: kind != first) if any(known[kind])}


def grouping(values: list[str]) -> dict:
    """Names, each point's index in them, and each name's colour and shape."""
    names, index = np.unique(values, return_inverse=True)
    return {"names": names.tolist(), "index": index.tolist(), "looks": [look(i) for i in range(len(names))]}


def json_for_html(name: str, data: object) -> str:
    """Data as a script element. No `<` survives in it, so nothing in a name can end the element or begin another."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{for_html(name)}">{text}</script>\n'


def picture(png: bytes, description: str) -> str:
    """A PNG picture, in the page itself."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{for_html(description)}" src="data:image/png;base64,{data}">'


def legend(names: list[str]) -> str:
    """The colours of the lines of several runs, as `palette.look` gives them; nothing for one run."""
    entries = (
        f'<li><span style="background: {look(n)[0]}"></span>{for_html(name)}</li>' for n, name in enumerate(names)
    )
    return f"<ul class='legend'>{''.join(entries)}</ul>" if len(names) > 1 else ""


def table(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """An HTML table of plain texts, escaped here; all columns but the first `texts` are numbers, set flush right."""
    of = [""] * texts + [' class="number"'] * (len(header) - texts)

    def row(tag: str, cells: list[str]) -> str:
        return (
            "<tr>" + "".join(f"<{tag}{c}>{for_html(text)}</{tag}>" for c, text in zip(of, cells, strict=True)) + "</tr>"
        )

    lines = "\n".join(row("td", cells) for cells in rows)
    return f"<table>\n<thead>{row('th', header)}</thead>\n<tbody>\n{lines}\n</tbody>\n</table>"
