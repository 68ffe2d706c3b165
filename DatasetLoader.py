"""Lists with their audio, and batches of crops from it to train on, read ahead of need."""

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from corpus import copies
from corpus.audio import AudioFiles, AudioMemory
from corpus.augmentation.chain import Augmentation
from corpus.augmentation.recipe import Recipe, find_recipe
from corpus.cache import CachedAudio, open_cache
from corpus.crops import crop_samples, crop_starts, use_in_epoch
from corpus.filters import AudioFilters
from corpus.gpu_audio import GpuAudio, fits
from corpus.lists import UtteranceList, check_root, read_list, trial_paths
from corpus.samplers import BalancedSampler, RandomSampler
from engine.distributed import shard
from engine.parallel import in_order
from scoring.trial_list import TrialList, read_trials
from settings.errors import ConfigError, DataError, UserError
from settings.options import Config
from settings.text import bulleted

log = logging.getLogger(__name__)


@dataclass
class Dataset:
    """A list with its audio, row by row: `lengths` (N,) int64 in samples; `skipped` names what was left out.

    `trials`: the pairs to score, where the list was one of trials. `augmentation`: what --augment makes of train crops.
    """

    table: UtteranceList
    audio: AudioFiles | CachedAudio
    lengths: np.ndarray
    skipped: list[str]
    trials: TrialList | None = None
    augmentation: Augmentation | None = None

    def __str__(self) -> str:
        return f"{self.table.source}: {len(self.table)} utterances of {copies.counted(*copies.class_names(self.table))}"

    @property
    def recipe(self) -> str:
        """The text of --augment's recipe, '' without one."""
        return self.augmentation.recipe.text if self.augmentation else ""

    @property
    def filters(self) -> AudioFilters:
        """What was done to the audio: that of the cache's making, nothing without one."""
        return getattr(self.audio, "filters", AudioFilters())

    def info(self) -> dict:
        """What checkpoints record of a train list: its systems and the classes of their copies, in the order of the
        labels, its languages, its digest, the filters that its audio has passed.
        """
        languages = sorted(set(self.table.languages) - {""})
        real, pseudo = copies.class_names(self.table)
        about = {"classes": real, "copies": pseudo, "languages": languages, "data": self.digest()}
        return about | {"filters": self.filters.settings()}

    def digest(self) -> str:
        """A checksum of what training draws from: paths, systems and lengths, filters, and how crops are changed."""
        content = repr((self.table.paths, self.table.systems)).encode() + self.lengths.tobytes()
        content += str(self.filters).encode() if self.filters else b""
        content += repr(self.augmentation.described()).encode() if self.augmentation else b""
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


def open_train_list(config: Config, memory: AudioMemory) -> Dataset:
    """The train list, with the copies and the changes of crops that --augment asks for; see `open_list`."""
    recipe = find_recipe(config.augment)
    if not recipe:
        return open_list(config, config.train_list, config.train_path, memory)
    log.info("%s", recipe)
    changes = Augmentation(recipe, config.musan_path, config.rir_path, config.nDataLoaderThread)
    table = read_list(config.train_list, config.allow_outside)
    data = with_audio(config, copies.with_copies(table, recipe.copies, recipe.copy_classes), config.train_path, memory)
    if recipe.copies and isinstance(data.audio, AudioFiles) and len(data.audio.kept) < len(data.audio):
        log.warning(
            "warning: the copies of %s do not all fit into --audio_memory, and are made again at every use; "
            "dataprep.py cache --copies makes them once",
            recipe.source,
        )
    return replace(data, augmentation=changes)


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
    if config.cache:
        return open_cache(config.cache, table, root, config.nDataLoaderThread)
    check_root(root, table.paths)
    return copies.FilesAndCopies(table.files(root), memory)


def open_lists(config: Config) -> tuple[Dataset, Dataset | None, list[Dataset]]:
    """The train, dev and test lists with their audio. Raises ConfigError with what is wrong in any of them.

    A dev or test list without a target or a non-target trial could not be scored: it is refused here, not after hours.
    """
    memory, mistakes, opened = AudioMemory(int(config.audio_memory * 1e9)), [], []
    wanted = [(config.train_list, config.train_path), (config.dev_list, config.dev_path or config.train_path)]
    wanted += [(path, config.test_path or config.train_path) for path in config.test_list]
    for place, (path, root) in enumerate(wanted):
        try:
            if not place:
                data = open_train_list(config, memory)
            else:
                data = open_list(config, path, root, memory) if path else None
            opened.append(data)
            if data and place:
                check_trials(data.table)
        except UserError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    check_filters([data for data in opened if data])
    return opened[0], opened[1], opened[2:]


