"""A training run, from its lists to its results: open, build or resume, epochs, evaluations, the test lists."""

import hashlib
import logging
import math
import signal
import time
from collections.abc import Iterable
from contextlib import closing, nullcontext

import numpy as np
import torch

import evaluation
from corpus.gpu_audio import GpuAudio, fits
from DatasetLoader import BalancedSampler, Dataset, RandomSampler, TrainLoader, crop_samples, open_list
from engine import checkpoints, diagnostics
from engine.atomic_files import link_or_copy
from engine.devices import find_device, seed_all
from engine.distributed import barrier, broadcast_object, rank, world
from engine.experiment import Experiment
from engine.progress import NotFinite, Progress
from engine.resuming import check_same_run, newest_sound
from engine.signals import Stopped, StopSignals
from engine.tensorboard_log import TensorboardLog
from settings.errors import ConfigError, DataError, UserError
from settings.options import Config
from settings.text import bulleted
from SpeakerNet import ModelTrainer, SpeakerNet

log = logging.getLogger(__name__)


def open_lists(config: Config) -> tuple[Dataset, Dataset | None, list[Dataset]]:
    """The train, dev and test lists with their audio. Raises ConfigError with what is wrong in any of them."""
    room, mistakes, opened = int(config.audio_memory * 1e9), [], []
    wanted = [(config.train_list, config.train_path), (config.dev_list, config.dev_path or config.train_path)]
    wanted += [(path, config.test_path or config.train_path) for path in config.test_list]
    for path, root in wanted:
        try:
            data = open_list(config, path, root, room) if path else None
            room = getattr(data.audio, "room", room) if data else room  # a cache takes none
            opened.append(data)
        except UserError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return opened[0], opened[1], opened[2:]


def make_sampler(config: Config, labels: np.ndarray, classes: list[str]) -> RandomSampler | BalancedSampler:
    """The sampler by name."""
    if config.sampler == "balanced":
        return BalancedSampler(labels, config.batch_size, config.nPerSpeaker, classes)
    return RandomSampler(labels, config.batch_size)


def make_loader(config: Config, data: Dataset, device: torch.device) -> TrainLoader:
    """The batches of the train list. Raises ConfigError where list and options do not go together."""
    classes = data.table.classes()
    if len(classes) < 2:
        raise ConfigError(f"{data.table.source} has one system, {classes[0]}: there is nothing to tell apart")
    if config.nClasses not in (0, len(classes)):
        raise ConfigError(
            f"--nClasses {config.nClasses}, but {data.table.source} has {len(classes)} systems: leave it out"
        )
    labels = data.table.labels(classes)
    sampler = make_sampler(config, labels, classes)
    length = crop_samples(config.max_frames)
    audio = data.audio
    wanted = {"yes": True, "no": False}.get(config.data_on_device)
    if fits(data.lengths, bool(config.cache), device) if wanted is None else wanted:
        audio = GpuAudio(audio, data.lengths, device)
    pin = device if device.type == "cuda" else None
    threads, cycle = config.nDataLoaderThread, config.crop_cycle
    return TrainLoader(audio, data.lengths, labels, sampler, length, config.seed, threads, cycle, pin)


def digest(data: Dataset) -> str:
    """A checksum of what training draws from: paths, systems and lengths."""
    content = repr((data.table.paths, data.table.systems)).encode() + data.lengths.tobytes()
    return hashlib.sha256(content).hexdigest()


