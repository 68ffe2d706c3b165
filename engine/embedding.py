"""Embeddings of every utterance that a loader gives, in evaluation mode, shared between processes."""

import math
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from engine.devices import convolutions
from engine.distributed import all_reduce_rows, broadcast_buffers, rank, world

MEMORY = Path("/proc/meminfo")  # of Linux


def fits_in_memory(encoder: nn.Module, seconds: float, device: torch.device) -> bool:
    """Whether so many seconds can be embedded in one piece, by the encoder's own `mb_per_minute`.

    Only a CPU's memory is asked: there the system ends a process without a word, where a GPU raises an error.
    """
    needed = getattr(encoder, "mb_per_minute", 0) * seconds / 60
    return device.type != "cpu" or needed * 1e6 <= free_memory()


def free_memory() -> float:
    """Bytes that this machine could still give; without end where it does not say."""
    try:
        lines = MEMORY.read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return math.inf


@convolutions(training=False)
@torch.inference_mode()
def embed_batches(
    encoder: nn.Module, loader, nOut: int, device: torch.device, progress: bool | None = None
) -> np.ndarray:
    """(N, nOut) float32 embeddings as the encoder gives them; of several crops, the mean of the normalised ones."""
    encoder.eval()
    broadcast_buffers(encoder)
    embeddings = torch.zeros(len(loader.lengths), nOut, device=device)
    silent = True if rank() or progress is False else None
    bar = tqdm(None, "embedding", len(embeddings) // world(), unit="utt", leave=False, disable=silent)
    with uncompiled(), bar:
        for rows, crops, lengths in loader:
            waveforms = crops.flatten(0, 1).to(device, non_blocking=True)
            padded = {} if lengths is None else {"lengths": lengths.to(device)}
            x = encoder(waveforms, **padded).float().unflatten(0, crops.shape[:2])
            embeddings[rows] = x[:, 0] if crops.shape[1] == 1 else F.normalize(x, dim=-1).mean(dim=1)
            bar.update(len(rows))
            del crops, waveforms, x  # before the next batch is asked for
    return all_reduce_rows(embeddings).cpu().numpy()


def uncompiled() -> AbstractContextManager:
    """While it lasts, nothing that --compile compiled is: whole utterances have a new length in every batch."""
    if "torch._dynamo" not in sys.modules:  # nobody compiled, and to import it takes seconds
        return nullcontext()
    return torch.compiler.set_stance("force_eager")
