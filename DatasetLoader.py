"""Lists with their audio, and batches of crops from it, read ahead of need."""

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from corpus.audio import AudioFiles, AudioMemory
from corpus.cache import CachedAudio, open_cache
from corpus.crops import crop_samples, crop_starts, eval_crops
from corpus.filters import AudioFilters
from corpus.gpu_audio import GpuAudio, fits
from corpus.lists import UtteranceList, read_list, trial_paths
from corpus.samplers import BalancedSampler, RandomSampler
from engine.distributed import rank, shard, world
from engine.parallel import in_order
from scoring.trial_list import TrialList, read_trials
from settings.errors import ConfigError, DataError, UserError
from settings.options import Config
from settings.text import bulleted

log = logging.getLogger(__name__)


@dataclass
class Dataset:
    """A list with its audio, row by row: `lengths` (N,) int64 in samples; `skipped` names what was left out.

    `trials`: the pairs to score, where the list was one of trials.
    """

    table: UtteranceList
    audio: AudioFiles | CachedAudio
    lengths: np.ndarray
    skipped: list[str]
    trials: TrialList | None = None

    def info(self) -> dict:
        """What checkpoints record of a train list: its systems in the order of the labels, languages, its digest."""
        languages = sorted(set(self.table.languages) - {""})
        return {"classes": self.table.classes(), "languages": languages, "data": self.digest()}

    def digest(self) -> str:
        """A checksum of what training draws from: paths, systems and lengths."""
        content = repr((self.table.paths, self.table.systems)).encode() + self.lengths.tobytes()
        return hashlib.sha256(content).hexdigest()


def open_list(config: Config, path: str, root: str, memory: AudioMemory | None = None) -> Dataset:
    """Read a list and look at every one of its files, by the cache's index where there is one.

    Raises DataError that names all files that cannot be used, unless --skip_bad_audio goes on without them.
    """
    return with_audio(config, read_list(path, config.allow_outside), root, memory)


def with_audio(config: Config, table: UtteranceList, root: str, memory: AudioMemory | None = None) -> Dataset:
    """The audio of a table, every file looked at; see `open_list`."""
    audio = open_audio(config, table, root, memory)
    lengths, wrong = audio.lengths(config.nDataLoaderThread, f"reading {table.source}")
    if not wrong:
        return Dataset(table, audio, lengths, [])
    culprits = [f"line {table.lines[row]}: {why}" for row, why in wrong.items()]
    found = f"{table.source}: {len(wrong)} of {len(table)} files cannot be used"
    good = [row for row in range(len(table)) if row not in wrong]
    if not config.skip_bad_audio or not good:
        raise DataError(bulleted(found + ("" if not good else " (--skip_bad_audio goes on without them)"), culprits))
    log.warning("%s", "\n  ".join([f"{found}; they are left out:", *culprits]))
    return Dataset(table.take(good), audio.take(good), lengths[good], culprits)


def open_trial_list(config: Config, path: str, root: str) -> Dataset | None:
    """The utterances of a trial list, lines of 'label path path', each once; None where the list is of another form."""
    paths = trial_paths(path)
    if not paths:
        return None
    blank = [""] * len(paths)
    table = UtteranceList(path, paths, blank, blank, blank, list(range(1, len(paths) + 1)))
    data = with_audio(config, table, root)
    return replace(data, trials=read_trials(path, data.table.paths))


def open_audio(config: Config, table: UtteranceList, root: str, memory: AudioMemory | None) -> AudioFiles | CachedAudio:
    """The audio of a list, from --cache where it is given, else from its files."""
    filters = AudioFilters(config.lowpass, config.trim_silence, config.loudness_norm)
    if config.cache:
        return open_cache(config.cache, table, root, filters, config.nDataLoaderThread)
    return AudioFiles(table.files(root), memory, filters.apply if filters else None)


def open_lists(config: Config) -> tuple[Dataset, Dataset | None, list[Dataset]]:
    """The train, dev and test lists with their audio. Raises ConfigError with what is wrong in any of them.

    A dev or test list without a target or a non-target trial could not be scored: it is refused here, not after hours.
    """
    memory, mistakes, opened = AudioMemory(int(config.audio_memory * 1e9)), [], []
    wanted = [(config.train_list, config.train_path), (config.dev_list, config.dev_path or config.train_path)]
    wanted += [(path, config.test_path or config.train_path) for path in config.test_list]
    for place, (path, root) in enumerate(wanted):
        try:
            data = open_list(config, path, root, memory) if path else None
            opened.append(data)
            if data and place:
                check_trials(data.table)
        except UserError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return opened[0], opened[1], opened[2:]


