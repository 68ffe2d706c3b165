"""The parts of `python -m benchmarks.gpu_check`: each gives checks, named pieces of work that say what they found.

A check that raises has failed. Nothing here knows how results are printed.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import scoring
from benchmarks import training
from benchmarks.demo_runs import ROOT, different_weights
from benchmarks.machine import peak_memory
from benchmarks.scoring import embeddings_for, made_up, timed
from corpus.audio import AudioFiles
from corpus.lists import read_list
from engine.devices import half_precision
from engine.parallel import usable_cores
from models._ssl_weights import XLS_R_300M
from SpeakerNet import ModelTrainer

LOSSES = {"aamsoftmax": 1, "angleproto": 2, "supcon": 2}  # and the utterances of each system that a batch holds
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU = torch.device("cpu")
TOLERANCE = 1e-4  # between unit embeddings of both devices, in any of their numbers
ALIKE = {
    "Wav2Vec2AASIST": 0.9
}  # share of utterances: its graph pooling keeps the best half, and rounding swaps near ties
EER_TOLERANCE = 1e-5  # between devices, whose products differ in the seventh digit, and a few trials with them
COMPILED_TOLERANCE = 0.02  # between losses of the first steps, relative: both may round products to TF32


class Failed(Exception):
    """A check that did not find what it should."""


class Check(NamedTuple):
    """What is looked at, and the work, which returns what it found in words."""

    what: str
    work: Callable[[], str]


@dataclass(frozen=True)
class Setup:
    """Where and how large: `small` is for a processor, in seconds. `ssl_path`: of a speech model for random weights."""

    device: torch.device
    small: bool
    full: bool
    folder: Path
    ssl_path: str

    def models(self) -> dict[str, dict]:
        """Every model with its options."""
        speech = {"ssl_path": self.ssl_path, "ssl_init": "random"}
        return {"ThinResNet34": {}, "Wav2Vec2AASIST": speech, "SSLPooling": speech | {"ssl_layers": "weighted"}}

    def loader(self, batch_size: int, batches: int, **options):
        """Batches of the demo's speech for the device."""
        frames, threads = 20 if self.small else 200, min(8, usable_cores())
        return training.make_loader(batch_size, batches, frames=frames, threads=threads, device=self.device, **options)


def steps(setup: Setup) -> Iterator[Check]:
    """Real steps of every model, with a few losses, in every precision."""
    loaders = {m: setup.loader(4 if setup.small else 32, 12, per_system=m) for m in set(LOSSES.values())}
    for model, options in setup.models().items():
        for loss, per_system in LOSSES.items():
            for precision in PRECISIONS if loss == "aamsoftmax" or not setup.small else ["float32"]:
                values = {"model": model, "trainfunc": loss} | options

                def work(values=values, loader=loaders[per_system], half=PRECISIONS[precision]) -> str:
                    return some_steps(new_trainer(setup, loader, **values), half)

                yield Check(f"{model}, {loss}, {precision}", work)


def new_trainer(setup: Setup, loader, **values) -> ModelTrainer:
    """A trainer of random weights, the same every time."""
    if loader.sampler.per_system > 1:
        values |= {"sampler": "balanced", "nPerSpeaker": loader.sampler.per_system}
    torch.manual_seed(0)
    return ModelTrainer(training.new_model(setup.device, lr=1e-3, **values), loader)


def some_steps(made: ModelTrainer, half: torch.dtype | None) -> str:
    """Three steps in that precision: a finite loss at each, and other weights at the end.

    float16 begins with a scale at which gradients may overflow, and skips steps until it has found a lower one.
    """
    made.half = half
    made.scaler = torch.amp.GradScaler(made.device.type, enabled=half is torch.float16)
    before, skipped, losses = flat_weights(made), 0, []
    made.begin_epoch(0)
    for batch in made.loader.epoch(0):
        loss, _, norm, _ = made.step(batch, 1e-3).results()
        if not np.isfinite(loss):
            raise Failed(f"the loss of step {len(losses) + skipped + 1} is {loss}")
        if np.isfinite(norm):
            losses.append(loss)
        elif not made.scaler.is_enabled():
            raise Failed(f"the gradient's norm of step {len(losses) + 1} is {norm}")
        else:
            skipped += 1
        if len(losses) == 3:
            break
    if len(losses) < 3 or torch.equal(before, flat_weights(made)):
        raise Failed(f"{len(losses)} steps were taken, {skipped} skipped; the weights have to change in 3")
    overflowed = f", {skipped} skipped to find the scale" if skipped else ""
    return f"loss {losses[0]:.3f}, {losses[1]:.3f}, {losses[2]:.3f}{overflowed}"


