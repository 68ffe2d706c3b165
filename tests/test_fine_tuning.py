"""Runs that begin with a checkpoint: wider crops and a larger margin at the end, other systems, other losses."""

import pytest
import torch

from engine import checkpoints
from tests.conftest import command
from tests.test_training import said
from trainSpeakerNet import main


@pytest.fixture
def trained(options):
    """A checkpoint of aamsoftmax after two epochs."""
    assert main(command(options)) == 0
    return options["save_path"] / "model/last.model"


def losses_weight(path):
    return checkpoints.read(path)["loss"]["weight"]


def tuned(options, trained, tmp_path, **more):
    options = options | {"save_path": tmp_path / "tuned", "initial_model": trained, "lr": 1e-12, "test_list": ""} | more
    assert main(command({name: value for name, value in options.items() if value != ""})) == 0
    return tmp_path / "tuned/model/last.model"


@pytest.mark.parametrize(
    "more", [{"max_frames": 60, "margin": 0.5}, {"trainfunc": "aamsoftmax_intertopk"}, {"trainfunc": "amsoftmax"}]
)
def test_the_classes_of_the_same_systems_keep_their_places(options, trained, tmp_path, capsys, more):
    after = tuned(options, trained, tmp_path, **more)
    assert "weights of the encoder and the loss from" in said(capsys)
    torch.testing.assert_close(losses_weight(after), losses_weight(trained), atol=1e-8, rtol=0)


@pytest.mark.parametrize("more", [{"trainfunc": "softmax"}, {"trainfunc": "aamsoftmax_subcenter"}])
def test_a_loss_that_does_not_fit_begins_anew(options, trained, tmp_path, capsys, more):
    tuned(options, trained, tmp_path, **more)
    assert "weights of the encoder from" in said(capsys)


def test_classes_of_other_systems_begin_anew(options, trained, tmp_path, capsys, corpus):
    text = (corpus / "train.csv").read_text()
    (corpus / "other.csv").write_text(text.replace("system 3", "system 9"))
    after = tuned(options, trained, tmp_path, train_list=corpus / "other.csv")
    assert "weights of the encoder from" in said(capsys)
    assert not torch.allclose(losses_weight(after), losses_weight(trained), atol=1e-3)
