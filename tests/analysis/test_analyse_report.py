"""A report holds what an experiment left, and opens in a real browser; embeddings come from a checkpoint, too."""

import json
from dataclasses import replace

import numpy as np
import pytest

import analyse
import trainSpeakerNet
from analysis import embeddings, experiment_folder, tracing
from analysis.report import ReportOptions, in_words, report
from corpus.conditions import CONDITIONS, printed
from tests.analyse_data import clusters
from tests.browser import BROWSER, rendered
from tests.conftest import command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two experiments of seconds."""
    from tests.conftest import make_corpus

    folder = tmp_path_factory.mktemp("report")
    corpus = make_corpus(folder / "data", systems=6, utterances=14)
    lists = {f"{part}_list": corpus / f"{part}.csv" for part in ("train", "dev", "test")}
    common = lists | {"train_path": corpus, "batch_size": 8, "max_frames": 40, "max_epoch": 2, "warmup_epochs": 1}
    common |= {
        "test_interval": 1,
        "lr": 1e-3,
        "device": "cpu",
        "sampler": "balanced",
        "nPerSpeaker": 2,
        "batch_size": 4,
    }
    for name, different in (("one<b>", {"nOut": 8}), ("two", {"nOut": 4, "trainfunc": "softmax"})):
        assert trainSpeakerNet.main(command(common | different | {"save_path": folder / name})) == 0
    return folder


def test_a_report_holds_the_differences_the_curves_and_the_rates(trained, tmp_path):
    both = [str(trained / "one<b>"), str(trained / "two")]
    assert analyse.main(["report", *both, "--out", str(tmp_path), "--no_embeddings"]) == 0
    text = (tmp_path / "report.html").read_text()
    assert "[" not in text[text.index("Differences") : text.index("Learning curves")]
    assert "<td>nOut</td><td>8</td><td>4</td>" in text
    assert "<td>batch_size</td>" not in text
    assert "one&lt;b&gt;" in text
    assert "one<b>" not in text
    eer = json.loads((trained / "two" / "result" / "eval_test.json").read_text())["eer"]
    assert f"{100 * eer:.2f}" in text


@pytest.mark.skipif(not BROWSER, reason="no chromium to open the page with")
def test_the_whole_report_runs_in_a_browser_and_loads_nothing(trained, tmp_path):
    page = tmp_path / "report.html"
    assert analyse.main(["report", str(trained / "one<b>"), "--out", str(tmp_path), "--method", "pca"]) == 0
    document = rendered(page, tmp_path / "profile")
    for heading in ("Summary", "Configuration", "Learning curves", "Tracing: dev", "Tracing: test", "PCA of dev"):
        assert f"<h2>{heading}</h2>" in document
    assert document.count("<button") == 6  # the legend that the script made
    assert "http://" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page.read_text()


def test_embeddings_from_a_checkpoint_are_those_that_the_trainer_saves(trained, tmp_path):
    checkpoint, data = trained / "two" / "model" / "best.model", trained / "data"
    words = ["--eval", "--initial_model", checkpoint, "--test_list", data / "test.csv", "--test_path", data]
    words += ["--save_embeddings", tmp_path / "e.npz", "--save_path", tmp_path / "eval", "--device", "cpu"]
    assert trainSpeakerNet.main(list(map(str, words))) == 0
    made = experiment_folder.read(str(trained / "two")).embeddings("test")
    saved = embeddings.read(tmp_path / "e.npz")
    assert np.allclose(made.vectors, saved.vectors, atol=1e-5)
    assert (made.paths, made.systems, made.languages) == (saved.paths, saved.systems, saved.languages)
    words = [
        "confusions",
        "--checkpoint",
        checkpoint,
        "--list",
        data / "dev.csv",
        "--path",
        data,
        "--out",
        tmp_path / "o",
    ]
    assert analyse.main(list(map(str, words))) == 0
    assert (tmp_path / "o" / "cosines.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "{}/data"], "no experiment"),
        (["report", "{}/two", "{}/two/"], "named twice"),
        (["report", "{}/two", "--out", "r.html"], "--out r.html: a folder, as in all commands"),
        (["probe"], "name either an .npz file, or --checkpoint and --list"),
        (["probe", "--checkpoint", "{}/none.model", "--list", "{}/data/dev.csv"], "none.model: No such file"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(trained, words, said, capsys):
    assert analyse.main([word.format(trained) for word in words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_conditions_come_from_what_training_has_seen():
    made = clusters(6, 12, spread=1.2)
    without = replace(made, conditions=[""] * len(made))
    found = tracing.trace(without, made.classes()[:3], ["de"])
    assert list(found) == ["all", *map(printed, CONDITIONS)]
    assert {rates.utterances for name, rates in found.items() if name != "all"} == {18}
    assert list(tracing.trace(made, made.classes()[:3], ["de"])) == ["all", "seen", "unseen"]  # the list's own
    assert list(tracing.trace(without, [], [])) == ["all"]


def test_a_report_and_the_results_that_training_left_have_the_same_rates_by_condition(trained):
    """The lists' own column and what the checkpoint has seen differ: both go by the same rule."""
    folder = experiment_folder.read(str(trained / "two"))
    scored = json.loads((trained / "two" / "result" / "eval_test.json").read_text())["conditions"]
    found = tracing.trace(folder.embeddings("test"), *folder.known())
    assert [printed(condition) for condition in scored] == list(found)[1:]
    for condition, cell in scored.items():
        assert found[printed(condition)].eer == pytest.approx(cell["eer"], abs=1e-6)


def test_the_interval_of_an_eer_holds_it_and_few_systems_have_none():
    low, high = tracing.trace(clusters(8, 12, spread=1.2), [], [])["all"].interval
    eer = tracing.trace(clusters(8, 12, spread=1.2), [], [])["all"].eer
    assert 0 < low < eer < high < 1
    assert tracing.trace(clusters(3, 12, spread=1.2), [], [])["all"].interval is None


def test_options_are_shown_as_one_would_write_them():
    assert [in_words(v) for v in (["a.csv", "b.csv"], [0.05], True, "", [], 1e-4)] == [
        *("a.csv b.csv", "0.05", "true", "–", "–", "0.0001")
    ]


@pytest.mark.skipif(not BROWSER, reason="no chromium to open the page with")
@pytest.mark.parametrize("width", [1280, 420])
def test_the_summary_fits_its_window_and_curves_stay_legible(trained, tmp_path, width):
    folders = experiment_folder.read_all([str(trained / "one<b>"), str(trained / "two")])
    named = [replace(f, name=f"ThinResNet34-aamsoftmax-balanced-nOut{i}-seed{i}") for i, f in enumerate(folders)]
    html = report(named, ReportOptions("pca", audio=False))
    probe = "<script>const s = document.querySelector('section'), i = [...document.querySelectorAll('.curves img')];"
    probe += "document.title = [s.scrollWidth, s.clientWidth, ...i.map(i => i.width)].join(' ')</script></body>"
    (tmp_path / "p.html").write_text(html.replace("</body>", probe))
    document = rendered(tmp_path / "p.html", tmp_path / "profile", width)
    needed, there, *curves = map(int, document.split("<title>")[1].split("<")[0].split())
    assert len(curves) == 4 and min(curves) > 270  # of 3.6 inches of picture, whose letters are 8 points
    if width == 1280:
        assert needed <= there
