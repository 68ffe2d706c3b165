"""Paths in a config start from its project; a run is the same run from every folder."""

import logging
from pathlib import Path

import pytest
import yaml

from engine.run_folder import read_config as recorded_config
from settings.project import found_from, portable, project_of, same_value
from settings.resolve import read_config, resolve
from sweeping import sweep_file
from sweeping.grid import runs
from tests.conftest import ROOT, command, make_corpus
from trainSpeakerNet import main

DEMO = str(ROOT / "configs/demo.yaml")


@pytest.fixture
def project(options, tmp_path):
    """A project of its own: pyproject.toml, data, and configs/tiny.yaml with paths that start from it."""
    folder = tmp_path / "project"
    make_corpus(folder / "lists")
    (folder / "configs").mkdir()
    (folder / "pyproject.toml").touch()
    paths = {name: f"lists/{name.split('_')[0]}.csv" for name in ("train_list", "dev_list", "test_list")}
    values = options | paths | {"train_path": "lists", "save_path": "exps/tiny"}
    (folder / "configs/tiny.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def test_the_demo_is_found_from_any_folder_and_written_as_it_stands_in_its_own(elsewhere, monkeypatch):
    config = resolve(["--config", DEMO])
    assert config.train_list == str(ROOT / "data_lists/demo/train.csv") and Path(config.train_list).exists()
    assert config.test_list == [str(ROOT / "data_lists/demo/test.csv")] and config.train_path == str(ROOT / "data/demo")
    assert config.save_path == str(ROOT / "exps/demo") and not list(elsewhere.iterdir())
    monkeypatch.chdir(ROOT)
    assert resolve(["--config", DEMO]).train_list == "data_lists/demo/train.csv"
    monkeypatch.chdir(ROOT / "configs")
    assert resolve(["--config", "demo.yaml"]).save_path == str(ROOT / "exps/demo")


def test_paths_of_the_command_line_start_from_the_current_folder(elsewhere):  # noqa: ARG001
    config = resolve(["--config", DEMO, "--save_path", "here", "--dev_list", "dev.csv"])
    assert (config.save_path, config.dev_list) == ("here", "dev.csv")


def test_a_config_of_no_project_is_like_a_command_line(elsewhere, tmp_path):
    (tmp_path / "a.yaml").write_text("train_list: lists/train.csv\n")
    assert project_of(tmp_path / "a.yaml") is None
    assert resolve(["--config", str(tmp_path / "a.yaml")]).train_list == "lists/train.csv"
    assert found_from(elsewhere / "a.yaml", "x") == "x"


def test_what_only_the_current_folder_has_is_taken_with_a_note_and_what_both_have_too(project, elsewhere, caplog):
    caplog.set_level(logging.WARNING)
    (elsewhere / "mine").mkdir()
    (elsewhere / "lists").mkdir()
    (project / "configs/a.yaml").write_text("train_list: mine\nmusan_path: lists\ncache: nowhere\naugment: 'true'\n")
    config = resolve(["--config", str(project / "configs/a.yaml")])
    assert (config.train_list, config.augment) == ("mine", "true")
    assert (config.musan_path, config.cache) == (str(project / "lists"), str(project / "nowhere"))
    first, second = caplog.messages
    assert f"a.yaml line 1: train_list: mine: taken from the current folder, since there is none in {project}" in first
    assert f"a.yaml line 2: musan_path: lists: not the current folder's, but of {project}" in second


def test_a_name_on_a_hub_stays_one_and_a_folder_of_the_project_is_found(project, elsewhere):  # noqa: ARG001
    path = project / "configs/ssl.yaml"
    path.write_text("ssl_path: owner/name\n")
    assert read_config(str(path))["ssl_path"].value == "owner/name"
    (project / "owner/name").mkdir(parents=True)
    assert read_config(str(path))["ssl_path"].value == str(project / "owner/name")


def test_a_record_means_the_same_from_every_folder(project, elsewhere, monkeypatch):
    values = {"train_list": "lists/train.csv", "test_list": ["a.csv"], "augment": "false", "model": "lists"}
    absolute = {"train_list": str(elsewhere / "lists/train.csv"), "test_list": [str(elsewhere / "a.csv")]}
    assert portable(values, elsewhere / "config.yaml") == values | absolute
    assert portable(values, project / "exps/config.yaml") == values | absolute
    monkeypatch.chdir(project)
    assert portable(values, "exps/config.yaml") == values
    assert same_value("train_list", "lists/train.csv", str(project / "lists/train.csv"))
    assert not same_value("train_list", "lists/train.csv", str(elsewhere / "lists/train.csv"))
    assert not same_value("model", "lists", str(project / "lists"))


@pytest.mark.parametrize("save_path", [None, "outside"])
def test_a_run_goes_on_and_is_scored_and_read_from_other_folders(project, elsewhere, monkeypatch, capsys, save_path):
    monkeypatch.chdir(project)
    own = [] if save_path is None else ["--save_path", str(elsewhere / save_path)]
    folder = project / "exps/tiny" if save_path is None else elsewhere / save_path
    assert main(["--config", "configs/tiny.yaml", "--max_epoch", "1", "--warmup_epochs", "0.5", *own]) == 0
    assert f"results go to {'exps/tiny' if save_path is None else folder}" in capsys.readouterr().out
    monkeypatch.chdir(elsewhere)
    assert main(["--config", str(folder / "config.yaml")]) == 0
    assert f"resuming from {folder / 'model/last.model'} at epoch 2" in capsys.readouterr().out
    assert recorded_config(folder)["train_list"] == str(project / "lists/train.csv")
    argv = ["--eval", "--initial_model", str(folder / "model/last.model"), "--save_path", str(elsewhere / "eval")]
    assert main([*argv, *command({"test_list": project / "lists/test.csv", "device": "cpu"})]) == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted({"eval", save_path} - {None})


def test_a_sweep_has_the_same_runs_from_every_folder(project, elsewhere, monkeypatch):
    (project / "configs/some.yaml").write_text("copies: [speed1.1]\n")
    part = {"config": "configs/tiny.yaml", "grid": {"augment": ["configs/some.yaml", "false"]}}
    (project / "sweep.yaml").write_text(yaml.safe_dump({"save_path": "exps/s", "parts": [part]}))
    monkeypatch.chdir(project)
    at_home = runs(sweep_file.read("sweep.yaml"), [])
    monkeypatch.chdir(elsewhere)
    away = runs(sweep_file.read(str(project / "sweep.yaml")), [])
    assert [run.name for run in at_home] == [run.name for run in away]
    assert [str(project / run.config.save_path) for run in at_home] == [run.config.save_path for run in away]
    assert away[0].config.augment == str(project / "configs/some.yaml") and away[1].config.augment == "false"
    assert all(resolve(run.words) == run.config for run in away)
