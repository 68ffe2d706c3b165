"""--eval --backend: a saved back-end scores lists and trials in the trainer as it does in score.py."""

import json

import pytest

import score
from SpeakerNet import load_model
from tests.conftest import command
from tests.test_training import said
from trainSpeakerNet import main


@pytest.fixture
def trained(options, tmp_path, capsys):
    """The folder of a trained run, and the words that evaluate its best model on the dev list."""
    assert main(command(options)) == 0
    said(capsys)
    argv = ["--eval", "--initial_model", options["save_path"] / "model/best.model", "--save_path", tmp_path / "e"]
    return options["save_path"], [*map(str, argv), "--test_list", str(options["dev_list"])]


def test_lists_and_trials_are_scored_as_score_py_scores_them(trained, options, corpus, tmp_path):
    _, evaluating = trained
    saved, wccn = str(tmp_path / "dev.npz"), str(tmp_path / "wccn.npz")
    assert main([*evaluating, "--save_embeddings", saved]) == 0
    plain = json.loads((tmp_path / "e/result/eval_dev.json").read_text())
    learned = ["--backend", "wccn", "--backend_from", saved, "--backend_out", wccn]
    assert score.main([saved, *learned, "--out", str(tmp_path / "scored"), "--no_progress"]) == 0
    assert main([*evaluating, "--backend", wccn]) == 0
    expected = json.loads((tmp_path / "scored/eval_dev.json").read_text())
    found = json.loads((tmp_path / "e/result/eval_dev_wccn.json").read_text())
    assert (found["eer"], found["threshold"]) == (expected["eer"], expected["threshold"])
    assert found["threshold"] != plain["threshold"]
    assert found["backend"] == wccn
    assert json.loads((tmp_path / "e/result/eval_dev.json").read_text()) == plain

    paths = [line.split(",")[0] for line in (corpus / "dev.csv").read_text().splitlines()[1:]]
    labels = [line.split(",")[1] for line in (corpus / "dev.csv").read_text().splitlines()[1:]]
    pairs = [(i, j) for i in range(len(paths)) for j in range(i)]
    lines = [f"{int(labels[i] == labels[j])} {paths[i]} {paths[j]}\n" for i, j in pairs]
    (tmp_path / "trials.txt").write_text("".join(lines))
    trials = [*evaluating[:-1], str(tmp_path / "trials.txt"), "--test_path", str(options["train_path"])]
    assert main([*trials, "--backend", wccn]) == 0
    given = json.loads((tmp_path / "e/result/eval_trials_wccn.json").read_text())
    assert given["eer"] == pytest.approx(found["eer"], abs=1e-6)


def test_what_is_no_back_end_of_this_model_is_refused_before_anything_is_embedded(trained, tmp_path, capsys):
    folder, evaluating = trained
    saved, wccn = str(tmp_path / "dev.npz"), str(tmp_path / "wccn.npz")
    assert main([*evaluating, "--save_embeddings", saved]) == 0
    said(capsys)
    assert main([*evaluating, "--backend", saved]) == 2
    assert "no back-end in it" in said(capsys)
    assert score.main([saved, "--backend", "wccn", "--backend_from", saved, "--backend_out", wccn]) == 0
    best = load_model(folder / "model/best.model", "cpu").digest
    models = [folder / f"model/model00000000{epoch}.model" for epoch in (1, 2)]
    other = next(path for path in models if load_model(path, "cpu").digest != best)
    assert (
        main([word.replace(str(folder / "model/best.model"), str(other)) for word in evaluating] + ["--backend", wccn])
        == 2
    )
    assert "is of another model" in said(capsys)


def test_a_training_takes_none(options, capsys):
    assert main(command(options | {"backend": "wccn.npz"})) == 2
    assert "--backend goes with --eval" in said(capsys)
