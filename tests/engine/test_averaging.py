"""Averages of weights: over steps against a loop in float64, over checkpoints against numpy; runs that use them."""

import numpy as np
import pytest
import torch
from torch import nn

from DatasetLoader import open_list
from engine import checkpoints
from engine.averaging import MovingAverage, mean_of_checkpoints
from evaluation import quick_look
from settings.errors import ConfigError
from SpeakerNet import load_model
from tests.conftest import command
from tests.test_training import metrics, same
from trainSpeakerNet import main


def network():
    torch.manual_seed(0)
    net = nn.ModuleDict({"encoder": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), "loss": nn.Linear(4, 2)})
    net["encoder"][0].bias.requires_grad_(False)
    return net


def learn(net):
    """A step, as an optimiser and batch normalisation make one."""
    net["loss"](net["encoder"](torch.randn(5, 3)))
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


def values(net):
    return {name: tensor.double().clone() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_the_average_is_that_of_a_loop(decay):
    net = network()
    average, expected = MovingAverage(net, decay), values(net)
    for step in range(25):
        learn(net)
        average.update()
        keep = min(decay, (1 + step) / (10 + step))
        expected = {name: keep * expected[name] + (1 - keep) * value for name, value in values(net).items()}
    state = {f"{part}.{name}": t for part in net for name, t in average.state_dict(net[part]).items()}
    assert state.keys() == expected.keys()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            assert tensor == 25
        else:
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_it_is_applied_for_a_while_and_the_networks_own_weights_come_back_bit_for_bit():
    net = network()
    average = MovingAverage(net, 0.9)
    for _ in range(3):
        learn(net)
        average.update()
    own, averaged = values(net), {n: t.double().clone() for n, t in average.state_dict(net).items()}
    with pytest.raises(KeyboardInterrupt), average.applied():
        assert all(torch.equal(value, averaged[name]) for name, value in values(net).items())
        raise KeyboardInterrupt
    assert all(torch.equal(value, own[name]) for name, value in values(net).items())
    assert all(torch.equal(t.double(), averaged[name]) for name, t in average.state_dict(net).items())
    assert any(not torch.equal(own[name], averaged[name]) for name in own)


def test_what_is_never_trained_takes_no_memory():
    net = network()
    held = sum(t.numel() for t in MovingAverage(net, 0.9).average)
    assert held == sum(t.numel() for t in net.state_dict().values()) - 4 - 1  # the frozen bias, the count


def test_a_mean_of_checkpoints_is_the_mean_of_weights_and_no_run_resumes_from_it(tmp_path):
    states, paths = [], []
    net = network()
    for epoch in (1, 2, 3):
        learn(net)
        parts = {part: {name: t.clone() for name, t in net[part].state_dict().items()} for part in net}
        states.append(
            parts | {"classes": ["a", "b"], "config": {"nOut": 4}, "optimizer": {}, "progress": {"epoch": epoch}}
        )
        paths.append(tmp_path / f"model{epoch}.model")
        checkpoints.write(paths[-1], states[-1])
    mean = mean_of_checkpoints(paths)
    assert mean.keys() == {"format", "encoder", "loss", "classes", "config"} and mean["classes"] == ["a", "b"]
    for part in net:
        for name, tensor in mean[part].items():
            each = np.stack([state[part][name].numpy() for state in states])
            if name == "1.num_batches_tracked":
                assert tensor == 3
            else:
                np.testing.assert_allclose(tensor, each.astype(np.float64).mean(axis=0), rtol=1e-6, atol=1e-7)
                assert tensor.dtype == torch.float32
    assert not torch.equal(mean["encoder"]["0.weight"], states[-1]["encoder"]["0.weight"])


def test_checkpoints_of_two_networks_have_no_mean(tmp_path):
    for name, width in (("a", 2), ("b", 3)):
        state = {"encoder": nn.Linear(2, width).state_dict(), "loss": {}}
        checkpoints.write(tmp_path / name, state)
    with pytest.raises(ConfigError, match="not of one network"):
        mean_of_checkpoints([tmp_path / "a", tmp_path / "b"])


def test_a_run_with_ema_evaluates_and_keeps_the_averaged_weights_and_trains_on_with_its_own(options, tmp_path):
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    options |= {"save_interval": 0, "max_epoch": 3}
    assert main(command(options | {"save_path": plain})) == 0
    assert main(command(options | {"save_path": averaged}, "--ema", 0.9)) == 0
    without, state = (checkpoints.read(folder / "model/last.model") for folder in (plain, averaged))
    assert same(state["unaveraged"]["encoder"], without["encoder"])  # training itself is not touched
    assert same(state["unaveraged"]["loss"], without["loss"]) and state["unaveraged"]["steps"] == 6
    assert not same(state["encoder"], without["encoder"])
    for folder, row in ((averaged, metrics(averaged)[-1]), (plain, metrics(plain)[-1])):
        model = load_model(folder / "model/last.model", device="cpu")
        data = open_list(model.config, str(options["dev_list"]), str(options["train_path"]))
        assert quick_look(model, data)["eer"] == row["dev_eer"]
        assert quick_look(model, data)["threshold"] == pytest.approx(row["dev_threshold"])
    assert metrics(averaged)[-1]["dev_threshold"] != metrics(plain)[-1]["dev_threshold"]


def test_an_average_begins_with_the_weights_of_initial_model(options, tmp_path):
    assert main(command(options)) == 0
    start = options["save_path"] / "model/last.model"
    tuned = options | {"save_path": tmp_path / "tuned", "lr": 1e-12, "initial_model": start, "ema": 0.9}
    assert main(command(tuned)) == 0
    before, after = (
        checkpoints.read(folder / "model/last.model") for folder in (options["save_path"], tmp_path / "tuned")
    )
    torch.testing.assert_close(after["encoder"]["conv1.weight"], before["encoder"]["conv1.weight"], atol=1e-8, rtol=0)


def test_average_scores_the_mean_of_the_last_checkpoints_also_of_a_run_that_had_ended(options, capsys):
    options |= {"max_epoch": 4}
    assert main(command(options)) == 0
    assert "(epoch " in capsys.readouterr().out
    assert main(command(options, "--average", 3)) == 0
    models = options["save_path"] / "model"
    assert f"scoring with {models}/average.model (mean of the last 3 checkpoints)" in capsys.readouterr().out
    each = [checkpoints.read(models / f"model{epoch:09d}.model")["encoder"]["conv1.weight"] for epoch in (2, 3, 4)]
    mean = checkpoints.read(models / "average.model")
    torch.testing.assert_close(mean["encoder"]["conv1.weight"], sum(each) / 3)
    argv = {
        "initial_model": models / "average.model",
        "test_list": options["test_list"],
        "save_path": options["save_path"],
    }
    assert main(["--eval", *command(argv)]) == 0


@pytest.mark.parametrize("more", [("--keep", 2), ("--test_interval", 2)])
def test_more_checkpoints_than_are_kept_cannot_be_averaged(options, capsys, more):
    assert main(command(options | {"max_epoch": 4}, "--average", 3, *more)) == 2
    assert "--average 3: 2 numbered checkpoints are kept" in capsys.readouterr().err