def flat_weights(made: ModelTrainer) -> torch.Tensor:
    """All that is trained, in one row on the host."""
    return torch.cat([p.detach().flatten().cpu() for p in made.parameters])


def embeddings(setup: Setup) -> Iterator[Check]:
    """float32 embeddings of whole utterances, equal to the CPU's."""
    files = read_list(ROOT / "data_lists/demo/test.csv").files(ROOT / "data/demo")
    audio = AudioFiles(files[:: 40 if setup.small else 4])
    for model, options in setup.models().items():
        yield Check(f"{model}, on both devices", lambda m=model, o=options: same_embeddings(setup.device, audio, m, o))


def same_embeddings(device: torch.device, audio: AudioFiles, model: str, options: dict) -> str:
    """How far a model's embeddings on the device are from those on the CPU."""
    lengths, _ = audio.lengths(2)
    torch.manual_seed(0)
    made, found = training.new_model(CPU, model=model, **options), []
    for place in (CPU, device):
        made.net.to(place)
        made.device = place
        rows = made.embed_list(audio, lengths, False)
        found.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    difference = np.abs(np.subtract(*found)).max(axis=1)
    text = f"largest difference {difference.max():.1e} (allowed {TOLERANCE:g}), {len(difference)} utterances"
    if np.mean(difference <= TOLERANCE) < ALIKE.get(model, 1.0):
        raise Failed(text)
    return text


def runs(setup: Setup) -> Iterator[Check]:
    """The trainer's command with --deterministic: twice, resumed, with the audio on the host; the same to the last bit.

    A process of its own runs them: what makes cuBLAS deterministic has to be set before it starts.
    """
    wanted = {"Wav2Vec2AASIST": setup.models()["Wav2Vec2AASIST"] | {"mixedprec": True}}
    if not setup.small:
        wanted |= {"ThinResNet34": {}, "SSLPooling": setup.models()["SSLPooling"]}
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:

        def train(name: str, options: dict, on_device: str = "yes", says: str = "") -> Path:
            folder = setup.folder / name
            command = run_command_line(setup, folder, options | {"data_on_device": on_device})
            if says not in worker.submit(run_quietly, command).result():
                raise Failed(f"the trainer did not say: {says}")
            return folder / "model/last.model"

        for model, options in wanted.items():
            options = options | {"model": model}
            first = setup.folder / model / "model/last.model"

            def again(model=model, options=options, first=first) -> str:
                train(model, options)
                return same(first, train(f"{model}-again", options))

            def resumed(model=model, options=options, first=first) -> str:
                begun = setup.folder / f"{model}-resumed/model"
                begun.mkdir(parents=True)
                shutil.copy(first.with_name("model000000001.model"), begun)
                return same(first, train(f"{model}-resumed", options, says="at epoch 2, batch 1"))

            def from_host(model=model, options=options, first=first) -> str:
                return same(first, train(f"{model}-host", options, "no"))

            yield Check(f"{model}: the same command twice", again)
            yield Check(f"{model}: resumed after epoch 1", resumed)
            yield Check(f"{model}: audio on the device, and from the host", from_host)


