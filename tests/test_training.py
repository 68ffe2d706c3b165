"""The trainer from the command line: what it writes, that it resumes, and what it says of wrong input."""

import json
import shutil

import numpy as np
import pytest
import torch

from engine import checkpoints
from settings import plugins
from tests.conftest import ROOT, command
from trainSpeakerNet import main


def said(capsys) -> str:
    """All that was printed, results and then errors."""
    printed = capsys.readouterr()
    return printed.out + printed.err


def refused(capsys, options, *more) -> str:
    """What the trainer prints when it refuses."""
    assert main(command(options, *more)) == 2
    text = said(capsys)
    assert "error: " in text
    return text


def metrics(folder) -> list[dict]:
    """The rows of metrics.jsonl without what depends on the clock."""
    clock = {"seconds", "utterances_per_s", "data_wait"}
    rows = [json.loads(line) for line in (folder / "result/metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in clock} for row in rows]


def weights(folder) -> dict:
    return checkpoints.read(folder / "model/last.model")["encoder"]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.usefixtures("full_size")
def test_a_run_writes_the_whole_experiment(options, capsys):
    assert main(command(options)) == 0
    text, folder = said(capsys), options["save_path"]
    assert "epoch 2: loss" in text and "dev EER" in text and "16 of 16 utterances" in text
    found = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "tensorboard" not in str(path)
    }
    assert found - {".lock"} == {
        "config.yaml",
        "environment.json",
        "model/last.model",
        "model/previous.model",
        "model/best.model",
        "model/model000000001.model",
        "model/model000000002.model",
        "result/scores.txt",
        "result/metrics.jsonl",
        *(f"result/eval_{name}.json" for name in ("dev", "test")),
        *(f"result/{picture}_{name}.png" for picture in ("det", "scores") for name in ("dev", "test")),
    }
    assert any((folder / "tensorboard").iterdir())
    results = json.loads((folder / "result/eval_test.json").read_text())
    assert results["target_trials"] + results["nontarget_trials"] == 8 * 7 // 2
    assert 0 <= results["eer"] <= 1 and results["systems"] == 4
    assert main(["--config", str(folder / "config.yaml"), "--save_path", str(folder) + "2"]) == 0
    assert same(weights(folder), weights(folder.with_name("exp2")))


@pytest.mark.parametrize("loss", plugins.names("loss"))
def test_every_loss_trains_with_the_balanced_sampler_and_falls(options, loss):
    options |= {"trainfunc": loss, "sampler": "balanced", "batch_size": 4, "nPerSpeaker": 2, "max_epoch": 12}
    del options["dev_list"], options["test_list"]
    assert main(command(options)) == 0
    rows = metrics(options["save_path"])
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_two_runs_with_one_seed_are_bit_identical_and_another_seed_differs(options, tmp_path):
    for name, seed, threads in (("a", 1, 1), ("b", 1, 3), ("c", 2, 1)):
        assert (
            main(command(options | {"save_path": tmp_path / name}, "--seed", seed, "--nDataLoaderThread", threads)) == 0
        )
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b") != metrics(tmp_path / "c")


def test_a_run_stopped_after_an_epoch_ends_as_an_undisturbed_one(options, tmp_path):
    options |= {"max_epoch": 4}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(command(options | {"save_path": whole})) == 0
    shutil.copytree(whole, stopped)
    shutil.copy(whole / "model/model000000002.model", stopped / "model/last.model")
    assert main(command(options | {"save_path": stopped})) == 0
    assert same(weights(whole), weights(stopped)) and metrics(whole) == metrics(stopped)


def test_eval_reproduces_the_eer_that_training_logged_to_the_last_digit(options, capsys, tmp_path):
    assert main(command(options)) == 0
    folder = options["save_path"]
    best = checkpoints.read(folder / "model/best.model")["progress"]
    argv = ["--eval", "--initial_model", folder / "model/best.model", "--test_list", options["dev_list"]]
    assert (
        main([*map(str, argv), "--save_path", str(tmp_path / "eval"), "--save_embeddings", str(tmp_path / "e.npz")])
        == 0
    )
    results = json.loads((tmp_path / "eval/result/eval_dev.json").read_text())
    assert results["eer"] == best["best_eer"]
    assert "EER" in said(capsys)
    with np.load(tmp_path / "e.npz") as saved:
        assert saved["embeddings"].shape == (8, 8) and saved["embeddings"].dtype == np.float32
        assert (
            saved["labels"][0] == "system 0" and saved["paths"][0].endswith("u4.wav") and saved["languages"][0] == "a"
        )


def test_eval_needs_no_train_list_and_scores_systems_never_seen(options, capsys, corpus, tmp_path):
    assert main(command(options)) == 0
    shutil.rmtree(corpus / "fake/a/s0")
    (corpus / "train.csv").unlink()
    (corpus / "new.csv").write_text(
        (corpus / "test.csv").read_text().replace("fake/a/s0", "fake/b/s1").replace("system 0", "new")
    )
    argv = ["--eval", "--initial_model", options["save_path"] / "model/last.model", "--save_path", tmp_path / "e"]
    assert main([*map(str, argv), "--test_list", str(corpus / "new.csv"), str(corpus / "dev.csv")]) == 2
    assert "s0/u4.wav" in said(capsys)
    assert main([*map(str, argv), "--test_list", str(corpus / "new.csv")]) == 0


def test_initial_model_starts_from_its_weights(options, tmp_path):
    assert main(command(options)) == 0
    start = options["save_path"] / "model/last.model"
    tuned = options | {"save_path": tmp_path / "tuned", "lr": 1e-12, "max_epoch": 2}
    assert main(command(tuned, "--initial_model", start)) == 0
    before, after = weights(options["save_path"]), weights(tmp_path / "tuned")
    learned = [name for name in before if name.endswith("conv1.weight")]
    assert all(torch.allclose(before[name], after[name], atol=1e-8) for name in learned)


def test_missing_and_broken_files_are_all_named_before_training(options, corpus, capsys):
    (corpus / "fake/a/s0/u0.wav").unlink()
    (corpus / "fake/b/s1/u1.wav").write_bytes(b"")
    (corpus / "fake/a/s2/u5.wav").write_text("no audio")
    text = refused(capsys, options)
    assert "line 2: " in text and "s0/u0.wav" in text and "s1/u1.wav: the file is empty" in text
    assert "dev.csv" in text and "s2/u5.wav: cannot be read as audio" in text
    assert not (options["save_path"] / "model/last.model").exists()


def test_wrong_lists_and_sizes_are_named(options, corpus, capsys):
    assert "nowhere.csv: No such file" in refused(capsys, options | {"train_list": "nowhere.csv"})
    one = corpus / "one.csv"
    one.write_text("path,model_name\n" + "".join(f"fake/a/s0/u{i}.wav,x\n" for i in range(4)))
    assert "one system, x" in refused(capsys, options | {"train_list": one})
    assert "--nClasses: the systems of the train list are counted" in refused(capsys, options | {"nClasses": 5})
    grouped = options | {"trainfunc": "ge2e", "sampler": "balanced"}
    assert "has 4" in refused(capsys, grouped | {"batch_size": 5, "nPerSpeaker": 2})
    assert "--nPerSpeaker 5" in refused(capsys, grouped | {"batch_size": 4, "nPerSpeaker": 5})


def test_a_dev_list_without_a_trial_of_either_kind_is_an_error(options, corpus, capsys):
    (corpus / "dev.csv").write_text("path,model_name\nfake/a/s0/u4.wav,x\nfake/a/s0/u5.wav,x\n")
    assert "non-target" in refused(capsys, options)


def test_an_unwritable_save_path_is_named(options, corpus, capsys):
    assert "--save_path" in refused(capsys, options | {"save_path": corpus / "train.csv/exp"})


def test_a_checkpoint_of_another_model_is_named(options, tmp_path, capsys):
    torch.save({"model": torch.nn.Linear(3, 3).state_dict()}, tmp_path / "other.model")
    assert "conv1.weight: not in the checkpoint" in refused(
        capsys, options, "--initial_model", tmp_path / "other.model"
    )


def test_a_loss_that_is_not_finite_stops_with_epoch_batch_and_utterances(options, capsys):
    text = refused(capsys, options | {"lr": 1e30, "warmup_epochs": 0})
    assert "the loss is" in text and "batch " in text and "fake/a/s0" in text


def test_a_file_that_vanishes_during_training_is_named(options, corpus, capsys, monkeypatch):
    from SpeakerNet import ModelTrainer

    step = ModelTrainer.step

    def vanish(self, *args):
        shutil.rmtree(corpus / "fake/a/s2", ignore_errors=True)
        return step(self, *args)

    monkeypatch.setattr(ModelTrainer, "step", vanish)
    assert "fake/a/s2" in refused(capsys, options, "--audio_memory", 0)


def test_the_demo_config_made_tiny_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    lists = {name: tmp_path / f"{name}.csv" for name in ("train", "dev", "test")}
    for name, path in lists.items():
        header, *rows = (ROOT / f"data_lists/demo/{name}.csv").read_text().splitlines()
        path.write_text("\n".join([header, *rows[::12]]))
    tiny = {f"{name}_list": path for name, path in lists.items()}
    tiny |= {"save_path": tmp_path / "demo", "batch_size": 8, "max_epoch": 2, "warmup_epochs": 1, "device": "cpu"}
    assert main(["--config", "configs/demo.yaml", *command(tiny)]) == 0
    assert f"{tiny['test_list']}\n" in (text := said(capsys)) and "macro EER" in text


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*.yaml")), ids=lambda path: path.name)
def test_every_config_is_valid_and_says_how_to_run_it(path):
    from settings.resolve import resolve

    assert f"--config configs/{path.name}" in path.read_text().splitlines()[0]
    resolve(["--config", str(path)])


def test_a_train_path_that_does_not_exist_is_one_message(options, tmp_path, capsys):
    error = refused(capsys, options | {"train_path": tmp_path / "nowhere"})
    assert error.count("\n") <= 1 and f"{tmp_path}/nowhere: no such folder" in error


def test_backslashes_in_paths_get_a_hint(options, corpus, capsys):
    listed = corpus / "train.csv"
    listed.write_text(listed.read_text().replace("fake/a/s0/", "fake\\a\\s0\\"))
    assert "write / between folders" in refused(capsys, options)


def test_few_epochs_shorten_the_default_warm_up_and_say_so(options, capsys):
    del options["warmup_epochs"]
    assert main(command(options)) == 0
    assert "--warmup_epochs is 0.2, since --max_epoch is 2" in said(capsys)
    assert "nothing to anneal" in refused(capsys, options | {"warmup_epochs": 2})


def test_a_folder_given_as_checkpoint_is_its_best_model(options, tmp_path):
    assert main(command(options)) == 0
    argv = ["--eval", "--initial_model", options["save_path"], "--test_list", options["dev_list"]]
    assert main([*map(str, argv), "--save_path", str(tmp_path / "eval")]) == 0
    results = json.loads((tmp_path / "eval/result/eval_dev.json").read_text())
    best = checkpoints.read(options["save_path"] / "model/best.model")["progress"]
    assert results["eer"] == best["best_eer"]
    assert main([*map(str, argv)]) == 0  # without --save_path, into the experiment itself


def test_resuming_with_other_threads_is_warned_of(options, capsys):
    assert main(command(options)) == 0
    said(capsys)
    torch.set_num_threads(2)
    try:
        assert main(command(options)) == 0
    finally:
        torch.set_num_threads(1)
    assert "was trained with 1 threads, and there are 2 now" in said(capsys)


def test_an_interrupted_evaluation_ends_with_one_line(options, capsys, monkeypatch):
    assert main(command(options)) == 0
    said(capsys)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluation.score_lists", interrupted)
    argv = ["--eval", "--initial_model", options["save_path"], "--test_list", options["dev_list"]]
    assert main([*map(str, argv)]) == 130
    assert capsys.readouterr().err == "interrupted\n"
