"""Evaluation during training: what cannot be scored is refused before anything is learned, and nothing is lost."""

import json

import numpy as np
import pytest
import torch

import evaluation
import SpeakerNet
from corpus.audio import AudioFiles, AudioMemory
from engine import checkpoints
from engine.progress import Progress
from tests.conftest import command
from tests.test_training import metrics, refused, said, same, weights
from trainSpeakerNet import main


@pytest.mark.parametrize("option", ["dev_list", "test_list"])
@pytest.mark.parametrize(("rows", "what"), [(1, "no non-target trial"), (slice(None, None, 2), "no target trial")])
def test_a_list_that_cannot_be_scored_is_refused_before_training(options, corpus, capsys, option, rows, what):
    header, *lines = (corpus / "dev.csv").read_text().splitlines()
    kept = lines[:2] if rows == 1 else lines[rows]  # one system of two utterances, or one utterance of each
    (corpus / "few.csv").write_text("\n".join([header, *kept]) + "\n")
    text = refused(capsys, options | {option: corpus / "few.csv"})
    assert what in text and "few.csv" in text and "epoch 1" not in text
    assert not list((options["save_path"] / "model").glob("*.model"))


def test_what_an_epoch_learned_is_kept_when_its_evaluation_fails(options, monkeypatch, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(command(options | {"save_path": whole})) == 0

    def fail(*_):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "quick_look", fail)
        with pytest.raises(RuntimeError, match="a bug"):
            main(command(options | {"save_path": broken}))
    progress = checkpoints.read(broken / "model/last.model")["progress"]
    assert progress["epoch"] == 0 and progress["batch"] == 2  # all of the epoch, but for its evaluation
    assert main(command(options | {"save_path": broken})) == 0
    assert same(weights(whole), weights(broken)) and metrics(whole) == metrics(broken)


def test_running_out_of_memory_in_evaluation_names_the_longest_utterance_and_the_cure(options, capsys, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SpeakerNet, "embed_batches", fail)
    text = refused(capsys, options)
    assert "--eval_frames" in text and "fake/a/s0/u5.wav" in text and "(1 s)" in text
    assert (options["save_path"] / "model/last.model").exists()


def test_another_dev_list_chooses_the_best_checkpoint_anew(options, corpus, capsys):
    header, *lines = (corpus / "dev.csv").read_text().splitlines()
    (corpus / "other.csv").write_text("\n".join([header, *lines[2:], *lines[:1], *lines[:1]]) + "\n")
    assert main(command(options | {"max_epoch": 4, "test_interval": 4, "save_interval": 0})) == 0
    last = options["save_path"] / "model/last.model"
    state = checkpoints.read(last)
    state["progress"] |= {"epoch": 3, "history": state["progress"]["history"][:3], "best_eer": 0.0, "best_epoch": 3}
    for path in last.parent.glob("model0*.model"):
        path.unlink()
    last.unlink()
    checkpoints.write(last, state)
    assert main(command(options | {"max_epoch": 4, "test_interval": 4, "dev_list": corpus / "other.csv"})) == 0
    progress = checkpoints.read(last)["progress"]
    assert "the dev list has changed" in said(capsys)
    assert progress["best_epoch"] == 4 and progress["best_eer"] == metrics(options["save_path"])[-1]["dev_eer"]


def test_progress_of_an_older_checkpoint_keeps_its_best_epoch():
    progress = Progress(best_eer=0.1, best_epoch=3)
    progress.judge_by("digest of the dev list")
    assert progress.best_eer == 0.1 and progress.best_epoch == 3


def test_a_checkpoint_without_a_gradient_scaler_resumes_with_one(options):
    options |= {"max_epoch": 2, "test_interval": 2, "save_interval": 0}
    assert main(command(options)) == 0
    last = options["save_path"] / "model/last.model"
    state = checkpoints.read(last)
    assert state["scaler"] == {}
    trainer = SpeakerNet.ModelTrainer(SpeakerNet.load_model(last, "cpu"), [None, None])
    trainer.scaler = torch.amp.GradScaler("cpu", enabled=True)  # as float16 on a GPU has it
    assert trainer.restore(state, last).epoch == 2


def test_a_trial_list_is_scored_as_a_test_list(options, corpus, tmp_path):
    assert main(command(options)) == 0
    paths = [line.split(",")[0] for line in (corpus / "dev.csv").read_text().splitlines()[1:]]
    systems = [path.split("/")[2] for path in paths]
    lines = [f"{int(systems[i] == systems[j])} {paths[i]} ./{paths[j]}" for i in range(8) for j in range(i)]
    (corpus / "trials.txt").write_text("\n".join(lines) + "\n")
    argv = ["--eval", "--initial_model", options["save_path"] / "model/best.model", "--train_path", corpus]
    argv += ["--test_list", corpus / "trials.txt", "--save_path", tmp_path / "eval", "--device", "cpu"]
    assert main([*map(str, argv)]) == 0
    found = json.loads((tmp_path / "eval/result/eval_trials.json").read_text())
    every = json.loads((options["save_path"] / "result/eval_dev.json").read_text())
    assert found["target_trials"] == every["target_trials"] == 4
    assert found["eer"] == pytest.approx(every["eer"])


def test_one_utterance_has_an_embedding_and_no_error_rates(options, corpus, capsys, tmp_path):
    assert main(command(options)) == 0
    (corpus / "one.csv").write_text("\n".join((corpus / "dev.csv").read_text().splitlines()[:2]) + "\n")
    argv = ["--eval", "--initial_model", options["save_path"] / "model/best.model", "--train_path", corpus]
    argv += ["--test_list", corpus / "one.csv", "--save_path", tmp_path / "eval", "--device", "cpu"]
    said(capsys)
    assert main([*map(str, argv), "--save_embeddings", str(tmp_path / "one.npz")]) == 0
    assert "no error rates: a trial needs two utterances" in said(capsys)
    assert np.load(tmp_path / "one.npz")["embeddings"].shape == (1, 8)
    assert main([*map(str, argv)]) == 2


def test_audio_that_is_no_longer_needed_leaves_room_for_other_lists(corpus):
    memory = AudioMemory(200_000)
    path = corpus / "fake/a/s0/u0.wav"
    train, dev = AudioFiles([path] * 9, memory), AudioFiles([path] * 9, memory)
    train.lengths(1)
    dev.lengths(1)
    assert train.kept and not dev.kept
    train.forget()
    dev.lengths(1)
    assert dev.kept and not train.kept
