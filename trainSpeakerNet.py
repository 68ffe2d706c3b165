"""Train a source-tracing network, or score one.

Run: python trainSpeakerNet.py --config configs/demo.yaml, with --eval --initial_model M to score checkpoint M, and on
several GPUs or machines: torchrun --nproc_per_node N trainSpeakerNet.py --config ...
"""

import errno
import logging
import sys

from tqdm import tqdm

from settings.console import MISTAKE, log_to, run_command
from settings.errors import ConfigError, DataError, UserError
from settings.options import Config
from settings.resolve import resolve

log = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # wherever it strikes, a disk is not the program's fault


def train(config: Config) -> None:
    """Train, evaluate and score as the configuration says; resume where an earlier run with this save_path stopped."""
    # imported here, so that --help need not wait for torch
    import evaluation
    from DatasetLoader import make_loader, open_lists
    from engine import diagnostics
    from engine.devices import find_device, seed_all
    from engine.distributed import check_same_everywhere
    from engine.experiment import Experiment
    from engine.progress import NotFinite, Progress, batches, line
    from engine.resuming import check_same_run, fingerprints, newest_sound
    from engine.signals import Stopped, StopSignals
    from engine.tensorboard_log import TensorboardLog
    from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel

    experiment, device = Experiment(config.save_path), find_device(config.device)
    with experiment.locked(), StopSignals() as signals:
        train_data, dev_data, test_data = open_lists(config)
        loader = make_loader(config, train_data, device)
        info = train_data.info()  # systems, their copies, languages and a digest, for the checkpoints
        classes, dev_digest = info["classes"] + info["copies"], dev_data.digest() if dev_data else ""
        check_same_everywhere(fingerprints(config, info["data"], dev_digest))

        if config.restart:
            experiment.clear()
        path, state = newest_sound(experiment)
        seed_all(config.seed)
        net = SpeakerNet(config, len(classes), weights_follow=bool(state or config.initial_model))
        model = TracingModel(net, config, device, info["classes"], info["languages"], info["copies"])
        for data in filter(None, (dev_data, *test_data)):
            model.check_memory(data.lengths, data.table.paths)
        trainer, progress = ModelTrainer(model, loader), Progress()
        log.info("%s, %s parameters, on %s", config.model, f"{model.size:,}", device)
        log.info("%s", train_data)
        log.info("results go to %s", experiment.path)
        if state:
            check_same_run(state, config, info["data"], path)
            progress = trainer.restore(state, path)
            log.info("resuming from %s at epoch %d, batch %d", path, progress.epoch + 1, progress.batch + 1)
        elif config.initial_model:
            trainer.start_from(config.initial_model)
        del state  # a whole copy of the network, not to be kept for hours
        progress.judge_by(dev_digest)
        experiment.describe(config, device, info["filters"], train_data.recipe)
        experiment.write_metrics(progress.history)
        tensorboard = TensorboardLog(experiment.path / "tensorboard", progress.epoch + 1)

        try:
            while progress.epoch < config.max_epoch:
                trainer.begin_epoch(progress.epoch)
                with signals.deferred():  # a signal is acted upon between steps
                    for batch in batches(loader, progress, config.max_epoch):
                        trainer.train_step(batch, progress, stop=signals.pending is not None)
                        if experiment.minutes_unsaved() > config.save_interval:
                            experiment.save_last(trainer.state(progress, info))
                        signals.stop_if(trainer.steps.stop)
                    trainer.end_epoch(progress)

                epoch = progress.epoch + 1
                due = epoch % config.test_interval == 0 or epoch == config.max_epoch
                row = progress.row() | loader.coverage(progress.epoch)
                if due and dev_data:
                    experiment.save_last(trainer.state(progress, info))  # whatever befalls the evaluation
                    with trainer.evaluating():
                        row |= {f"dev_{name}": value for name, value in evaluation.quick_look(model, dev_data).items()}
                with signals.deferred():
                    best = progress.finish_epoch(row)
                    if due:
                        experiment.save_evaluated(trainer.state(progress, info), epoch, best, config.keep)
                    experiment.write_metrics(progress.history)
                    tensorboard.add(row)
                    log.info("%s", line(row))
                    diagnostics.warn(progress.history, loader, classes, config.warmup_epochs)
        except NotFinite as error:
            batch = experiment.results / "not_finite.pt"
            why = diagnostics.explain(error, progress, len(loader), batch, train_data.table.place)
            raise ConfigError(why) from None
        except (Stopped, DataError) as reason:  # what was learned is kept
            if not getattr(reason, "torn", False):
                experiment.save_last(trainer.state(progress, info))
            raise
        finally:
            tensorboard.close()

        chosen, what = experiment.best_or_last(progress.best_epoch), f"epoch {progress.best_epoch or progress.epoch}"
        if config.average:
            chosen, what = experiment.average(config.average), f"mean of the last {config.average} checkpoints"
        log.info("scoring with %s (%s)", chosen, what)
        evaluation.score_trained(model.load(chosen), dev_data, test_data, experiment, str(chosen))


class Console(logging.Handler):
    """Results on the standard output, warnings and errors on the standard error, progress bars left whole."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when what was asked was done, 2 on a user's mistake, 128 + signal when stopped."""
    log_to(Console(), logging.INFO)
    return run_command(lambda: run(resolve(argv, recorded=recorded_config)))


def recorded_config(checkpoint: str) -> dict:
    """The configuration that a checkpoint carries."""
    from engine.checkpoints import recorded_config as recorded

    return recorded(checkpoint)


def run(config: Config) -> int:
    """Train or score; what is logged goes to the experiment's log too, and process 0 alone writes it."""
    from engine.devices import find_device, set_determinism
    from engine.distributed import process_group, rank
    from engine.experiment import Experiment, logged_to
    from engine.signals import Stopped
    from evaluation import score_lists

    set_determinism(config.deterministic)
    with process_group(find_device(config.device)):
        if rank():
            logging.getLogger().setLevel(logging.ERROR)
        with logged_to(Experiment(config.save_path).results / "scores.txt"):
            try:
                score_lists(config) if config.eval else train(config)
            except UserError as mistake:
                log.error("error: %s", mistake)
                return MISTAKE
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                log.error("error: %s; what was saved before is kept, and the same command resumes from there", error)
                return MISTAKE
            except Stopped as stop:
                log.warning("%s; the same command resumes from here", stop)
                return stop.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
