"""Optimisers and learning-rate schedules by name, and how an optimiser takes its step."""

import logging
import math
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn

from settings.options import Config

log = logging.getLogger(__name__)

WORTH_COMPILING = 3000  # batches: 84 s for 30 ms of each, measured on two CPU cores

MOMENTS = {"adam": ("step", "exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}  # of each parameter, in torch

OPTIMIZERS = {
    "adam": lambda groups, **options: torch.optim.Adam(groups, fused=fusable(groups), **options),
    "adamw": lambda groups, **options: torch.optim.AdamW(groups, fused=fusable(groups), **options),
    "sgd": lambda groups, **options: torch.optim.SGD(groups, momentum=0.9, fused=on_cuda(groups), **options),
}


def build_optimizer(config: Config, groups: list[dict]) -> torch.optim.Optimizer:
    """The optimiser over parameter groups; a group may carry `lr_scale`, a factor on the schedule's rate."""
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay)


def fusable(groups: list[dict]) -> bool:
    """Whether one kernel may update all parameters: the same arithmetic, and a device can skip it by itself."""
    return groups[0]["params"][0].device.type in ("cpu", "cuda")


def parameter_groups(encoder: nn.Module, loss: nn.Module) -> list[dict]:
    """What the optimiser gets: the encoder's own groups where it has a say in them, and the loss's parameters."""
    groups = getattr(encoder, "parameter_groups", lambda: [{"params": list(encoder.parameters())}])()
    learned = list(loss.parameters())
    return groups + ([{"params": learned}] if learned else [])


def apply_gradients(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, finite: torch.Tensor) -> None:
    """The optimiser's step, unless loss or gradient are not finite; `finite`, a bool on the device, says which.

    The gradients are unscaled already. Fused optimisers decide on the device, and the host waits for nothing.
    """
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = (~finite).float()  # what GradScaler, too, gives to a fused optimiser
        optimizer.step()
    elif finite:
        optimizer.step()
    if scaler.is_enabled():
        scaler.update()  # float16: lowers its scale where gradients overflowed


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Take the moments of a checkpoint; rates, betas and decay are the configuration's, how a step is computed ours.

    A fused step trusts its moments and writes past them where they are too small. So each is held to its parameter,
    and copied into memory of our own. A parameter that has had no gradient yet has none.

    Raises
    ------
    ValueError
        Other parameters than the optimiser's, or moments of another kind, shape or dtype, or not finite.
    """
    theirs = [len(group["params"]) for group in state["param_groups"]]
    ours = [group["params"] for group in optimizer.param_groups]
    if theirs != [len(parameters) for parameters in ours]:
        raise ValueError("the optimiser's groups have other parameters")
    kinds = MOMENTS["sgd" if isinstance(optimizer, torch.optim.SGD) else "adam"]
    restored = {}
    for number, parameter in enumerate(p for parameters in ours for p in parameters):
        if number in state["state"]:
            found = state["state"][number]
            if set(found) != set(kinds):
                raise ValueError(f"the moments of parameter {number} are {', '.join(map(str, found))}")
            restored[parameter] = {name: restored_moment(found[name], parameter, optimizer, name) for name in found}
    optimizer.state = defaultdict(dict, restored)


def restored_moment(saved: object, parameter: nn.Parameter, optimizer: torch.optim.Optimizer, name: str) -> object:
    """A copy of a moment in the parameter's layout, or of the count of steps. Raises ValueError."""
    if saved is None and name == "momentum_buffer":  # SGD before its first step
        return None
    shape, dtype = ((), torch.float32) if name == "step" else (parameter.shape, parameter.dtype)
    if not isinstance(saved, torch.Tensor) or saved.shape != shape or saved.dtype != dtype:
        raise ValueError(f"a moment of the optimiser does not fit its parameter of {tuple(parameter.shape)}")
    if not saved.isfinite().all() or (name in ("step", "exp_avg_sq") and (saved < 0).any()):
        raise ValueError("a moment of the optimiser is NaN, infinite or below zero")
    if name == "step":
        return saved.clone().to(parameter.device if optimizer.defaults.get("fused") else "cpu")
    return torch.empty_like(parameter).detach().copy_(saved)


def worth_compiling(batches: int) -> bool:
    """Whether a run of so many batches, wherever it is resumed, is long enough to earn compiling back."""
    if batches < WORTH_COMPILING:
        log.warning("--compile is ignored: %d batches do not earn it back (%d may)", batches, WORTH_COMPILING)
    return batches >= WORTH_COMPILING


def on_cuda(groups: list[dict]) -> bool:
    """Whether the parameters are on a GPU, where an optimiser that is not fused would make the host wait."""
    return groups[0]["params"][0].device.type == "cuda"


def make_recordable(optimizer: torch.optim.Optimizer) -> None:
    """Allow that steps are recorded in a CUDA graph. A fused optimiser computes as before."""
    for group in optimizer.param_groups:
        group["capturable"] = True


def set_lr(optimizer: torch.optim.Optimizer, lr: float | torch.Tensor) -> None:
    """The rate of every group: `lr`, a number or () on the device, times the group's own scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def schedule(config: Config, batches: int) -> Callable[[int], float]:
    """The learning rate as a function of the iteration (0-based), for epochs of `batches` iterations."""
    return {"warmup_cosine": warmup_cosine, "steplr": step_lr}[config.scheduler](config, batches)


def warmup_cosine(config: Config, batches: int) -> Callable[[int], float]:
    """Linear warm-up to `lr` over the first epochs, then half a cosine that reaches 0 as the last epoch ends."""
    warmup, total = config.warmup_epochs * batches, config.max_epoch * batches

    def lr(iteration: int) -> float:
        if iteration < warmup:
            return config.lr * min(1.0, (iteration + 1) / warmup)
        return config.lr * 0.5 * (1 + math.cos(math.pi * (iteration - warmup) / (total - warmup)))

    return lr


def step_lr(config: Config, batches: int) -> Callable[[int], float]:
    """`lr` times `lr_decay` for every `test_interval` epochs gone by (voxceleb_trainer's rule)."""
    return lambda iteration: config.lr * config.lr_decay ** (iteration // batches // config.test_interval)
