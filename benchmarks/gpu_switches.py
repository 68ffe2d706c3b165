"""The parts of `python -m benchmarks.gpu_check` on --cuda_graph and --compile: the same learned, and how much faster.

What no GPU was at hand for is tried here first: that steps are recorded at all, and what memory they really take.
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks import gpu_memory
from benchmarks.gpu_parts import COMPILED_TOLERANCE, Check, Failed, Setup, new_trainer, speed
from engine.cuda_graph import WARM_UP
from engine.devices import seed_all
from models._ssl_weights import XLS_R_300M

STEPS = WARM_UP + 5
SWITCHES = {"plain": {}, "--cuda_graph": {"cuda_graph": True}, "--compile": {"compile": True}}
SWITCHES["both"] = SWITCHES["--cuda_graph"] | SWITCHES["--compile"]


def equality(setup: Setup) -> Iterator[Check]:
    """Steps with each switch beside steps without, in float32, at rates that change, from the same seeds."""
    loader = setup.loader(4 if setup.small else 32, STEPS)
    for model, options in setup.models().items():
        every = model == "ThinResNet34" and not setup.small  # dropout that is compiled draws other numbers
        for switch in list(SWITCHES)[1:] if every else ("--cuda_graph",):
            values = {"model": model} | options | SWITCHES[switch]
            yield Check(f"{model}, {switch}, like without", lambda v=values: like_plain(setup, loader, v))


def like_plain(setup: Setup, loader, values: dict) -> str:
    """How far the losses of some steps are from those without the switches."""
    plain = {name: value for name, value in values.items() if name not in SWITCHES["both"]}
    if setup.device.type == "cpu":  # neither recorded, nor compiled, which takes minutes
        values = plain
    losses = []
    for given in (plain, values):
        made = new_trainer(setup, loader, max_epoch=1000, **given)  # long enough to be worth compiling
        made.begin_epoch(0)
        losses.append([])
        for number, batch in enumerate(loader.epoch(0)):
            seed_all(0, number)
            losses[-1].append(made.step(batch, 1e-4 * (1 + number)).results()[0])
        recorded(made)
    difference = float(np.abs(np.divide(*losses) - 1).max())
    if not difference <= COMPILED_TOLERANCE:
        raise Failed(f"losses {losses[1]}, and {losses[0]} without")
    how = "" if values is not plain else "; neither is there on a processor: plain steps twice"
    return f"losses of {len(losses[0])} steps differ by {difference:.1e} at most (allowed {COMPILED_TOLERANCE:g}){how}"


def recorded(made) -> None:
    """Raises Failed where steps should have been replayed and were not."""
    if made.graph and not (made.graph.graph and not made.graph.off):
        raise Failed("the step was not recorded; the trainer's warning says why")


def speeds(setup: Setup) -> Iterator[Check]:
    """Whole epochs with each switch, and without."""
    networks = {"ThinResNet34": (128, {})}
    if setup.full:
        networks["Wav2Vec2AASIST"] = (32, {"ssl_path": XLS_R_300M, "ssl_init": "random"})
    for model, (batch, options) in networks.items():
        for switch, values in list(SWITCHES.items())[: 1 if setup.small else None]:
            given = {"model": model, "mixedprec": True, "max_epoch": 1000} | options | values
            size, batches = (8, 4) if setup.small else (batch, 40)
            yield Check(
                f"{model}, batch {size}, half, {switch}", lambda v=given, s=size, n=batches: speed(setup, s, n, True, v)
            )
    if setup.full and not setup.small:
        yield Check("XLS-R 300M + AASIST, memory at batch 32", lambda: memory(setup))


def memory(setup: Setup) -> str:
    """What a step takes on the GPU, and what `benchmarks.gpu_memory` counts without one."""
    values = {"model": "Wav2Vec2AASIST", "ssl_path": XLS_R_300M, "ssl_init": "random", "mixedprec": True}
    counted = gpu_memory.of_training(32, **values).peak
    torch.cuda.reset_peak_memory_stats(setup.device)
    made = new_trainer(setup, setup.loader(32, 2), **values)
    made.begin_epoch(0)
    for batch in made.loader.epoch(0):
        made.step(batch, 1e-4).results()
    found = torch.cuda.max_memory_allocated(setup.device)
    return f"{found / 2**30:.2f} GiB, counted without a GPU {counted / 2**30:.2f} GiB"


PARTS = {"CUDA graph and compiler: like without": equality, "CUDA graph and compiler: whole epochs": speeds}
