"""A training step recorded as one CUDA graph and replayed: the host launches one thing a step, not hundreds.

A recording is kernels and the memory that they read and write. Whatever the host decided while it was made is decided
for good, so that all that differs from step to step has to be on the device: batch, learning rate and stop request are
put there before each replay, torch gives the kernels of dropout the seed and offset of its generator at each replay,
and whether a batch is skipped is a number that the step computes.
"""

import logging
import random
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from engine.distributed import world

log = logging.getLogger(__name__)

WARM_UP = 3  # steps before a recording: libraries choose kernels and make workspaces, optimisers their moments
PLAIN = (bool, int, float, str, type(None))


def usable(device: torch.device) -> bool:
    """Whether steps can be recorded; where they cannot, it is said."""
    why = "it needs a GPU" if device.type != "cuda" else "several processes train" if world() > 1 else ""
    if why:
        log.warning("--cuda_graph is ignored: %s", why)
    return not why


def host_state(net: nn.Module) -> list:
    """What a recording takes from the host for good: plain values that modules hold, and what is trained."""
    values = [{name: v for name, v in vars(m).items() if isinstance(v, PLAIN)} for m in net.modules()]
    return [values, [p.requires_grad for p in net.parameters()]]


def host_draws() -> list:
    """Where the host's own generators stand, those on which no recording can draw."""
    kind, key, *rest = np.random.get_state()  # noqa: NPY002 plug-ins of the wider family draw from it
    return [random.getstate(), kind, key.tolist(), rest]


class StepGraph:
    """Called as `update` is, it does the same: a few times by running it, then by replaying a recording of it.

    Where a step cannot be recorded, a warning says why, and `update` runs at every call.

    Parameters
    ----------
    update : callable
        (waveforms (B, T), labels (B,), rate (), stop ()), all on the device, to a tensor of results. What it changes
        has to stay where it is in memory.
    net : nn.Module
        Whose modules `update` runs.
    scaler : torch.amp.GradScaler
        Which `update` uses.
    device : torch.device
        A GPU.
    """

    def __init__(
        self,
        update: Callable[..., torch.Tensor],
        net: nn.Module,
        scaler: torch.amp.GradScaler,
        device: torch.device,
    ):
        self.update, self.net, self.scaler, self.device = update, net, scaler, device
        self.stream = torch.cuda.Stream(device)
        self.rate, self.stop = torch.zeros(2, device=device)
        self.off = False  # for good: the step cannot be recorded
        self.odd = False  # a batch of another shape came, and it was said
        self.forget()

    def forget(self) -> None:
        """Record anew: tensors have been replaced, or the host decides otherwise from now on."""
        self.graph, self.left = None, WARM_UP

    def begin_epoch(self) -> None:
        """To be called when plug-ins have made their changes for an epoch: a margin, what is frozen."""
        if self.graph and host_state(self.net) != self.recorded:
            self.forget()

    def __call__(self, waveforms: torch.Tensor, labels: torch.Tensor, rate: float, stop: bool) -> torch.Tensor:
        """One step. The results are overwritten by the next one, in the order of the stream."""
        self.rate.fill_(rate)
        self.stop.fill_(stop)
        if not self.off and not self.graph:
            if self.left:
                return self.warm_up(waveforms, labels)
            self.record(waveforms, labels)
        if self.off or not self.fits(waveforms, labels):
            return self.update(waveforms, labels, self.rate, self.stop)
        for static, new in zip(self.batch, (waveforms, labels), strict=True):
            static.copy_(new)
        self.graph.replay()
        return self.results

    def fits(self, waveforms: torch.Tensor, labels: torch.Tensor) -> bool:
        """Whether the recording is of such a batch."""
        same = [(t.shape, t.dtype) for t in self.batch] == [(t.shape, t.dtype) for t in (waveforms, labels)]
        if not same and not self.odd:
            self.odd = True
            log.warning(
                "--cuda_graph: a batch of %s is not as the one recorded; such are not replayed", (*labels.shape,)
            )
        return same

    def warm_up(self, waveforms: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One step, run on the stream that is recorded later, as torch asks for."""
        self.left -= 1
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            run = self.update if self.left else self.watched
            results = run(waveforms, labels, self.rate, self.stop)
        current.wait_stream(self.stream)
        return results

    def watched(self, *inputs: torch.Tensor) -> torch.Tensor:
        """One step, after which it is known whether the host takes part in it, beyond launching."""
        values, draws = host_state(self.net), host_draws()
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                results = self.update(*inputs)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        if any("synchronizing CUDA operation" in str(warning.message) for warning in heard):
            self.give_up("the host waits for the GPU within a step")
        elif host_state(self.net) != values:
            self.give_up("model or loss count something on the host, step by step")
        elif host_draws() != draws:
            self.give_up("model or loss draw random numbers on the host")
        return results

    def record(self, waveforms: torch.Tensor, labels: torch.Tensor) -> None:
        """Record a step of such batches. Nothing is computed."""
        self.recorded = host_state(self.net)
        self.batch = [waveforms.clone(), labels.clone()]
        current, seed = torch.cuda.current_stream(self.device), torch.cuda.initial_seed()
        graph = torch.cuda.CUDAGraph()
        try:  # thread_local: other threads lock pages for the next batches meanwhile
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.results = self.update(*self.batch, self.rate, self.stop)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # torch leaves its own behind where a recording ends badly
            fresh = torch.Generator(self.device)  # the old state waits for the recording's end
            torch.cuda.default_generators[self.device.index or 0].graphsafe_set_state(fresh)
            torch.cuda.manual_seed(seed)
            if self.scaler.is_enabled():
                self.scaler._per_optimizer_states.clear()  # of a step that was begun
            self.give_up(f"the step cannot be recorded ({str(error).strip().splitlines()[0][:200]})")
        else:
            self.graph = graph

    def give_up(self, why: str) -> None:
        """Run every step from now on."""
        self.off = True
        log.warning("--cuda_graph is off: %s", why)
