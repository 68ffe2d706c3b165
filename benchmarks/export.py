"""Real-time factor of a trained model in PyTorch, ONNX and int8 ONNX on one core. Run: python -m benchmarks.export

Needs requirements-export.txt. The speech of data/demo, repeated to length, one utterance at a time; random weights,
which cost what trained ones cost. For Wav2Vec2AASIST at full size: --model Wav2Vec2AASIST (a graph of 1.3 GB; minutes).
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.training import ROOT
from corpus.audio import load_audio
from corpus.lists import read_list
from exporting.graph import FromWaveform, described, write_graph
from exporting.int8 import is_convolutional, write_int8
from exporting.session import Session, largest_difference
from settings.resolve import for_embedding
from SpeakerNet import SpeakerNet, TracingModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ThinResNet34", choices=["ThinResNet34", "Wav2Vec2AASIST"])
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 10.0], help="lengths of an utterance")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    own = {"ssl_init": "random"} if options.model == "Wav2Vec2AASIST" else {}
    config = for_embedding({}, {"model": options.model, "nOut": 50, "device": "cpu", "nDataLoaderThread": 1} | own)
    model = TracingModel(SpeakerNet(config, 24), config, torch.device("cpu"), [f"system {i}" for i in range(24)], [])
    speech = np.concatenate([load_audio(file) for file in read_list(ROOT / "data_lists/demo/test.csv").files(
        ROOT / "data/demo")])  # fmt: skip
    print(machine())
    with TemporaryDirectory() as folder:
        whole, small = Path(folder) / "model.onnx", Path(folder) / "model.int8.onnx"
        write_graph(FromWaveform(model), whole, described(model))
        session = Session(whole, model, threads=1)
        print(f"largest difference of PyTorch and ONNX: {largest_difference(session, model):.1e} of the largest value")
        calibration = [speech[i * 32_000 : (i + 1) * 32_000] for i in range(8)] if is_convolutional(whole) else []
        write_int8(session, whole, small, calibration)
        forms = {
            "PyTorch": model.embed_waveforms,
            "ONNX": session.embed,
            "ONNX int8": Session(small, model, threads=1).embed,
        }
        sizes = {"ONNX": whole.stat().st_size, "ONNX int8": small.stat().st_size, "PyTorch": 4 * model.size}
        for seconds in options.seconds:
            wave = np.resize(speech, int(seconds * 16_000))
            for name, embed in forms.items():
                took = median_seconds(embed, wave, options.repeats)
                print(f"{seconds:5.1f} s  {name:9s}  {sizes[name] / 1e6:8.2f} MB  {1000 * took:8.1f} ms  "
                      f"real-time factor {took / seconds:.4f}")  # fmt: skip


def median_seconds(embed: Callable, wave: np.ndarray, repeats: int) -> float:
    """Of one utterance (T,), after a warm-up."""
    embed([wave])
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        embed([wave])
        times.append(time.perf_counter() - began)
    return float(np.median(times))


if __name__ == "__main__":
    main()
