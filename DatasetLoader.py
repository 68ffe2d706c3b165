"""Training batches: which utterances (samplers), which part of each (crops), read ahead of need (TrainLoader)."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from corpus.audio import AudioFiles, cut
from corpus.cache import CachedAudio, open_cache
from corpus.filters import AudioFilters
from corpus.lists import UtteranceList, read_list
from engine.distributed import rank, shard, world
from engine.parallel import in_order
from settings.errors import DataError
from settings.options import Config
from settings.text import bulleted

log = logging.getLogger(__name__)

BATCHES, CROPS = 0, 1  # independent random streams of one (seed, epoch)


def rng(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """The generator of one epoch's batches or crops: nothing is drawn from any other."""
    return np.random.default_rng([seed, epoch, stream])


def crop_samples(frames: int) -> int:
    """Samples that `frames` frames of 25 ms every 10 ms span, at 16 kHz (voxceleb_trainer's rule)."""
    return frames * 160 + 240


def crop_starts(lengths: np.ndarray, length: int, seed: int, epoch: int) -> np.ndarray:
    """(N,) int64: where this epoch's crop of each utterance begins, uniform over all places where it fits."""
    free = np.maximum(lengths - length, 0) + 1
    return (rng(seed, epoch, CROPS).random(len(lengths)) * free).astype(np.int64)


@dataclass
class Dataset:
    """A list with its audio, row by row: `lengths` (N,) int64 in samples; `skipped` tells what was left out."""

    table: UtteranceList
    audio: AudioFiles | CachedAudio
    lengths: np.ndarray
    skipped: list[str]


def open_list(config: Config, path: str, root: str, keep_bytes: int = 0) -> Dataset:
    """Read a list and look at every one of its files, by the cache's index where there is one.

    Raises DataError that names all files that cannot be used, unless --skip_bad_audio goes on without them.
    """
    table = read_list(path, config.allow_outside)
    audio = open_audio(config, table, root, keep_bytes)
    lengths, wrong = audio.lengths(config.nDataLoaderThread, f"reading {path}")
    if not wrong:
        return Dataset(table, audio, lengths, [])
    culprits = [f"line {table.lines[row]}: {why}" for row, why in wrong.items()]
    found = f"{path}: {len(wrong)} of {len(table)} files cannot be used"
    good = [row for row in range(len(table)) if row not in wrong]
    if not config.skip_bad_audio or not good:
        raise DataError(bulleted(found + ("" if not good else " (--skip_bad_audio goes on without them)"), culprits))
    log.warning("%s", "\n  ".join([f"{found}; they are left out:", *culprits]))
    return Dataset(table.take(good), audio.take(good), lengths[good], culprits)


def open_audio(config: Config, table: UtteranceList, root: str, keep_bytes: int) -> AudioFiles | CachedAudio:
    """The audio of a list, from --cache where it is given, else from its files."""
    filters = AudioFilters(config.lowpass, config.trim_silence, config.loudness_norm)
    if config.cache:
        return open_cache(config.cache, table, root, filters, config.nDataLoaderThread)
    return AudioFiles(table.files(root), keep_bytes, filters.apply if filters else None)


class RandomSampler:
    """`batch_size` utterances from a shuffled list; what is left over at the end of an epoch sits it out.

    Parameters
    ----------
    labels : (N,) int64
    batch_size : int
        Utterances of a batch; all N where there are fewer.
    """

    def __init__(self, labels: np.ndarray, batch_size: int):
        self.total = len(labels)
        self.batch_size, self.per_system = min(batch_size, self.total), 1

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.total // self.batch_size

    def plan(self, seed: int, epoch: int) -> np.ndarray:
        """(batches, batch_size) int64 indices of the utterances of every batch of the epoch."""
        order = rng(seed, epoch, BATCHES).permutation(self.total)
        return order[: len(self) * self.batch_size].reshape(len(self), self.batch_size)