class Run:
    """One training run in its experiment folder."""

    def __init__(self, config: Config, experiment: Experiment, signals: StopSignals):
        self.config, self.experiment, self.signals = config, experiment, signals
        device = find_device(config.device)
        self.train, self.dev, self.tests = open_lists(config)
        loader = make_loader(config, self.train, device)
        self.classes = self.train.table.classes()
        self.about = {
            "classes": self.classes,
            "languages": sorted(set(self.train.table.languages) - {""}),
            "data": digest(self.train),
        }
        if config.restart and rank() == 0:
            experiment.clear()
        barrier()
        self.found = newest_sound(experiment)
        seed_all(config.seed)
        net = SpeakerNet(config, len(self.classes), weights_follow=bool(self.found or config.initial_model))
        self.trainer = ModelTrainer(net, config, device, loader)
        self.trainer.wants_to_stop = lambda: signals.pending is not None
        self.progress = self.start()
        self.saved = time.monotonic()
        if rank() == 0:
            experiment.describe(config, device)
            experiment.write_metrics(self.progress.history)
            self.board = TensorboardLog(experiment.path / "tensorboard", self.progress.epoch + 1)

    def start(self) -> Progress:
        """Resume where a sound checkpoint is, else begin, with --initial_model's weights if it is given."""
        config = self.config
        size = sum(p.numel() for p in self.trainer.net.encoder.parameters())
        log.info("%s, %s parameters, on %s", config.model, f"{size:,}", self.trainer.device)
        log.info("%s: %d utterances of %d systems", config.train_list, len(self.train.table), len(self.classes))
        if self.found:
            path, state = self.found
            check_same_run(state, config, self.about["data"], path)
            progress = self.trainer.restore(state, path)
            log.info("resuming from %s at epoch %d, batch %d", path, progress.epoch + 1, progress.batch + 1)
            return progress
        if config.initial_model:
            self.trainer.loadParameters(config.initial_model)
            log.info("weights of the encoder from %s", config.initial_model)
        return Progress()

    def epochs(self) -> None:
        """Train what is left. Whatever ends it early, a stop signal or a file that broke, what was learned is kept."""
        try:
            while self.progress.epoch < self.config.max_epoch:
                with self.signals.deferred():
                    self.trainer.train_network(self.progress, self.after_batch)
                self.stop_where_asked()
                self.finish_epoch()
                self.stop_where_asked()
        except NotFinite as error:
            raise ConfigError(self.explain(error)) from None
        except DataError:
            self.save()
            raise
        except Stopped as stopped:
            if not stopped.torn:
                self.save()
            raise

    def stop_where_asked(self) -> None:
        """Between epochs: all steps are settled, so that all processes know of any that wants to stop."""
        if self.trainer.stop_from < math.inf or (world() == 1 and self.signals.pending):
            raise Stopped(self.signals.pending or signal.SIGTERM)

    def explain(self, error: NotFinite) -> str:
        """What to say of a batch that gave no finite loss or gradient; it is saved for a look."""
        batch, path = error.batch, self.experiment.results / "not_finite.pt"
        rows = batch.rows.tolist()
        checkpoints.write(path, {"waveforms": batch.waveforms, "labels": batch.labels, "rows": rows})
        place = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch + 1} of {len(self.trainer.loader)}"
        advice = "lower --lr or set --grad_clip; --skip_not_finite n leaves such batches out"
        found = f"{place}: {error}; {advice}. The batch is in {path}, its utterances are"
        return bulleted(found, [self.train.table.place(row) for row in rows])

    def after_batch(self) -> None:
        if time.monotonic() - self.saved > 60 * self.config.save_interval:
            self.save()
        if self.trainer.stop:
            raise Stopped(self.signals.pending or signal.SIGTERM)

    def finish_epoch(self) -> None:
        """Evaluate where it is time to, write the epoch's row, keep checkpoints."""
        progress, epoch = self.progress, self.progress.epoch + 1
        row = progress.row() | self.coverage()
        line = f"epoch {epoch}: {progress.line()}, {row['utterances_used']} of {row['utterances_available']} utterances"
        due = epoch % self.config.test_interval == 0 or epoch == self.config.max_epoch
        if due and self.dev:
            embeddings = evaluation.embed(self.trainer, self.dev)
            results = evaluation.quick_look(self.trainer, self.dev, embeddings)
            row |= {f"dev_{name}": results[name] for name in ("eer", "macro_eer", "threshold")}
            line += f", dev EER {results['eer']:.2%} (macro {results['macro_eer']:.2%})"
            self.warn(diagnostics.of_embeddings(embeddings, results["eer"], epoch, self.config.warmup_epochs))
        better = "dev_eer" in row and (progress.best_eer is None or row["dev_eer"] < progress.best_eer)
        with self.signals.deferred():
            if better:
                progress.best_eer, progress.best_epoch = row["dev_eer"], epoch
            progress.finish_epoch(row)
            if due:
                self.save_evaluated(epoch, better)
        self.tell(row, line)
        self.warn(diagnostics.of_epoch(progress.history, self.config.warmup_epochs))

    def warn(self, warnings: Iterable[str]) -> None:
        for text in warnings:
            log.warning("warning: %s", text)

    def coverage(self) -> dict:
        """How many distinct utterances the epoch used, of those there are."""
        loader = self.trainer.loader
        plan = loader.sampler.plan(self.config.seed, self.progress.epoch)
        if self.progress.epoch == 0:
            self.warn(diagnostics.of_sampling(loader.labels[plan], self.classes))
        return {"utterances_used": int(np.unique(plan).size), "utterances_available": len(self.train.table)}

    def tell(self, row: dict, line: str) -> None:
        """The epoch to the log, to metrics.jsonl and to TensorBoard."""
        if rank():
            return
        log.info("%s", line)
        self.experiment.write_metrics(self.progress.history)
        self.board.add(row)

    def save(self) -> None:
        """last.model; the one before it stays as previous.model."""
        experiment = self.experiment
        self.trainer.flush(self.progress)
        self.saved = time.monotonic()
        if rank():
            return
        if experiment.last.exists():
            link_or_copy(experiment.last, experiment.previous)
        self.trainer.saveParameters(experiment.last, self.progress, self.about)

    def save_evaluated(self, epoch: int, better: bool) -> None:
        """The numbered checkpoint, best.model where it is that, and, when these are there, last.model."""
        experiment, path = self.experiment, self.experiment.numbered(epoch)
        self.saved = time.monotonic()
        if rank():
            return
        self.trainer.saveParameters(path, self.progress, self.about)
        if better:
            link_or_copy(path, experiment.best)
        if experiment.last.exists():
            link_or_copy(experiment.last, experiment.previous)
        link_or_copy(path, experiment.last)
        experiment.prune(self.config.keep)

    def finish(self) -> None:
        """Score dev and test lists in full, with the best model by dev EER (the last where there is no dev list).

        The dev list's threshold is carried to the test lists.
        """
        lists = [data for data in (self.dev, *self.tests) if data]
        if not lists:
            return
        barrier()
        chosen = broadcast_object(self.experiment.best if self.experiment.best.exists() else self.experiment.last)
        self.trainer.loadParameters(chosen)
        about = self.about | {"checkpoint": str(chosen)}
        names = evaluation.result_names([data.table.source for data in lists])
        log.info("scoring with %s (epoch %d)", chosen, self.progress.best_epoch or self.progress.epoch)
        threshold = None
        for name, data in zip(names, lists, strict=True):
            results = evaluation.score_and_tell(self.trainer, data, name, self.experiment, about, threshold)
            threshold = results["threshold"] if data is self.dev else threshold


def train(config: Config) -> None:
    """Train, evaluate and score as the configuration says; go on where an earlier run with this save_path stopped."""
    experiment = Experiment(config.save_path)
    with experiment.locked() if rank() == 0 else nullcontext(), StopSignals() as signals:
        run = Run(config, experiment, signals)
        with closing(run.board) if rank() == 0 else nullcontext():
            run.epochs()
            run.finish()
