"""Whole utterances, or evenly spaced crops of them, in batches to embed."""

from collections.abc import Iterator

import numpy as np
import torch

from corpus.audio import AudioFiles
from corpus.crops import crop_samples, eval_crops
from engine.distributed import rank, world
from engine.parallel import in_order


class EvalLoader:
    """Every utterance of a list once, read ahead by threads, in batches of one length or, `padded`, of similar lengths.

    Parameters
    ----------
    audio : AudioFiles
    lengths : (N,) int64
        Samples of each utterance.
    frames, count : int
        As `eval_crops` takes them.
    threads : int
    padded : bool
        Whole utterances may end in zeros: the encoder is given where each one ends.
    """

    most_samples = 64 * 32_240  # of a batch: 64 training crops' worth

    def __init__(self, audio: AudioFiles, lengths: np.ndarray, frames: int, count: int, threads: int, padded=False):
        self.audio, self.lengths, self.frames, self.count, self.threads = audio, lengths, frames, count, threads
        self.padded = padded and not frames

    def batches(self) -> list[np.ndarray]:
        """The rows of each batch, longest first, so that memory runs out early if it does."""
        length = np.full_like(self.lengths, self.count * crop_samples(self.frames)) if self.frames else self.lengths
        order = np.argsort(-length, kind="stable")
        alike = [order] if self.padded else np.split(order, np.flatnonzero(np.diff(length[order])) + 1)
        found = []
        for rows in alike:
            begin = 0
            while begin < len(rows):
                most = max(1, self.most_samples // int(length[rows[begin]]))
                found.append(rows[begin : begin + most])
                begin += most
        return found

    def __iter__(self) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor | None]]:
        """Rows (B,), their crops (B, count, T), count 1 for whole utterances, and, `padded`, their lengths (B,) int64.

        Processes share the batches.
        """
        yield from in_order(self.read, self.batches()[rank() :: world()], self.threads, ahead=2)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, torch.Tensor, torch.Tensor | None]:
        crops = [eval_crops(self.audio.read(row), self.frames, self.count) for row in rows.tolist()]
        if not self.padded:
            return rows, torch.from_numpy(np.stack(crops)), None
        batch = np.zeros((len(rows), 1, max(crop.shape[1] for crop in crops)), np.float32)
        for place, crop in zip(batch, crops, strict=True):
            place[:, : crop.shape[1]] = crop
        return rows, torch.from_numpy(batch), torch.from_numpy(self.lengths[rows])
