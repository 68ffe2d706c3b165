"""An exported graph run by onnxruntime: its embeddings, and how far they are from the model's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import scoring
from corpus.audio import SAMPLE_RATE
from exporting.packages import need

if TYPE_CHECKING:
    from DatasetLoader import Dataset
    from SpeakerNet import TracingModel

CHECKED = (0.1, 1.0, 7.3)  # seconds of the waveforms that are compared before a graph is given away


class Session:
    """A graph of `FromWaveform` or `FromFilterBanks`. `model` computes the filter banks, where it asks for them."""

    def __init__(self, path: Path, model: "TracingModel", threads: int = 0):
        onnxruntime = need("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.model = model
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def feed(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """The graph's input for a waveform (T,)."""
        if self.input == "waveform":
            return {self.input: waveform[None]}
        return {self.input: filter_banks(self.model, waveform)}

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings (N, D) float32 of waveforms (T,), one at a time."""
        return np.concatenate([self.session.run([self.output], self.feed(waveform))[0] for waveform in waveforms])

    def embed_list(self, data: "Dataset") -> np.ndarray:
        """Embeddings (N, D) float32 of a list's audio."""
        return self.embed([data.audio.read(row) for row in range(len(data.table))])


@torch.inference_mode()
def filter_banks(model: "TracingModel", waveform: np.ndarray) -> np.ndarray:
    """Waveform (T,) to what a runtime feeds the graph: (1, F, 80) float32, its mean over time subtracted."""
    feats = model.encoder.torchfb(torch.from_numpy(waveform)[None].to(model.device)).transpose(1, 2)
    return (feats - feats.mean(dim=1, keepdim=True)).cpu().numpy()


def largest_difference(session: Session, model: "TracingModel") -> float:
    """Between the graph's embeddings of noise of several lengths and the model's, as a share of the largest value."""
    random = np.random.default_rng(0)
    waveforms = [(0.1 * random.standard_normal(int(s * SAMPLE_RATE))).astype(np.float32) for s in CHECKED]
    expected = model.embed_waveforms(waveforms)
    return float(np.abs(session.embed(waveforms) - expected).max() / np.abs(expected).max())


def error_rate(embeddings: np.ndarray, data: "Dataset") -> float:
    """EER over all pairs of a list, a fraction."""
    return scoring.evaluate(embeddings, data.table.systems, names=data.table.paths, quick=True)["eer"]
