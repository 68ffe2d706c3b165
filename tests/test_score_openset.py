"""score.py openset and score.py --backend, from files to tables and JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

import score
from corpus.embedding_file import SavedEmbeddings, write_embeddings
from tests.scoring.test_openset import lists


@pytest.fixture
def files(tmp_path, monkeypatch):
    """train.npz, dev.npz, test.npz of one model, with logits; foreign.npz of another; bare.npz without logits."""
    monkeypatch.chdir(tmp_path)
    train, test = lists()
    _, dev = lists(seed=5)
    for name, (rows, labels, logits), digest in (
        ("train", train, "ab"),
        ("test", test, "ab"),
        ("dev", dev, "ab"),
        ("foreign", train, "cd"),
        ("bare", (*train[:2], None), "ab"),
    ):
        paths = np.array([f"{name}{number}.wav" for number in range(len(rows))])
        write_embeddings(f"{name}.npz", SavedEmbeddings(rows, labels, paths, logits=logits, checkpoint=digest))


def run(*words):
    return score.main([*words])


def test_every_metric_says_its_positive_class_direction_and_threshold(files, capsys):  # noqa: ARG001
    assert run("openset", "train.npz", "test.npz", "--dev", "dev.npz", "--draws", "20", "--out", "out") == 0
    found = json.loads(Path("out/openset_test.json").read_text())
    assert set(found["scores"]) == {"msp", "energy", "sme", "nsd", "centroid", "knn", "mahalanobis"}
    for name, one in found["scores"].items():
        assert len(one["metrics"]) == 11, name
        for metric in one["metrics"].values():
            assert metric["positive"] in ("known", "unknown", "every system")
            assert metric["higher_score_means"] == "known"
            assert metric["threshold_from"] in ("none", "this list", "dev")
            low, high = metric["pooled_interval"]
            assert 0 <= low <= high <= 1
    out = capsys.readouterr().out
    assert "AUROC [known; none]" in out and "wrote out/openset_test.json" in out


def test_without_dev_or_logits_only_what_can_be_said_is(files, capsys):  # noqa: ARG001
    assert run("openset", "bare.npz", "test.npz", "--draws", "0") == 0
    out = capsys.readouterr().out
    assert "centroid" in out and "energy" not in out and "dev" not in out


def test_the_official_convention_stands_beside_ours(files, capsys):  # noqa: ARG001
    words = ("openset", "train.npz", "test.npz", "--dev", "dev.npz", "--draws", "0", "--as-published")
    assert run(*words, "--scores", "nsd") == 0
    assert "as the official baseline publishes it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("openset", "foreign.npz", "test.npz"), "another model"),
        (("openset", "bare.npz", "test.npz", "--scores", "nsd"), "needs logits"),
        (("openset", "train.npz", "test.npz", "--as-published"), "needs --dev"),
        (("openset", "test.npz", "train.npz"), "logits are of 4 systems"),
        (("test.npz", "--score_norm", "asnorm", "--cohort", "foreign.npz"), "another model"),
        (("test.npz", "--backend", "wccn", "--backend_from", "foreign.npz"), "another model"),
        (("test.npz", "--backend", "wccn"), "belong together"),
        (("test.npz", "--backend_out", "new.npz"), "--backend_out writes what --backend"),
        (("test.npz", "--backend_from", "train.npz"), "belong together"),
    ],
)
def test_mistakes_are_one_line(words, message, files, capsys):  # noqa: ARG001
    assert run(*words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["wccn", "lda", "plda"])
def test_a_back_end_scores_lists_and_trials_alike(backend, files, capsys):  # noqa: ARG001
    options = ("--backend", backend, "--backend_from", "train.npz", "--no_progress", "--draws", "0")
    assert run("test.npz", *options, "--out", "all") == 0
    labels = lists()[1][1]
    lines = [f"{int(labels[i] == labels[j])} test{i}.wav test{j}.wav\n" for i in range(100) for j in range(i)]
    Path("trials.txt").write_text("".join(lines))
    assert run("test.npz", *options, "--trial_list", "trials.txt", "--out", "given") == 0
    whole = json.loads(Path("all/eval_test.json").read_text())
    given = json.loads(Path("given/eval_test_trials.json").read_text())
    assert given["eer"] == pytest.approx(whole["eer"], abs=1e-3)
    assert given["threshold"] == pytest.approx(whole["threshold"], abs=1e-3)


def test_a_saved_back_end_scores_as_the_one_learned_and_is_refused_for_another_model(files, capsys):  # noqa: ARG001
    quiet = ("--no_progress", "--draws", "0")
    learned = ("--backend", "wccn", "--backend_from", "train.npz", "--backend_out", "wccn.npz")
    assert run("test.npz", *learned, *quiet, "--out", "learned") == 0
    assert "wrote wccn.npz" in capsys.readouterr().out
    assert run("test.npz", "--backend_from", "wccn.npz", *quiet, "--out", "saved") == 0
    assert Path("saved/eval_test.json").read_text() == Path("learned/eval_test.json").read_text()
    assert run("foreign.npz", "--backend_from", "wccn.npz") == 2
    assert run("test.npz", "--backend", "lda", "--backend_from", "wccn.npz") == 2
    errors = capsys.readouterr().err
    assert "another model" in errors
    assert "is a back-end wccn, not lda" in errors
