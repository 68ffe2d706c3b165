"""Similarities, neighbours, projections, pictures and the page of points; the page is opened in a real browser."""

import csv
import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import analyse
from analysis import embeddings as saved
from analysis import page, projection, similarity
from settings.errors import DataError
from tests.analyse_data import clusters
from tests.browser import BROWSER, rendered

EVIL = '</script><img src=x onerror="document.title=1">&amp;'


@pytest.fixture
def npz(tmp_path):
    saved.write(tmp_path / "dev.npz", clusters())
    return tmp_path / "dev.npz"


def test_mean_cosines_are_those_of_a_slow_loop():
    made = clusters(3, 4)
    unit, labels = made.unit().astype(float), made.labels()
    fast = similarity.mean_cosines(made)
    for a, b in itertools.product(range(3), repeat=2):
        pairs = itertools.product(np.flatnonzero(labels == a), np.flatnonzero(labels == b))
        assert np.isclose(fast[a, b], np.mean([unit[i] @ unit[j] for i, j in pairs if i != j]))


def test_clustering_puts_look_alikes_side_by_side():
    cosines = np.array([[1, 0.1, 0.9, 0.0], [0.1, 1, 0.1, 0.8], [0.9, 0.1, 1, 0.0], [0.0, 0.8, 0.0, 1]])
    order = similarity.order(similarity.clustering(cosines)).tolist()
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert similarity.look_alikes(cosines, list("abcd"), most=1)[0].startswith("a and c: mean cosine 0.900")


def test_neighbours_are_those_of_a_full_sort_without_the_utterance_itself():
    made = clusters(3, 10, spread=2)
    cosine = made.unit() @ made.unit().T
    np.fill_diagonal(cosine, -2)
    found = similarity.neighbours(made, np.arange(30), 4, block=7)
    assert np.array_equal(found.rows, np.argsort(-cosine, axis=1)[:, :4])


def test_utterances_are_found_by_path_end_and_pattern_and_the_rest_is_named():
    made = clusters(2, 3)
    assert similarity.matching(made, ["./" + made.paths[4], "1.wav", "fake/de/*/2.wav"]).tolist() == [1, 2, 4]
    with pytest.raises(DataError, match="matches nope, x"):
        similarity.matching(made, ["nope", "1.wav", "x*"])


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_a_projection_is_seeded_and_keeps_clusters_together(method):
    if method == "umap":
        pytest.importorskip("umap", reason="umap-learn (requirements-analysis.txt) is not installed")
    made = clusters(3, 25, spread=0.05)
    places = projection.project(made, method)
    assert places.shape == (75, 2)
    assert np.array_equal(places, projection.project(made, method))
    near = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(75)
    assert (made.labels()[near.argmin(axis=1)] == made.labels()).mean() > 0.95


def test_each_command_writes_its_files_and_returns_0(npz, capsys):
    assert analyse.main(["probe", str(npz), "--repeats", "2"]) == 0
    assert analyse.main(["confusions", str(npz)]) == 0
    assert analyse.main(["umap", str(npz), "--method", "pca"]) == 0
    assert analyse.main(["neighbours", str(npz), "--of", "7.wav"]) == 0
    folder = npz.with_suffix("")
    expected = "cosines.csv cosines.png neighbours.csv pca.html pca_condition.png pca_language.png pca_system.png"
    expected += " probe.json probe_confusion.csv probe_confusion.png"
    assert sorted(path.name for path in folder.iterdir()) == expected.split()
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["probe", "umap --method pca", "confusions", "neighbours"])
def test_a_missing_file_is_one_line_on_stderr_and_status_2(command, tmp_path, capsys):
    assert analyse.main([*command.split(), str(tmp_path / "none.npz")]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {tmp_path}/none.npz: No such file or directory\n"
    assert not captured.out


def test_without_umap_pca_takes_its_place_and_says_so(npz, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "umap", None)
    assert analyse.main(["umap", str(npz)]) == 0
    out = capsys.readouterr().out
    assert "PCA instead of UMAP" in out and "pip install -r requirements-analysis.txt" in out
    assert (npz.with_suffix("") / "pca.html").exists() and not (npz.with_suffix("") / "umap.html").exists()


def test_nearly_equal_embeddings_are_warned_of(tmp_path, capsys):
    made = clusters(3, 20, spread=0.02)
    near = replace(made, vectors=made.vectors * 0.03 + 1)
    saved.write(tmp_path / "near.npz", near)
    for command in ("confusions", "neighbours", "probe"):
        assert analyse.main([command, str(tmp_path / "near.npz")]) == 0
        assert "warning: the embeddings are nearly equal (mean cosine 0.99" in capsys.readouterr().out
    assert not made.remarks()


def test_names_are_harmless_in_pictures_tables_and_on_a_terminal(tmp_path, capsys):
    made = clusters(3, 20)
    evil = ["=cmd|'/c calc'!A1", "\u202e$\\frac{$", "@sum<b>"]
    made = replace(made, systems=[evil[i // 20] for i in range(60)], paths=[f"{evil[1]}{i}" for i in range(60)])
    saved.write(tmp_path / "evil.npz", made)
    for words in (["probe"], ["confusions"], ["neighbours", "--of", "*"], ["umap", "--method", "pca"]):
        assert analyse.main([words[0], str(tmp_path / "evil.npz"), *words[1:]]) == 0
    assert "\u202e" not in capsys.readouterr().out
    for path in (tmp_path / "evil").glob("*.csv"):
        with path.open(newline="") as file:
            assert not [cell for row in csv.reader(file) for cell in row if cell.startswith(("=", "@", "\u202e"))]


def test_64_systems_make_pictures_whose_cells_have_room(tmp_path):
    saved.write(tmp_path / "many.npz", clusters(64, 6))
    assert analyse.main(["probe", str(tmp_path / "many.npz")]) == 0
    with Image.open(tmp_path / "many" / "probe_confusion.png") as picture:
        assert min(picture.size) > 64 * 30  # pixels a cell


def test_names_cannot_leave_the_data_of_a_page():
    made = clusters(1, 5)
    made.systems[0] = made.paths[1] = EVIL
    html = page.scatter(np.zeros((5, 2), np.float32), made, "points")
    assert html.count("</script>") == 1
    assert "<img" not in html


@pytest.mark.skipif(not BROWSER, reason="no chromium to open the page with")
def test_the_page_of_points_runs_in_a_browser_and_hovering_tells_the_utterance(tmp_path):
    made = clusters(3, 5)
    made.systems[0] = made.paths[0] = EVIL
    body = page.scatter(projection.project(made, "pca"), made, "points")
    probe = "<script>const s = document.querySelector('.scatter').handle; s.hover(...s.place(0));</script></body>"
    (tmp_path / "p.html").write_text(page.page("Points", body, ("scatter.js",)).replace("</body>", probe))
    document = rendered(tmp_path / "p.html", tmp_path / "profile")
    assert "<title>Points</title>" in document  # the name did not become HTML
    tip = document[document.index('class="tip"') :].split("<aside>")[0]
    assert "&lt;/script&gt;&lt;img src=x onerror=" in tip
    assert "language: de" in tip
    assert document.count("<button") == 4  # a legend entry for each system