def check_trials(table: UtteranceList) -> None:
    """Raises DataError where no pair of a list is of one system, or none of two: no EER could be computed."""
    systems = set(table.systems)
    if len(systems) == len(table):
        raise DataError(f"{table.source}: no target trial: each of the {len(systems)} systems has one utterance only")
    if len(systems) < 2:
        raise DataError(f"{table.source}: no non-target trial: all utterances are of {table.systems[0]}")


@dataclass
class Batch:
    """`waveforms` (B, T) float32, `labels` (B,) int64 in group-major order, `rows` (B,) of the train list."""

    waveforms: torch.Tensor
    labels: torch.Tensor
    rows: np.ndarray


class TrainLoader:
    """The batches of an epoch, read by threads ahead of need, or cut on the GPU that holds the audio.

    Which utterances and which crops is a function of (seed, epoch) alone: threads change only how soon they are there.

    Parameters
    ----------
    audio : AudioFiles, CachedAudio or GpuAudio
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
        plan = self.sampler.plan(self.seed, epoch)
        drawn = epoch % self.crop_cycle if self.crop_cycle else epoch
        starts = crop_starts(self.lengths, plan, self.length, self.seed, drawn)
        shares = [
            tuple(shard(part, self.sampler.per_system) for part in pair) for pair in zip(plan, starts, strict=True)
        ]
        if isinstance(self.audio, GpuAudio):
            batches = self.cut_on_gpu(shares[first:])
        else:
            batches = in_order(lambda share: self.read(*share), shares[first:], self.threads, ahead=2)
        began = time.perf_counter()
        for batch in batches:
            self.waited = time.perf_counter() - began
            yield batch
            began = time.perf_counter()

    def read(self, rows: np.ndarray, starts: np.ndarray) -> Batch:
        """One batch: rows (B,) of the list, cut at `starts` (B,)."""
        crops = torch.from_numpy(self.audio.gather(rows, starts, self.length))
        labels = torch.from_numpy(self.labels[rows])
        if self.pin:
            with torch.cuda.device(self.pin):  # else every reading thread would begin a context on the first GPU
                crops, labels = crops.pin_memory(), labels.pin_memory()
        return Batch(crops, labels, rows)

    def cut_on_gpu(self, shares: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[Batch]:
        """The batches of these shares: an epoch's indices go to the GPU at once, so that no batch waits for a copy."""
        if not shares:
            return
        rows, starts = (np.stack(part) for part in zip(*shares, strict=True))
        indices = self.audio.upload(np.stack([rows, starts, self.labels[rows]], axis=1))
        for own, (on_gpu, begin, labels) in zip(rows, indices, strict=True):
            yield Batch(self.audio.gather(on_gpu, begin, self.length), labels, own)

    def coverage(self, epoch: int) -> dict[str, int]:
        """How many distinct utterances an epoch uses, of how many there are."""
        used = int(np.unique(self.sampler.plan(self.seed, epoch)).size)
        return {"utterances_used": used, "utterances_available": len(self.labels)}

    def systems_drawn(self, epoch: int) -> np.ndarray:
        """(batches, B) labels of an epoch's plan."""
        return self.labels[self.sampler.plan(self.seed, epoch)]


def make_sampler(config: Config, labels: np.ndarray, classes: list[str]) -> RandomSampler | BalancedSampler:
    """The sampler by name."""
    if config.sampler == "balanced":
        return BalancedSampler(labels, config.batch_size, config.nPerSpeaker, classes)
    return RandomSampler(labels, config.batch_size)


def make_loader(config: Config, data: Dataset, device: torch.device) -> TrainLoader:
    """The batches of the train list. Raises ConfigError where list and options do not go together."""
    classes = data.table.classes()
    if len(classes) < 2:
        raise ConfigError(f"{data.table.source} has one system, {classes[0]}: there is nothing to distinguish")
    if config.nClasses not in (0, len(classes)):
        raise ConfigError(
            f"--nClasses {config.nClasses}, but {data.table.source} has {len(classes)} systems: leave it out"
        )
    labels = data.table.labels(classes)
    sampler = make_sampler(config, labels, classes)
    audio = data.audio
    wanted = {"yes": True, "no": False}.get(config.data_on_device)
    if fits(data.lengths, bool(config.cache), device) if wanted is None else wanted:
        audio = GpuAudio(audio, data.lengths, device)
        data.audio.forget()  # what the GPU holds, the host need not
    pin = device if device.type == "cuda" else None
    length, threads = crop_samples(config.max_frames), config.nDataLoaderThread
    return TrainLoader(audio, data.lengths, labels, sampler, length, config.seed, threads, config.crop_cycle, pin)


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
