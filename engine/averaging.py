"""Weights averaged: over the steps of training, with a memory that fades (--ema), or over checkpoints (--average)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from engine import checkpoints
from settings.errors import ConfigError

PARTS = ("encoder", "loss")  # of a checkpoint: what is averaged
LEFT_OUT = ("optimizer", "scaler", "progress", "unaveraged")  # of a mean of checkpoints: no run resumes from it


class MovingAverage:
    """Exponential moving average of a network's weights and running statistics, a step at a time.

    After step n, counted from 0, it is d · average + (1 − d) · weights, with d = min(decay, (1 + n) / (10 + n)): so
    TensorFlow has it, and a short run is not held back by where it began. What is never trained is not averaged.

    Parameters
    ----------
    network : nn.Module
    decay : float
        d in the long run, below 1: the average is of the last 1 / (1 − decay) steps or so.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        trained = [p for p in network.parameters() if p.requires_grad]
        self.live = trained + [b for b in network.buffers() if b.is_floating_point()]
        self.average = [tensor.detach().clone() for tensor in self.live]

    @torch.no_grad()
    def restart(self, steps: int = 0) -> None:
        """Begin from the network's weights as they are, as if they were the average after so many steps.

        Raises ValueError on what is no number of steps.
        """
        if type(steps) is not int or steps < 0:
            raise ValueError(f"an average of {steps} steps")
        self.steps = steps
        torch._foreach_copy_(self.average, self.live)

    @torch.no_grad()
    def update(self) -> None:
        """Take one step's weights in. Nothing waits for a GPU."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, self.live, 1 - decay)
        self.steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has the averaged weights for a while, and then its own again."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights and the averages, in place."""
        for live, average in zip(self.live, self.average, strict=True):
            own = live.clone()
            live.copy_(average)
            average.copy_(own)

    def state_dict(self, module: nn.Module) -> dict[str, torch.Tensor]:
        """The state of `module`, a part of the network, with averages where there are any."""
        averages = dict(zip(map(id, self.live), self.average, strict=True))
        own = module.state_dict(keep_vars=True)
        return {name: averages.get(id(tensor), tensor.detach()) for name, tensor in own.items()}


def mean_of_checkpoints(paths: Sequence[Path]) -> dict:
    """What a checkpoint holds whose encoder and loss are the means of those of `paths`; the rest is the last one's.

    Running statistics are averaged as weights are, by the field's habit (wespeaker); counts are the last one's. Raises
    ConfigError where the checkpoints are not of one network.
    """
    sums = {}
    for path in paths:
        state = checkpoints.read(path)
        own = {f"{part}.{name}": tensor for part in PARTS for name, tensor in state.get(part, {}).items()}
        if sums and checkpoints.shapes(own) != checkpoints.shapes(sums):
            raise ConfigError(f"{path} and {paths[0]} are not of one network: there is no mean of them")
        sums = {key: sums.get(key, 0) + tensor.double() for key, tensor in own.items()}
    means = {key: (sums[key] / len(paths)).to(t.dtype) if t.is_floating_point() else t for key, t in own.items()}
    kept = {name: value for name, value in state.items() if name not in LEFT_OUT}
    return kept | {part: {name: means[f"{part}.{name}"] for name in state.get(part, {})} for part in PARTS}
