"""The table of a sweep as Markdown: a section for each list and measure."""

from settings.text import for_markdown
from sweeping.table import Cell, Score, Table

TITLES = {
    "eer": "EER, every trial counting once (pooled), %",
    "macro_eer": "EER, every system weighing the same (macro), %",
}


def as_markdown(table: Table, title: str, preface: list[str]) -> str:
    """The document. `preface` are paragraphs below the title."""
    lines = [f"# {for_markdown(title)}", "", *(line for text in preface for line in (text, ""))]
    for measure, heading in TITLES.items():
        for of in table.lists:
            lines += [f"## {for_markdown(of)}: {heading}", "", *section(table, of, measure), ""]
    return "\n".join(lines)


def section(table: Table, of: str, measure: str) -> list[str]:
    """The lines of one list's table."""
    best = table.best(of, measure)
    header = [*map(for_markdown, table.header), *(f"nOut {column}" for column in table.columns)]
    lines = [as_row(header), as_row(["---"] * len(table.header) + ["---:"] * len(table.columns))]
    for row in table.rows:
        cells = [cell_text(table.cells.get((row, column)), of, measure, best) for column in table.columns]
        lines.append(as_row([*map(for_markdown, row), *cells]))
    return lines


def as_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell_text(cell: Cell | None, of: str, measure: str, best: float | None) -> str:
    """Mean ± deviation, the best in bold, the paper's value and the difference; what is missing, in words."""
    if cell is None:
        return ""
    score = cell.scores.get((of, measure))
    if score is None:
        return for_markdown(cell.missing) or "no figure"
    text = number_text(score)
    if score.mean == best:
        text = f"**{text}**"
    if score.paper is not None:
        text += f" (paper {score.paper:.2f}, {score.mean - score.paper:+.2f})"
    return f"{text}; {for_markdown(cell.missing)}" if cell.missing else text


def number_text(score: Score) -> str:
    """6.05, or 6.05 ± 0.12."""
    return f"{score.mean:.2f}" + ("" if score.deviation is None else f" ± {score.deviation:.2f}")
