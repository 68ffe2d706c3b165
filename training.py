"""A training run, from its lists to its results: open, build or resume, epochs, evaluations, the test lists."""

import logging
import time

import numpy as np
from torch.utils.tensorboard import SummaryWriter

import evaluation
from config import Config
from DatasetLoader import BalancedSampler, Dataset, RandomSampler, TrainLoader, crop_samples, open_list
from devices import find_device, seed_all
from experiment import Experiment
from lists import named
from plugins import ConfigError
from progress import NotFinite, Progress
from signals import Stopped, StopSignals
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
        except ConfigError as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return opened[0], opened[1], opened[2:]


def make_loader(config: Config, data: Dataset) -> TrainLoader:
    """The batches of the train list. Raises ConfigError where list and options do not go together."""
    classes = data.table.classes()
    if len(classes) < 2:
        raise ConfigError(f"{data.table.source} has one system, {classes[0]}: there is nothing to tell apart")
    if config.nClasses not in (0, len(classes)):
        raise ConfigError(
            f"--nClasses {config.nClasses}, but {data.table.source} has {len(classes)} systems: leave it out"
        )
    labels = data.table.labels(classes)
    if config.sampler == "balanced":
        sampler = BalancedSampler(labels, config.batch_size, config.nPerSpeaker, classes)
    else:
        sampler = RandomSampler(labels, config.batch_size)
    length = crop_samples(config.max_frames)
    return TrainLoader(data.audio, data.lengths, labels, sampler, length, config.seed, config.nDataLoaderThread)


class Run:
    """One training run in its experiment folder."""

    def __init__(self, config: Config, signals: StopSignals):
        self.config, self.signals = config, signals
        self.experiment = Experiment(config.save_path)
        device = find_device(config.device)
        self.train, self.dev, self.tests = open_lists(config)
        loader = make_loader(config, self.train)
        self.classes = self.train.table.classes()
        self.languages = sorted(set(self.train.table.languages) - {""})
        seed_all(config.seed)
        self.trainer = ModelTrainer(SpeakerNet(config, len(self.classes)), config, device, loader)
        self.progress = self.start()
        self.saved = time.monotonic()
        self.experiment.describe(config, device)
        self.board = SummaryWriter(str(self.experiment.path / "tensorboard"), purge_step=self.progress.epoch + 1)

    def start(self) -> Progress:
        """Resume from last.model where there is one, else begin, with --initial_model's weights if it is given."""
        config, last = self.config, self.experiment.last
        size = sum(p.numel() for p in self.trainer.net.encoder.parameters())
        log.info("%s, %s parameters, on %s", config.model, f"{size:,}", self.trainer.device)
        log.info("%s: %d utterances of %d systems", config.train_list, len(self.train.table), len(self.classes))
        if last.exists():
            progress = self.trainer.restore(last)
            log.info("resuming from %s at epoch %d, batch %d", last, progress.epoch + 1, progress.batch + 1)
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
                self.finish_epoch()
        except NotFinite as error:
            culprits = [self.train.table.place(row) for row in error.rows.tolist()]
            raise ConfigError(
                named(f"{error}; lower --lr or set --grad_clip. The batch's utterances", culprits)
            ) from None
        except (Stopped, ConfigError):
            self.save()
            raise

    def after_batch(self) -> None:
        if time.monotonic() - self.saved > 60 * self.config.save_interval:
            self.save()
        self.signals.check()

    def finish_epoch(self) -> None:
        """Evaluate where it is time to, write the epoch's row, keep checkpoints."""
        progress, epoch = self.progress, self.progress.epoch + 1
        row = progress.row() | self.coverage()
        line = f"epoch {epoch}: {progress.line()}, {row['utterances_used']} of {row['utterances_available']} utterances"
        due = epoch % self.config.test_interval == 0 or epoch == self.config.max_epoch
        if due and self.dev:
            results = evaluation.evaluate(self.trainer, self.dev)
            row |= {f"dev_{name}": results[name] for name in ("eer", "macro_eer", "threshold")}
            line += f", dev EER {results['eer']:.2%} (macro {results['macro_eer']:.2%})"
        better = "dev_eer" in row and (progress.best_eer is None or row["dev_eer"] < progress.best_eer)
        if better:
            progress.best_eer, progress.best_epoch = row["dev_eer"], epoch
        progress.finish_epoch(row)
        if due:
            self.save(self.experiment.numbered(epoch))
            if better:
                self.save(self.experiment.best)
            self.save()
        self.tell(row, line)

    def coverage(self) -> dict:
        """How many distinct utterances the epoch used, of those there are."""
        plan = self.trainer.loader.sampler.plan(self.config.seed, self.progress.epoch)
        return {"utterances_used": int(np.unique(plan).size), "utterances_available": len(self.train.table)}

    def tell(self, row: dict, line: str) -> None:
        """The epoch to the log, to metrics.jsonl and to TensorBoard."""
        log.info("%s", line)
        self.experiment.write_metrics(self.progress.history)
        for name, value in row.items():
            if name != "epoch":
                self.board.add_scalar(name, value, row["epoch"])

    def save(self, path=None) -> None:
        """last.model, or a copy of the state under another name."""
        self.trainer.saveParameters(path or self.experiment.last, self.progress, self.classes, self.languages)
        self.saved = time.monotonic()

    def finish(self) -> None:
        """Score dev and test lists in full, with the best model by dev EER (the last where there is no dev list)."""
        chosen = self.experiment.best if self.experiment.best.exists() else self.experiment.last
        self.trainer.loadParameters(chosen)
        lists = [data for data in (self.dev, *self.tests) if data]
        names = evaluation.result_names([data.table.source for data in lists])
        log.info("scoring with %s (epoch %d)", chosen, self.progress.best_epoch or self.progress.epoch)
        for name, data in zip(names, lists, strict=True):
            evaluation.score_and_tell(self.trainer, data, name, self.experiment, chosen)


def train(config: Config) -> None:
    """Train, evaluate and score as the configuration says; go on where an earlier run with this save_path stopped."""
    with StopSignals() as signals:
        run = Run(config, signals)
        run.epochs()
        run.finish()
