"""A GPU, its stream and the threads that read audio, on a clock that moves only where the host waits or works.

Tensors are torch's fake ones: on a device that is not there, with shapes and no values. What runs is the trainer's own
loader, step and count of results; how long each part takes is given.
"""

import contextlib
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import DatasetLoader
import SpeakerNet
from engine import parallel

CUDA = torch.device("cuda", 0)
WAITS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class Simulation:
    """The clock, the stream, the readers.

    Parameters
    ----------
    step : float
        Seconds that the GPU computes at each optimiser step.
    launch : float
        Seconds that the host works at each.
    read : float
        Seconds in which one thread reads a batch.
    """

    def __init__(self, step: float, launch: float, read: float = 0.0):
        self.step, self.launch, self.read = step, launch, read
        self.now = self.free = self.busy = 0.0  # of the host; when the stream will be idle; how long it computed

    def perf_counter(self) -> float:
        return self.now

    def wait(self, moment: float) -> None:
        """The host does nothing until then."""
        self.now = max(self.now, moment)

    def queue(self, seconds: float) -> None:
        """The stream computes so long when it has done what came before."""
        self.free = max(self.now, self.free) + seconds
        self.busy += seconds

    def backward(self, parameters: list[torch.nn.Parameter]) -> None:
        """All that a step launches, in one place."""
        self.now += self.launch
        self.queue(self.step)
        for parameter in parameters:
            parameter.grad = torch.empty_like(parameter)

    def event(self, enable_timing: bool = False) -> "Event":
        return Event(self, enable_timing)

    def pool(self, threads: int) -> "Pool":
        return Pool(self, threads)


class Event:
    """`torch.cuda.Event`: happens when the stream reaches the place where it was recorded."""

    def __init__(self, gpu: Simulation, enable_timing: bool):
        self.gpu, self.enable_timing, self.moment = gpu, enable_timing, None

    def record(self) -> None:
        self.moment = max(self.gpu.now, self.gpu.free)

    def synchronize(self) -> None:
        self.gpu.wait(self.moment)

    def elapsed_time(self, later: "Event") -> float:
        """Milliseconds; torch refuses events that have not happened, and events that keep no time."""
        assert self.enable_timing and later.enable_timing, "an event without timing"
        assert max(self.moment, later.moment) <= self.gpu.now, "an event that has not happened yet"
        return 1000 * (later.moment - self.moment)


class Pool(contextlib.nullcontext):
    """`ThreadPoolExecutor`: a job begins when a thread is free, and who wants its result waits for its end."""

    def __init__(self, gpu: Simulation, threads: int):
        super().__init__(self)
        self.gpu, self.free = gpu, [0.0] * threads

    def submit(self, function, item):
        thread = self.free.index(min(self.free))
        end = self.free[thread] = max(self.gpu.now, self.free[thread]) + self.gpu.read
        made = function(item)

        def result():
            self.gpu.wait(end)
            return made

        return SimpleNamespace(result=result)

    def shutdown(self, cancel_futures: bool) -> None:
        assert cancel_futures


class Copies(TorchDispatchMode):
    """The host waits for the stream where it reads a value, and where it copies without page-locked memory."""

    def __init__(self, gpu: Simulation):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        to = kwargs.get("device")
        if function is torch.ops.aten._to_copy.default and to is not None:
            source, target = args[0].device.type, torch.device(to).type
            locked = target == "cpu" or getattr(args[0], "locked", False)  # torch locks what it copies to the host
            if source != target and not (locked and kwargs.get("non_blocking")):
                self.gpu.wait(self.gpu.free)
        if function in WAITS:
            self.gpu.wait(self.gpu.free)
        return function(*args, **kwargs)


def pinned(tensor: torch.Tensor) -> torch.Tensor:
    """`Tensor.pin_memory`"""
    copy = tensor.clone()
    copy.locked = True
    return copy


@contextlib.contextmanager
def simulated(gpu: Simulation, patch: pytest.MonkeyPatch, parameters):
    """While it lasts, torch's CUDA, the clock and the threads are those of the simulation.

    `parameters`: returns what the backward pass gives gradients to; autograd's engine wants a real device.
    """
    for module in (DatasetLoader, SpeakerNet):
        patch.setattr(module, "time", gpu)
    patch.setattr(parallel, "ThreadPoolExecutor", gpu.pool)
    patch.setattr(torch.cuda, "Event", gpu.event)
    patch.setattr(torch.cuda, "device", contextlib.nullcontext)
    patch.setattr(torch.Tensor, "pin_memory", pinned)
    patch.setattr(torch.Tensor, "backward", lambda loss: gpu.backward(parameters()))  # noqa: ARG005
    patch.setattr(FakeTensor, "tolist", lambda step: [1.0, 50.0, 1.0, 0.0])  # noqa: ARG005 loss, accuracy, norm, stop
    patch.setattr(fake_tensor, "init_gpu_context", lambda *_: None, raising=False)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, Copies(gpu):
        yield mode
