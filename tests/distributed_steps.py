"""The first losses of every loss and sampler, as JSON, of one process or of several; see test_distributed.py."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from corpus.audio import AudioFiles
from corpus.crops import crop_samples
from DatasetLoader import TrainLoader, make_sampler
from engine.devices import find_device, seed_all
from engine.distributed import all_reduce_rows, process_group, rank, with_sync_batch_norm, world
from engine.progress import Progress
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel
from tests.conftest import tone

SYSTEMS, UTTERANCES = 8, 6
LABELS = np.repeat(np.arange(SYSTEMS), UTTERANCES)
RUNS = [(loss, "random", 1) for loss in ("softmax", "amsoftmax", "aamsoftmax", "proxyanchor", "aamsoftmax_frozen")]
RUNS += [(loss, "balanced", 2) for loss in ("softmax", "amsoftmax", "aamsoftmax", "ge2e", "angleproto", "supcon")]
RUNS += [(f"aamsoftmax_{more}", "balanced", 2) for more in ("subcenter", "intertopk")]  # regmixup draws by process


class Tones(AudioFiles):
    """Audio made up on the spot."""

    def read(self, row):
        return tone(LABELS[row], row, seconds=0.5)


def losses(trainfunc: str, sampler: str, per_system: int) -> list[float]:
    """The losses of three steps, in float64: in float32 a rounding grows a thousandfold a step."""
    values = {"train_list": "-", "trainfunc": trainfunc, "sampler": sampler, "nPerSpeaker": per_system, "nOut": 8}
    values |= {
        "batch_size": 8,
        "max_frames": 40,
        "n_mels": 16,
        "warmup_epochs": 0,
        "lr": 1e-3,
        "sync_bn": True,
        "device": "cpu",
    }
    config = from_values(values)
    audio = Tones([""] * len(LABELS))
    lengths = np.full(len(LABELS), 8_000)
    batches = make_sampler(config, LABELS, [str(i) for i in range(SYSTEMS)])
    loader = TrainLoader(audio, lengths, LABELS, batches, crop_samples(40), seed=1, threads=1)
    seed_all(1)
    model = TracingModel(SpeakerNet(config, SYSTEMS), config, torch.device("cpu"), [], [])
    trainer = ModelTrainer(model, loader)
    encoder = trainer.net.double().encoder
    features = encoder.features
    encoder.features = lambda x: features(x).double()
    seen, progress, before = [], Progress(), 0.0
    trainer.begin_epoch(0)
    for batch in islice(loader.epoch(0), 3):
        trainer.train_step(batch, progress)
        seen.append(progress.loss - before)
        before = progress.loss
    return seen


def norms(kind: type[nn.Module], *places: int) -> list[float]:
    """Outputs, gradients and running means of a synchronised batch normalisation over a part of a batch."""
    batch = torch.from_numpy(np.random.default_rng(0).normal(2.0, 3.0, (8, 3, *places)))
    own = batch.chunk(world())[rank()].requires_grad_()
    module = with_sync_batch_norm(nn.ModuleList([kind(3).double()]), torch.device("cpu"))[0]
    out = module(own)
    (out**3).sum().backward()
    values = [out.square().mean(), out.mean(), own.grad.square().mean()]
    means = [torch.stack(values).detach() * len(own) / 8]
    shared = all_reduce_rows(torch.stack(means))[0]
    return [*shared.tolist(), *module.running_mean.tolist(), *module.running_var.tolist()]


def main(out: Path) -> None:
    """Write the losses of this process, if it is the first."""
    with process_group(find_device("cpu")):
        found = {f"{loss} {sampler}": losses(loss, sampler, m) for loss, sampler, m in RUNS}
        found |= {"BatchNorm1d": norms(nn.BatchNorm1d), "BatchNorm1d of sequences": norms(nn.BatchNorm1d, 5)}
        found |= {"BatchNorm2d": norms(nn.BatchNorm2d, 4, 5)}
        if rank() == 0:
            out.write_text(json.dumps(found))
