"""What training has made so far, beside its progress: weights, moments, scaler, averages; to a checkpoint and back."""

from pathlib import Path

import torch
from torch import nn

from engine import checkpoints
from engine.averaging import PARTS, MovingAverage
from engine.optim import restore_optimizer


def capture(
    net: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, average: MovingAverage | None
) -> dict:
    """The parts of a checkpoint that are learned.

    With a moving average, encoder and loss are the averaged ones, and those that the optimiser left are `unaveraged`.
    """
    weights = {name: getattr(net, name).state_dict() for name in PARTS}
    if average:
        averaged = {name: average.state_dict(getattr(net, name)) for name in PARTS}
        weights = averaged | {"unaveraged": weights | {"steps": average.steps}}
    return weights | {"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}


def restore(
    state: dict,
    path: str | Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    average: MovingAverage | None,
) -> None:
    """Put back what `capture` took.

    Raises ConfigError where weights do not fit, and KeyError, TypeError or ValueError where a part is missing or wrong.
    """
    load_weights(net, state, path)
    if average:
        average.restart(state["unaveraged"]["steps"])
        load_weights(net, state["unaveraged"], path)
    restore_optimizer(optimizer, state["optimizer"])
    if state["scaler"]:  # empty where the run was saved by a device without float16
        scaler.load_state_dict(state["scaler"])


def load_weights(net: nn.Module, state: dict, path: str | Path) -> None:
    """Fill encoder and loss with what a checkpoint holds. Raises ConfigError where they do not fit."""
    for name in PARTS:
        checkpoints.load_weights(getattr(net, name), state[name], path)
