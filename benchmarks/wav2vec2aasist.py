"""Time and memory of a Wav2Vec2AASIST training step. Run: python benchmarks/wav2vec2aasist.py [--full] [--mixedprec]

Without --full a small speech model stands in, which shows that everything runs and nothing else; with it, XLS-R 300M,
with random weights. Waveforms are random too: reading audio is not measured.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import peak_memory
from models._ssl_weights import XLS_R_300M
from models.Wav2Vec2AASIST import MainModel

SAMPLES = 200 * 160 + 240  # max_frames 200, the 2 s of the paper
CLASSES = 24


class Classifier(torch.nn.Module):
    """The encoder and a plain classification loss over its embeddings."""

    def __init__(self, ssl_path: str, **options: bool):
        super().__init__()
        self.encoder = MainModel(50, ssl_path=ssl_path, ssl_init="random", **options)
        self.head = torch.nn.Linear(50, CLASSES)

    def forward(self, wave: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, T) and labels (B,) to the mean cross-entropy, a scalar."""
        return F.cross_entropy(self.head(self.encoder(wave)), labels)


def small_config(folder: str) -> str:
    """A folder with the configuration of a small speech model of the same make."""
    from transformers import Wav2Vec2Config

    Wav2Vec2Config(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        conv_dim=[64] * 7,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    ).save_pretrained(folder)
    return folder


def flops_of_step(network: Classifier, device: torch.device) -> float:
    """Floating-point operations of one utterance, forward and backward, counted as a batch of two runs."""
    batch = torch.randn(2, SAMPLES, device=device), torch.zeros(2, dtype=torch.long, device=device)
    with FlopCounterMode(display=False) as counter:
        network(*batch).backward()
    network.zero_grad()
    return counter.get_total_flops() / 2


def measure(network: Classifier, args: argparse.Namespace, device: torch.device) -> tuple[list[float], float]:
    """Seconds of each step after the warm-up (forward, backward, Adam), and the mean CPU time of one, over all threads.

    On a busy machine the second says what the first cannot.
    """
    trained = [p for group in network.encoder.parameter_groups() for p in group["params"]]
    optimizer = torch.optim.Adam([*trained, *network.head.parameters()], lr=1e-6, fused=True)
    step_network = torch.compile(network) if args.compile else network
    wave = torch.randn(args.batch_size, SAMPLES, device=device)
    labels = torch.randint(CLASSES, (args.batch_size,), device=device)
    seconds, cpu = [], 0.0
    for step in range(args.warmup + args.steps):
        start, cpu_start = time.perf_counter(), time.process_time()
        with torch.autocast(device.type, torch.bfloat16, enabled=args.mixedprec):
            loss = step_network(wave, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if step >= args.warmup:
            seconds.append(time.perf_counter() - start)
            cpu += time.process_time() - cpu_start
    return seconds, cpu / args.steps


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--full", action="store_true", help="XLS-R 300M instead of the small model")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for flag in ("mixedprec", "compile", "freeze_cnn", "freeze_ssl", "grad_checkpointing"):
        parser.add_argument(f"--{flag}", action="store_true")
    args = parser.parse_args(argv)
    options = {name: getattr(args, name) for name in ("freeze_cnn", "freeze_ssl", "grad_checkpointing")}
    device = torch.device(args.device)
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        ssl_path = XLS_R_300M if args.full else small_config(folder)
        network = Classifier(ssl_path, **options).to(device).train()
    flops = flops_of_step(network, device)
    seconds, cpu = measure(network, args, device)
    rate = args.batch_size / statistics.median(seconds)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{where}: batch of {args.batch_size}, {SAMPLES / 16000:.2f} s each, {vars(args)}")
    spread = f"{len(seconds)} steps: {min(seconds):.3f} to {max(seconds):.3f} s"
    print(f"step {statistics.median(seconds):.3f} s ({spread}; CPU time {cpu:.3f} s)")
    print(f"{rate:.1f} utterances/s, {rate * flops / 1e12:.3f} TFLOP/s at {flops / 1e9:.1f} GFLOP an utterance")
    print(f"peak memory {peak_memory(device):.2f} GB")


if __name__ == "__main__":
    main()
