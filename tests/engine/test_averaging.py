"""Averages of weights: over steps against a loop in float64, over checkpoints against numpy; runs that use them."""

import numpy as np
import pytest
import torch
from torch import nn

from engine import checkpoints
from engine.averaging import MovingAverage, mean_of_checkpoints
from settings.errors import ConfigError


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