def run_command_line(setup: Setup, folder: Path, options: dict) -> list[str]:
    """A run of two epochs, evaluated after each, on the lists in the setup's folder."""
    values = {f"{name}_list": setup.folder / f"{name}.csv" for name in ("train", "dev")}
    values |= {"train_path": ROOT / "data/demo", "save_path": folder, "device": setup.device.type, "nOut": 8}
    values |= {"batch_size": 8, "max_frames": 40, "max_epoch": 2, "warmup_epochs": 1, "test_interval": 1, "lr": 1e-3}
    values |= options | ({"max_frames": 20, "eval_frames": 20, "num_eval": 1} if setup.small else {})
    mixed = ["--mixedprec"] if values.pop("mixedprec", False) else []
    words = [str(word) for name, value in values.items() for word in (f"--{name}", value)]
    return [*words, "--deterministic", *mixed]


def run_quietly(command: list[str]) -> str:
    """Run the trainer; returns what it said. Raises Failed with the last line of that where it does not end well."""
    from trainSpeakerNet import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(command)
    if status:
        raise Failed(f"exit status {status}: {said.getvalue().strip().splitlines()[-1]}")
    return said.getvalue()


def same(first: Path, second: Path) -> str:
    """That two checkpoints hold the same weights."""
    if differing := different_weights(first, second):
        raise Failed(f"{len(differing)} tensors differ, the first {differing[0]}")
    return "the same weights to the last bit"


def scores(setup: Setup) -> Iterator[Check]:
    """All pairs scored on the device, made-up lists of the test list's size."""
    count = 1500 if setup.small else 33_900
    for size in (50, 512):
        yield Check(f"{count:,} × {size}", lambda size=size: same_eer(setup.device, count, size))


def same_eer(device: torch.device, count: int, size: int) -> str:
    """EER and time on the device, and how far the EER is from the CPU's."""
    labels = made_up(count, 64)["labels"]
    rows = embeddings_for(labels, size, 0.1)
    results, seconds = {}, {}
    for name in (str(device), "cpu"):
        work = lambda name=name: results.update({name: scoring.evaluate(rows, labels, quick=True, device=name)})  # noqa: E731
        seconds[name] = min(timed(work) for _ in range(3))
    there, here = results[str(device)], results["cpu"]
    for rate in ("eer", "macro_eer"):
        if not abs(there[rate] - here[rate]) <= EER_TOLERANCE:
            raise Failed(f"{rate} {there[rate]:.8f}, on the CPU {here[rate]:.8f} (allowed {EER_TOLERANCE:g})")
    difference = abs(there["eer"] - here["eer"])
    return (
        f"{seconds[str(device)]:.3f} s ({seconds['cpu']:.3f} s on the CPU); EER {there['eer']:.2%}, "
        f"{difference:.0e} from the CPU's"
    )


def figures(setup: Setup) -> Iterator[Check]:
    """Whole epochs: utterances a second, waiting for data, memory."""
    batch, batches = (8, 4) if setup.small else (128, 40)
    for place in ("device", "host"):
        for precision in ("float32", "half"):
            values = {"mixedprec": precision == "half"}
            yield Check(
                f"ThinResNet34, batch {batch}, {precision}, audio on the {place}",
                lambda v=values, p=place: speed(setup, batch, batches, p == "device", v),
            )
    if setup.full:
        values = {"model": "Wav2Vec2AASIST", "ssl_path": XLS_R_300M, "ssl_init": "random", "mixedprec": True}
        yield Check("XLS-R 300M + AASIST, batch 32, half", lambda: speed(setup, 32, 10, True, values))


def speed(setup: Setup, batch: int, batches: int, on_device: bool, values: dict) -> str:
    """The better of two epochs, after one that warms up."""
    made = new_trainer(setup, setup.loader(batch, batches, on_device=on_device), **values)
    training.epoch(made)
    if setup.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setup.device)
    row = max((training.epoch(made) for _ in range(2)), key=lambda row: row["utterances_per_s"])
    kind = str((half_precision(setup.device) if values.get("mixedprec") else None) or torch.float32)
    return (
        f"{row['utterances_per_s']:,.0f} utterances/s, waiting for data {row['data_wait']:.1%}, "
        f"peak memory {peak_memory(setup.device):.2f} GB, {kind.removeprefix('torch.')}"
    )


PARTS = {
    "A few steps": steps,
    "Embeddings": embeddings,
    "The trainer's command": runs,
    "Scoring": scores,
    "Training, whole epochs": figures,
}
