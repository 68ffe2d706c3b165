"""Model folders that are damaged, foreign or hostile are refused in one line, and nothing in them is run."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from engine import checkpoints, model_folder
from settings.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    """A sound folder."""
    save_file({"encoder.a": torch.ones(2), "loss.w": torch.zeros(3)}, tmp_path / "model.safetensors")
    write_config(tmp_path)
    return tmp_path


def write_config(folder, **changes):
    about = {"format": 1, "options": {"model": "ThinResNet34"}, "classes": ["x"], "languages": [], **changes}
    about.setdefault("sha256", model_folder.checksum(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(about))


def refused(folder, message):
    with pytest.raises(ConfigError, match=message) as caught:
        checkpoints.read(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_as_a_checkpoint_is(folder):
    state = checkpoints.read(folder)
    assert torch.equal(state["encoder"]["a"], torch.ones(2)) and torch.equal(state["loss"]["w"], torch.zeros(3))
    assert state["config"] == {"model": "ThinResNet34"} and state["classes"] == ["x"]


@pytest.mark.parametrize("place", [9, 40, -1])
def test_a_changed_byte_is_noticed(folder, place):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[place] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, "damaged or exchanged: its SHA-256")


def test_a_pickle_in_the_weights_place_is_not_opened(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "run"), "w")

    (folder / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    write_config(folder)
    refused(folder, "not a file of safetensors")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_program_are_refused(folder):
    save_file({"wav2vec2.encoder": torch.ones(2)}, folder / "model.safetensors")
    write_config(folder)
    refused(folder, "not a model of this trainer")


def test_a_foreign_config_is_refused(folder):
    (folder / "config.json").write_text('{"model_type": "bert"}')
    refused(folder, "not of a model of this trainer")


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[" * 100_000])
def test_a_config_that_is_no_table_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    refused(folder, r"config.json: (not|nested)")


@pytest.mark.parametrize("changes", [{"classes": "x"}, {"classes": [1]}, {"format": 99}, {"options": []}])
def test_values_of_the_wrong_kind_are_refused(folder, changes):
    write_config(folder, **changes)
    refused(folder, "not a checkpoint of this trainer|of format 99|not of a model of this trainer")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, f"{name}: No such file")


def test_options_name_what_lies_in_the_folder_and_nothing_outside(folder):
    write_config(folder, options={"ssl_path": "./ssl"})
    assert checkpoints.read(folder)["config"]["ssl_path"] == str(folder / "ssl")
    write_config(folder, options={"ssl_path": "./../../etc"})
    refused(folder, "ssl_path leads out of the folder")


@pytest.mark.parametrize("path", ["exps/typo", "a.model", "someone/a.model", "/tmp/none", "a/b/c"])
def test_a_mistyped_path_is_not_taken_for_a_name_on_the_hub(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exps").mkdir()
    assert not model_folder.is_hub_name(path)
    assert model_folder.is_hub_name("someone/tracer")


def test_a_description_with_a_digest_may_not_change(folder):
    about = json.loads((folder / "config.json").read_text())
    about["digest"] = model_folder.digest(about)
    (folder / "config.json").write_text(json.dumps(about))
    assert checkpoints.read(folder)["classes"] == ["x"]
    for changed in (about | {"classes": ["y"]}, about | {"options": {"nOut": 3}}, about | {"more": 1}):
        (folder / "config.json").write_text(json.dumps(changed))
        refused(folder, "config.json: damaged or changed")


def test_a_speech_model_s_description_may_not_change(folder):
    (folder / "ssl").mkdir()
    (folder / "ssl/config.json").write_text("{}")
    write_config(folder, ssl_sha256=model_folder.checksum(folder / "ssl/config.json"))
    checkpoints.read(folder)
    (folder / "ssl/config.json").write_text("{ }")
    refused(folder, "ssl/config.json: damaged or exchanged")