def check_filters(lists: list[Dataset]) -> None:
    """Raises DataError where the caches of a run's lists were built with different filters."""
    if len({data.filters for data in lists}) > 1:
        found = [f"{data.table.source}: {data.filters}" for data in lists]
        raise DataError(bulleted("the caches of the lists were built differently; build them alike", found))


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
    augmentation : Augmentation
        Changes crops, in the threads that read them. Not for GpuAudio.
    """

    def __init__(
        self,
        audio,
        lengths,
        labels,
        sampler,
        length: int,
        seed: int,
        threads: int,
        crop_cycle: int = 0,
        pin=None,
        augmentation: Augmentation | None = None,
    ):
        self.audio, self.lengths, self.labels, self.sampler = audio, lengths, labels, sampler
        self.length, self.seed, self.threads, self.crop_cycle, self.pin = length, seed, threads, crop_cycle, pin
        self.augmentation = augmentation
        self.reads = augmentation.reads(length) if augmentation else length  # samples of a crop before it is changed
        self.waited = 0.0  # seconds that the last batch was waited for

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.sampler)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `first` on. Raises DataError where a file can no longer be read."""
        plan = self.sampler.plan(self.seed, epoch)
        drawn = epoch % self.crop_cycle if self.crop_cycle else epoch
        starts = crop_starts(self.lengths, plan, self.reads, self.seed, drawn)
        uses = use_in_epoch(plan.ravel()).reshape(plan.shape)
        shares = [
            tuple(shard(part, self.sampler.per_system) for part in parts)
            for parts in zip(plan[first:], starts[first:], uses[first:], strict=True)
        ]
        if isinstance(self.audio, GpuAudio):
            batches = self.cut_on_gpu(shares)
        else:
            batches = in_order(lambda share: self.read(*share, drawn), shares, self.threads, ahead=2)
        began = time.perf_counter()
        for batch in batches:
            self.waited = time.perf_counter() - began
            yield batch
            began = time.perf_counter()

    def read(self, rows: np.ndarray, starts: np.ndarray, uses: np.ndarray, epoch: int) -> Batch:
        """One batch: rows (B,) of the list, cut at `starts` (B,), changed by draws of `epoch` and `uses` (B,) in it."""
        crops = self.audio.gather(rows, starts, self.reads)
        if self.augmentation:
            crops = self.augmentation.batch(crops, self.length, rows, uses, self.seed, epoch)
        crops, labels = torch.from_numpy(crops), torch.from_numpy(self.labels[rows])
        if self.pin:
            with torch.cuda.device(self.pin):  # else every reading thread would begin a context on the first GPU
                crops, labels = crops.pin_memory(), labels.pin_memory()
        return Batch(crops, labels, rows)

    def cut_on_gpu(self, shares: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[Batch]:
        """The batches of these shares: an epoch's indices go to the GPU at once, so that no batch waits for a copy."""
        if not shares:
            return
        rows, starts, _ = (np.stack(part) for part in zip(*shares, strict=True))
        indices = self.audio.upload(np.stack([rows, starts, self.labels[rows]], axis=1))
        for own, (on_gpu, begin, labels) in zip(rows, indices, strict=True):
            yield Batch(self.audio.gather(on_gpu, begin, self.length), labels, own)

    def coverage(self, epoch: int) -> dict[str, int]:
        """How many distinct utterances an epoch uses, of how many it has."""
        used = int(np.unique(self.sampler.plan(self.seed, epoch)).size)
        return {"utterances_used": used, "utterances_available": self.sampler.total}

    def systems_drawn(self, epoch: int) -> np.ndarray:
        """(batches, B) labels of an epoch's plan."""
        return self.labels[self.sampler.plan(self.seed, epoch)]


def make_sampler(
    config: Config, labels: np.ndarray, classes: list[str], recipe: Recipe | None = None, originals: int = 0
) -> RandomSampler | BalancedSampler:
    """The sampler by name; the rows after `originals` are copies.

    Raises ConfigError where the recipe draws among copies, and the sampler classes.
    """
    drawn = recipe.copies_an_epoch if recipe else None
    if config.sampler == "balanced":
        if drawn is not None:
            raise ConfigError(f"{recipe.source}: copies_an_epoch is for --sampler random; balanced draws classes alike")
        return BalancedSampler(labels, config.batch_size, config.nPerSpeaker, classes)
    if drawn is None:
        return RandomSampler(labels, config.batch_size)
    return RandomSampler(labels, config.batch_size, originals, round(drawn * originals))


def make_loader(config: Config, data: Dataset, device: torch.device) -> TrainLoader:
    """The batches of the train list. Raises ConfigError where list and options do not go together."""
    real, pseudo = copies.class_names(data.table)
    classes = real + pseudo
    if len(classes) < 2:
        raise ConfigError(f"{data.table.source} has one system, {classes[0]}: there is nothing to distinguish")
    labels = data.table.labels(classes)
    recipe = data.augmentation.recipe if data.augmentation else None
    sampler = make_sampler(config, labels, classes, recipe, int((labels < len(real)).sum()))
    audio, changes = data.audio, data.augmentation if data.augmentation and data.augmentation.links else None
    wanted = {"yes": True, "no": False}.get(config.data_on_device)
    if changes and wanted:
        raise ConfigError("--data_on_device yes, but --augment changes crops in the threads that read: give auto or no")
    if not changes and (fits(data.lengths, bool(config.cache), device) if wanted is None else wanted):
        audio = GpuAudio(audio, data.lengths, device)
        data.audio.forget()  # what the GPU holds, the host need not
    pin = device if device.type == "cuda" else None
    length, threads = crop_samples(config.max_frames), config.nDataLoaderThread
    cycle = config.model_options.get("crop_cycle", 0)  # an option of the models that need it
    return TrainLoader(audio, data.lengths, labels, sampler, length, config.seed, threads, cycle, pin, changes)
