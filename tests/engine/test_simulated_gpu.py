"""Readers, lag and "waiting for data" on a simulated GPU: one that computes all the time is not said to wait."""

import numpy as np
import pytest
import torch

from corpus.gpu_audio import GpuAudio
from corpus.samplers import RandomSampler
from DatasetLoader import Batch, TrainLoader
from engine.progress import Progress
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel
from tests.engine.simulated_gpu import CUDA, Simulation, simulated
from tests.engine.test_fake_cuda import onto_fake_cuda

BATCH, BATCHES, LENGTH, THREADS = 4, 60, 800, 2
STEP, LAUNCH = 0.080, 0.003


class Noise:
    """Audio that takes no time of its own."""

    def read(self, row: int) -> np.ndarray:  # noqa: ARG002
        return np.zeros(2 * LENGTH, np.float32)

    def gather(self, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:  # noqa: ARG002
        return np.zeros((len(rows), length), np.float32)


class Encoder(torch.nn.Module):
    """As little as can be trained."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 8)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, T) to embeddings (B, 8)."""
        return self.layer(waveforms.mean(1, keepdim=True))


def loader(on_gpu: bool) -> TrainLoader:
    labels = np.arange(BATCH * BATCHES) % 3
    lengths = np.full(len(labels), 2 * LENGTH)
    audio = GpuAudio(Noise(), lengths, CUDA) if on_gpu else Noise()
    return TrainLoader(audio, lengths, labels, RandomSampler(labels, BATCH), LENGTH, 1, THREADS, pin=CUDA)


def model() -> TracingModel:
    config = from_values({"train_list": "-", "nOut": 8, "batch_size": BATCH})
    net = SpeakerNet(config, 3)
    net.encoder = Encoder()
    return TracingModel(net, config, torch.device("cpu"), list("abc"), [])


def epoch(gpu: Simulation, patch: pytest.MonkeyPatch, on_gpu: bool = False) -> tuple[dict, float]:
    """The metrics of an epoch, and the share of it in which the GPU did nothing."""
    trained = model()
    with simulated(gpu, patch, trained.net.parameters) as mode:
        onto_fake_cuda(trained.net, mode)
        trained.device = CUDA
        trainer, progress = ModelTrainer(trained, loader(on_gpu)), Progress()
        began, busy = gpu.now, gpu.busy
        trainer.begin_epoch(0)
        for batch in trainer.loader.epoch(0):
            trainer.train_step(batch, progress)
        trainer.end_epoch(progress)
    row = progress.row()
    assert progress.batch == BATCHES and row["seconds"] == pytest.approx(gpu.now - began)
    return row, 1 - (gpu.busy - busy) / (gpu.now - began)


def test_crops_cut_on_the_gpu_are_not_waited_for(monkeypatch):
    row, idle = epoch(Simulation(STEP, LAUNCH), monkeypatch, on_gpu=True)
    assert idle < 0.01 and row["data_wait"] < 0.01


def test_readers_as_fast_as_the_gpu_are_not_waited_for(monkeypatch):
    row, idle = epoch(Simulation(STEP, LAUNCH, read=STEP), monkeypatch)
    assert idle < 0.04 and row["data_wait"] < 0.04


@pytest.mark.parametrize("busy", [0.96, 0.8, 0.5, 0.1])
def test_the_share_reported_as_waiting_is_that_in_which_the_gpu_is_idle(monkeypatch, busy):
    row, idle = epoch(Simulation(STEP, LAUNCH, read=THREADS * STEP / busy), monkeypatch)
    assert idle == pytest.approx(1 - busy, abs=0.04)
    assert row["data_wait"] == pytest.approx(idle, abs=0.04)


def test_a_gpu_that_waits_for_the_host_is_not_said_to_wait_for_data(monkeypatch):
    row, idle = epoch(Simulation(0.002, launch=0.020, read=0.001), monkeypatch)
    assert idle > 0.8 and row["data_wait"] < 0.01


def test_an_upload_for_each_batch_that_waits_would_be_noticed(monkeypatch):
    def pageable(self, indices):
        return torch.from_numpy(indices).to(self.samples.device)

    def each(self, shares):
        for rows, starts, _ in shares:
            yield Batch(
                self.audio.gather(self.audio.upload(rows), self.audio.upload(starts), self.length),
                self.audio.upload(self.labels[rows]),
                rows,
            )

    monkeypatch.setattr(GpuAudio, "upload", pageable)
    monkeypatch.setattr(TrainLoader, "cut_on_gpu", each)
    _, idle = epoch(Simulation(STEP, LAUNCH), monkeypatch, on_gpu=True)
    assert idle > 0.03
