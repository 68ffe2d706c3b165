"""Several processes that train as one, started by torchrun: who this one is, what it shares, what they agree on.

Every process draws the same batch and works on its own part of it. Embeddings are gathered with their gradient, so
that each computes the loss of the whole batch, and gradients are averaged: W processes on B / W utterances each learn
what one learns on B (with --sync_bn; without it, batch normalisation sees B / W).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from engine.parallel import usable_cores
from settings.errors import ConfigError, UserError
from settings.text import bulleted

PATIENCE = timedelta(hours=12)  # process 0 scores long lists of trials while the others wait


def world() -> int:
    """The number of processes; 1 where torchrun is not in play."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number; process 0 alone writes and speaks."""
    return dist.get_rank() if dist.is_initialized() else 0


class ProcessLost(UserError):
    """Another of the processes ended; its own message says why."""


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes for a while, where torchrun started several: NCCL between GPUs, else gloo."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with collective():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def collective() -> Iterator[None]:
    """Around whatever needs the other processes: raises ProcessLost where one of them is gone."""
    try:
        yield
    except RuntimeError as error:
        first_line = str(error).strip().splitlines()[0][:200]
        raise ProcessLost(f"process {os.environ.get('RANK', 0)}: another process ended ({first_line})") from None


def shard(rows: np.ndarray, group: int, what: str = "a batch") -> np.ndarray:
    """The part of a batch's rows (B,) that is this process's: whole groups of `group` rows, equally many each.

    Raises ConfigError where the processes cannot share the batch equally.
    """
    if len(rows) % (group * world()):
        raise ConfigError(
            f"{what} of {len(rows) // group} cannot be shared equally by {world()} processes: --batch_size"
        )
    return np.split(rows, world())[rank()]


class AllGather(torch.autograd.Function):
    """(B / W, ...) of every process to (B, ...); the gradient of a part is the sum of what all processes give it."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 the signature that autograd calls
        parts = [torch.empty_like(x) for _ in range(world())]
        with collective():
            dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        grad = grad.clone(memory_format=torch.contiguous_format)
        with collective():
            dist.all_reduce(grad)
        return grad.chunk(world())[rank()]


class AllReduce(torch.autograd.Function):
    """The sum over all processes, and of its gradients."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        x = x.clone()
        with collective():
            dist.all_reduce(x)
        return x

    backward = forward


def all_gather_with_grad(x: torch.Tensor) -> torch.Tensor:
    """(B / W, ...) of every process to (B, ...), in their order, on every process, with gradient."""
    return x if world() == 1 else AllGather.apply(x)


def average_gradients(parameters: list[nn.Parameter], stop: bool | torch.Tensor) -> torch.Tensor:
    """Average the gradients over the processes, and agree whether to stop: a scalar above 0 where any wants to.

    One reduction carries both, so that all leave the training loop after the same batch.
    """
    if isinstance(stop, torch.Tensor):  # on the device already: one process alone
        return stop
    gradients = [p.grad for p in parameters if p.grad is not None]
    flag = gradients[0].new_full((1,), float(stop))
    if world() == 1:
        return flag[0]
    flat = torch.cat([*(g.reshape(-1) for g in gradients), flag])
    with collective():
        dist.all_reduce(flat)
    flat /= world()
    pieces = flat[:-1].split([g.numel() for g in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))
    return flat[-1]


def broadcast_object(value: object) -> object:
    """Process 0's value, plain data, on all."""
    box = [value]
    if world() > 1:
        with collective():
            dist.broadcast_object_list(box, 0)
    return box[0]


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process, the same on all."""
    if world() == 1:
        return flag
    flags = [False] * world()
    with collective():
        dist.all_gather_object(flags, flag)
    return any(flags)


def check_same_everywhere(what: dict[str, str]) -> None:
    """Raises ConfigError, on all processes, that names whose digest of what is another one than process 0's."""
    if world() == 1:
        return
    found: list[dict] = [{}] * world()
    with collective():
        dist.all_gather_object(found, what)
    wrong = [
        f"process {n}: {name}" for n, theirs in enumerate(found) for name in what if theirs[name] != found[0][name]
    ]
    if wrong:
        raise ConfigError(bulleted("processes that train together differ from process 0", wrong))


def barrier() -> None:
    """Go on when every process is here."""
    if world() > 1:
        with collective():
            dist.barrier()


def all_reduce_rows(values: torch.Tensor) -> torch.Tensor:
    """(N, D) in which every row was filled by one process and is zero in the others, made whole on all."""
    if world() > 1:
        with collective():
            dist.all_reduce(values)
    return values


def sum_arrays(own: np.ndarray) -> np.ndarray:
    """The sum of all processes' arrays, which have one shape and type, on all: exact where they are integers."""
    if world() == 1 or not own.size:
        return own
    total = torch.tensor(own, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    with collective():
        dist.all_reduce(total)
    return total.cpu().numpy()


def cores_each() -> int:
    """Cores for each of the processes that torchrun has started on this machine, at least one."""
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def broadcast_buffers(module: nn.Module) -> None:
    """Process 0's running statistics on all: without --sync_bn each has seen its own part."""
    if world() > 1:
        with collective():
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


class SyncBatchNorm(nn.Module):
    """Batch normalisation over the utterances of all processes, where torch's own, which needs a GPU, cannot serve."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B / W, C, ...) to the same."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        places, shape = [d for d in range(x.dim()) if d != 1], [-1, *[1] * (x.dim() - 2)]
        count = x.numel() // x.shape[1] * world()
        mean = AllReduce.apply(wide.sum(dim=places)) / count
        centred = wide - mean.view(shape)
        variance = AllReduce.apply(centred.square().sum(dim=places)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class SyncBatchNorm1d(SyncBatchNorm, nn.BatchNorm1d):
    """Of (B / W, C) or (B / W, C, L)."""


class SyncBatchNorm2d(SyncBatchNorm, nn.BatchNorm2d):
    """Of (B / W, C, H, F)."""


def with_sync_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with every batch normalisation synchronised; parameters and their names stay."""
    if world() == 1:
        return module
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    synchronised = {nn.BatchNorm1d: SyncBatchNorm1d, nn.BatchNorm2d: SyncBatchNorm2d}
    for child in module.modules():
        if type(child) in synchronised:
            child.__class__ = synchronised[type(child)]  # the same module, computing otherwise
    return module
