"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Callable

import torch

from settings.options import Config

OPTIMIZERS = {
    "adam": lambda groups, **options: torch.optim.Adam(groups, fused=fusable(groups), **options),
    "adamw": lambda groups, **options: torch.optim.AdamW(groups, fused=fusable(groups), **options),
    "sgd": lambda groups, **options: torch.optim.SGD(groups, momentum=0.9, **options),
}


def build_optimizer(config: Config, groups: list[dict]) -> torch.optim.Optimizer:
    """The optimiser over parameter groups; a group may carry `lr_scale`, a factor on the schedule's rate."""
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay)


def fusable(groups: list[dict]) -> bool:
    """Whether one kernel may update all parameters: the same arithmetic, and the device can be told to leave it out."""
    return groups[0]["params"][0].device.type in ("cpu", "cuda")


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The rate of every group: `lr` times the group's own scale."""
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
