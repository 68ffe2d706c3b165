"""The table of a sweep: names in it are harmless in Markdown, CSV and pictures, and its picture shows its range."""

import csv
import io

import pytest
from matplotlib.figure import Figure

from settings.errors import ConfigError
from sweeping import heat_map, markdown, table
from sweeping.table import Cell, Score, Table

EVIL = "=1+1|<b>$\\frac{$"


def made(values=(4.0, 9.0)) -> Table:
    cells = {(("m", EVIL), n): Cell({("dev", "eer"): Score(v, None, None)}, 1, 1, "") for n, v in enumerate(values)}
    return Table(["model", "loss"], [("m", EVIL)], list(range(len(values))), ["dev"], cells)


def test_names_are_harmless_in_the_table_of_each_form(tmp_path):
    assert r"| m | =1+1\|&lt;b&gt;$\\frac{$ | **4.00** | 9.00 |" in markdown.as_markdown(made(), "t<b>", [])
    evil = Table(["model", "loss"], [(EVIL, "m")], [0], ["dev"], {((EVIL, "m"), 0): Cell({}, 0, 1, "@failed")})
    _, row = csv.reader(io.StringIO(table.as_csv(evil)))
    assert row[0] == f"'{EVIL}" and row[-1] == "'@failed"
    heat_map.draw(tmp_path / "t.png", made(), EVIL)


def test_the_picture_shows_its_range(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: shown.append(self) or (tmp_path / "x").touch())
    monkeypatch.setattr(heat_map, "atomic_write", lambda path: __import__("contextlib").nullcontext(path))
    heat_map.draw(tmp_path / "t.png", made((0.5, 2.5, 23.0)), "t")
    scale = shown[0].axes[-1]
    assert [label.get_text() for label in scale.get_yticklabels()] == ["0.5", "1", "2", "5", "10", "20", "23"]


@pytest.mark.parametrize("cells", ["nan,1", "1,inf", "-1,1", "1", "101,1", '"\0",1'])
def test_published_figures_that_are_no_percentages_are_refused(tmp_path, cells):
    header = "model,trainfunc,sampler,nOut,dev_eer_percent,test_eer_percent\n"
    (tmp_path / "p.csv").write_text(f"{header}m,l,s,10,{cells}\n")
    with pytest.raises(ConfigError, match=r"p\.csv"):
        table.read_paper(str(tmp_path / "p.csv"))
