"""Checkpoints are read back without running code, and what is no checkpoint is refused by name."""

import pickle

import pytest
import torch

from engine import checkpoints
from settings.errors import ConfigError


def test_what_is_written_is_read_back(tmp_path):
    state = {"encoder": {"w": torch.arange(3.0)}, "config": {"lr": 1e-4}, "classes": ["ä"], "progress": {"best": None}}
    checkpoints.write(tmp_path / "a.model", state)
    back = checkpoints.read(tmp_path / "a.model")
    assert torch.equal(back["encoder"]["w"], torch.arange(3.0))
    assert (back["config"], back["classes"], back["progress"]) == (state["config"], state["classes"], state["progress"])
    assert [file.name for file in tmp_path.iterdir()] == ["a.model"]


class Attack:
    def __reduce__(self):
        return (print, ("owned",))


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys, protocol):
    path = tmp_path / "evil.model"
    torch.save({"encoder": Attack()}, path) if protocol == "torch" else path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ConfigError, match="evil.model"):
        checkpoints.read(path)
    assert "owned" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", bytes(1000)])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="x.model"):
        checkpoints.read(path)
    torch.save([1, 2], path)
    with pytest.raises(ConfigError, match="x.model: not a checkpoint"):
        checkpoints.read(path)


def test_a_missing_checkpoint_is_named():
    with pytest.raises(ConfigError, match="nowhere.model: No such file"):
        checkpoints.read("nowhere.model")


def test_a_cut_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.model"
    checkpoints.write(path, {"encoder": {"w": torch.zeros(10_000)}})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ConfigError, match="a.model"):
        checkpoints.read(path)