class BalancedSampler:
    """`batch_size` systems × `per_system` utterances of each, in group-major order.

    In an epoch each system appears in as many batches as any other (± 1), and within a system no utterance repeats
    before all have been used.

    Parameters
    ----------
    labels : (N,) int64
    batch_size : int
        Systems of a batch, K.
    per_system : int
        Utterances of each, M.
    classes : list of str
        The systems' names, for messages.

    Raises
    ------
    DataError
        More systems in a batch than there are, or systems with fewer than `per_system` utterances.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, per_system: int, classes: list[str]):
        ends = np.cumsum(np.bincount(labels, minlength=len(classes)))
        self.members = np.split(np.argsort(labels, kind="stable"), ends[:-1])
        self.total, self.batch_size, self.per_system = len(labels), batch_size, per_system
        if batch_size > len(classes):
            raise DataError(f"--batch_size {batch_size} systems in a batch, and the train list has {len(classes)}")
        few = [f"{classes[c]}: {len(m)}" for c, m in enumerate(self.members) if len(m) < per_system]
        if few:
            raise DataError(bulleted(f"systems with fewer utterances than --nPerSpeaker {per_system}", few))

    def __len__(self) -> int:
        """Batches of an epoch: as many as the list's size gives, at least one."""
        return max(1, self.total // (self.batch_size * self.per_system))

    def plan(self, seed: int, epoch: int) -> np.ndarray:
        """(batches, K·M) int64 indices of the utterances of every batch of the epoch."""
        random = rng(seed, epoch, BATCHES)
        systems = shuffled_groups(len(self.members), len(self), self.batch_size, random)
        plan = np.empty((len(self), self.batch_size, self.per_system), np.int64)
        for system, members in enumerate(self.members):
            places = np.nonzero(systems == system)
            plan[places] = members[shuffled_groups(len(members), len(places[0]), self.per_system, random)]
        return plan.reshape(len(self), -1)


def shuffled_groups(n: int, groups: int, size: int, random: np.random.Generator) -> np.ndarray:
    """(groups, size) draws from range(n), size <= n, in shuffled rounds.

    Nobody is drawn again before all have been, and nobody twice in a group, not even in one that spans two rounds.
    """
    rounds, drawn = [], 0
    while drawn < groups * size:
        fresh = random.permutation(n)
        begun = rounds[-1][n - drawn % size :] if rounds else []  # the group that the last round left unfinished
        if len(begun):
            allowed = np.flatnonzero(~np.isin(fresh, begun))[: size - len(begun)]
            fresh = np.concatenate([fresh[allowed], np.delete(fresh, allowed)])
        rounds.append(fresh)
        drawn += n
    return np.concatenate(rounds)[: groups * size].reshape(groups, size)


@dataclass
class Batch:
    """`waveforms` (B, T) float32, `labels` (B,) int64 in group-major order, `rows` (B,) of the train list."""

    waveforms: torch.Tensor
    labels: torch.Tensor
    rows: np.ndarray


class TrainLoader:
    """The batches of an epoch, read by threads ahead of need.

    Which utterances and which crops is a function of (seed, epoch) alone: threads change only how soon they are there.

    Parameters
    ----------
    audio : AudioFiles, CachedAudio or DeviceAudio
    lengths : (N,) int64
        Samples of each utterance, as `AudioFiles.lengths` measured them.
    labels : (N,) int64
    sampler : RandomSampler or BalancedSampler
    length : int
        Samples of a crop.
    seed, threads : int
    crop_cycle : int
        Epochs after which the crops come again; 0 for never.
    pin : torch.device
        A GPU for which batches are to lie in page-locked memory, from which it copies while it computes.
    """

    def __init__(
        self, audio, lengths, labels, sampler, length: int, seed: int, threads: int, crop_cycle: int = 0, pin=None
    ):
        self.audio, self.lengths, self.labels, self.sampler = audio, lengths, labels, sampler
        self.length, self.seed, self.threads, self.crop_cycle, self.pin = length, seed, threads, crop_cycle, pin
        self.waited = 0.0  # seconds that the last batch was waited for

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.sampler)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `first` on. Raises DataError where a file can no longer be read."""
        plan = [shard(rows, self.sampler.per_system) for rows in self.sampler.plan(self.seed, epoch)[first:]]
        drawn = epoch % self.crop_cycle if self.crop_cycle else epoch
        starts = crop_starts(self.lengths, self.length, self.seed, drawn)
        batches = in_order(lambda rows: self.read(rows, starts), plan, self.threads, ahead=2)
        began = time.perf_counter()
        for batch in batches:
            self.waited = time.perf_counter() - began
            yield batch
            began = time.perf_counter()

    def read(self, rows: np.ndarray, starts: np.ndarray) -> Batch:
        """One batch: rows (B,) of the list, cut at `starts` (N,)."""
        crops = torch.as_tensor(self.audio.gather(rows, starts[rows], self.length))
        labels = torch.from_numpy(self.labels[rows])
        if self.pin:
            with torch.cuda.device(self.pin):  # else every reading thread would begin a context on the first GPU
                crops, labels = (t if t.is_cuda else t.pin_memory() for t in (crops, labels))
        return Batch(crops, labels, rows)


def eval_crops(samples: np.ndarray, frames: int, count: int) -> np.ndarray:
    """(1, T) the whole utterance where `frames` is 0, else (count, frames' samples) evenly spaced crops of it."""
    if frames == 0:
        return samples[None]
    length = crop_samples(frames)
    starts = np.linspace(0, max(0, len(samples) - length), count).round().astype(np.int64)
    return np.stack([cut(samples, start, length) for start in starts])


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
        Whole utterances may end in zeros: the encoder is told where each one ends.
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
