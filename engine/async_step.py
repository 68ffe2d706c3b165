"""Optimiser steps that a GPU may still be computing: their results arrive later, and nothing waits for them."""

import logging
import math
from collections import deque
from dataclasses import dataclass

import torch

from engine.progress import NotFinite, Progress

log = logging.getLogger(__name__)


@dataclass
class Step:
    """An optimiser step that was begun, with rate `lr`; a GPU may still compute it, and `results` waits for that.

    `start` and `done`: when the GPU comes to the step, and when it has done it. `waited`: seconds that the host waited
    for the batch, whatever the GPU did meanwhile.
    """

    batch: object
    lr: float
    values: torch.Tensor
    start: torch.cuda.Event | None
    done: torch.cuda.Event | None
    waited: float = 0.0

    @classmethod
    def begun(cls, batch: object, lr: float, values: torch.Tensor, start: torch.cuda.Event | None) -> "Step":
        """The step that gives these values, (4,), on the device. They are sent to the host without waiting for them."""
        if not values.is_cuda:
            return cls(batch, lr, values, None, None)
        device, values = values.device, values.to("cpu", non_blocking=True)
        return cls(batch, lr, values, start, event_on(device))

    def results(self) -> list[float]:
        """The scalars."""
        if self.done:
            self.done.synchronize()
        return self.values.tolist()

    def idle(self, before: torch.cuda.Event | None) -> float:
        """Seconds of `waited` in which the device stood still; `before`: when it had done the step before this one.

        While the host waits for a batch, a GPU may still compute the steps before it, and nothing is lost. Both steps
        must have ended.
        """
        if not (before and self.start):
            return self.waited
        return min(self.waited, before.elapsed_time(self.start) / 1000)


def event_on(device: torch.device) -> torch.cuda.Event | None:
    """The moment at which a GPU will have done all that was asked of it; None of a device on which nothing waits."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def stacked(scalars: list[torch.Tensor]) -> torch.Tensor:
    """Scalars on one device as one tensor, in float32 or wider."""
    wide = [torch.promote_types(s.dtype, torch.float32) for s in scalars]
    return torch.stack([s.detach().to(dtype) for s, dtype in zip(scalars, wide, strict=True)])


class StepsInFlight:
    """Steps begun whose results are not yet known; what arrives is added to the progress, and stop requests agreed on.

    Parameters
    ----------
    lag : int
        Steps that the host may run ahead of the device: 0 to wait for each.
    may_skip : int
        Batches with a loss or gradient that is not finite that a run may skip.
    overflow_is_routine : bool
        float16 with a gradient scaler: a norm that is not finite is the scaler's business.
    """

    def __init__(self, lag: int, may_skip: int, overflow_is_routine: bool):
        self.lag, self.may_skip, self.overflow_is_routine = lag, may_skip, overflow_is_routine
        self.waiting: deque[Step] = deque()
        self.done: torch.cuda.Event | None = None  # of the step whose results arrived last
        self.begun, self.stop_from = 0, math.inf  # steps; the one from which on all processes want to stop

    def add(self, step: Step) -> None:
        """One more step was begun."""
        self.waiting.append(step)
        self.begun += 1

    def collect(self, progress: Progress, lag: int, world: int = 1) -> None:
        """Wait for all steps but the last `lag`, and add their results to `progress`.

        Raises NotFinite where loss or gradient of a step is not finite, unless the batch may be skipped.
        """
        while len(self.waiting) > lag:
            step = self.waiting.popleft()
            loss, accuracy, norm, stop = step.results()
            progress.waited += step.idle(self.done)
            self.done = step.done
            if stop > 0:
                self.stop_from = min(self.stop_from, self.begun - len(self.waiting) + self.lag)
            if self.overflow_is_routine:
                norm = 0.0
            if math.isfinite(loss) and math.isfinite(norm):
                progress.add(loss, accuracy, step.lr, world * len(step.batch.labels))
                continue
            what = f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
            if progress.left_out >= self.may_skip:
                raise NotFinite(what, step.batch)
            log.warning("epoch %d, batch %d: %s; skipped", progress.epoch + 1, progress.batch + 1, what)
            progress.skip()

    @property
    def stop(self) -> bool:
        """Whether to leave the training loop: true after the same step on all processes, whenever each has noticed."""
        return self.begun >= self.stop_from
