"""Optimiser steps that a GPU may still be at: their results come later, and nobody waits for them until then."""

from dataclasses import dataclass

import torch


@dataclass
class Step:
    """An optimiser step that was begun, with rate `lr`; a GPU may still be at it, and `results` waits for that."""

    batch: object
    lr: float
    values: torch.Tensor
    done: torch.cuda.Event | None

    @classmethod
    def begun(cls, batch: object, lr: float, scalars: list[torch.Tensor]) -> "Step":
        """The step that gives these scalars on the device. They are sent to the host without waiting for them."""
        wide = [torch.promote_types(s.dtype, torch.float32) for s in scalars]
        values = torch.stack([s.detach().to(dtype) for s, dtype in zip(scalars, wide, strict=True)])
        if not values.is_cuda:
            return cls(batch, lr, values, None)
        values, done = values.to("cpu", non_blocking=True), torch.cuda.Event()
        done.record()
        return cls(batch, lr, values, done)

    def results(self) -> list[float]:
        """The scalars."""
        if self.done:
            self.done.synchronize()
        return self.values.tolist()
