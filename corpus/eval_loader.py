"""Whole utterances, or evenly spaced crops of them, in batches to embed.

However many threads read, the batches that wait or are embedded hold IN_FLIGHT samples at most, 230 MB: an utterance of
an hour is alone.
"""

from collections.abc import Iterator

import numpy as np
import torch

from corpus.audio import IN_FLIGHT, AudioFiles
from corpus.crops import crop_samples, eval_starts
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
        0 frames: the whole utterance; else `count` evenly spaced crops of so many.
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
        own = self.batches()[rank() :: world()]
        yield from in_order(self.read, own, self.threads, ahead=2, weigh=self.samples, most=IN_FLIGHT)

    def samples(self, rows: np.ndarray) -> int:
        """Of a batch, with what is padded."""
        each = self.count * crop_samples(self.frames) if self.frames else int(self.lengths[rows].max())
        return len(rows) * each

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, torch.Tensor, torch.Tensor | None]:
        """One batch, as `__iter__` gives it."""
        if self.frames:
            length = crop_samples(self.frames)
            starts = [eval_starts(int(self.lengths[row]), length, self.count) for row in rows]
            crops = self.audio.gather(np.repeat(rows, self.count), np.concatenate(starts), length)
            return rows, torch.from_numpy(crops.reshape(len(rows), self.count, length)), None
        if len(rows) == 1:  # perhaps an hour, of which there should be one copy
            batch = np.require(self.audio.read(int(rows[0])), requirements="W")[None, None]
        else:
            batch = np.zeros((len(rows), 1, self.lengths[rows].max()), np.float32)
            for place, row in zip(batch, rows.tolist(), strict=True):
                place[0, : self.lengths[row]] = self.audio.read(row)
        return rows, torch.from_numpy(batch), torch.from_numpy(self.lengths[rows]) if self.padded else None
