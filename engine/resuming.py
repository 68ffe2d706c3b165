"""Resuming a run that stopped: from which checkpoint, and whether it is still the same run."""

import logging
from pathlib import Path

import torch

from engine import checkpoints
from engine.experiment import Experiment
from settings.differences import differences
from settings.errors import ConfigError, UserError
from settings.options import Config, run_options
from settings.project import located
from settings.resolve import plugin_options
from settings.text import bulleted

log = logging.getLogger(__name__)


def newest_sound(experiment: Experiment) -> tuple[Path | None, dict | None]:
    """The newest checkpoint that can be read, and what it holds; None in a fresh folder. Damaged ones are named.

    Raises ConfigError where there are checkpoints and all are damaged: nothing is overwritten by surprise.
    """
    damaged = []
    for path in experiment.resumable():
        try:
            state = checkpoints.read(path)
        except UserError as error:
            log.warning("%s; going back to the checkpoint before it", error)
            damaged.append(str(error))
            continue
        return path, state
    if damaged:
        raise ConfigError(
            bulleted(f"no checkpoint in {experiment.models} can be read (--restart begins anew)", damaged)
        )
    return None, None


def fingerprints(config: Config, train: str, dev: str) -> dict[str, str]:
    """What must be the same in all processes that train together: options that decide what is learned, and lists.

    `train`, `dev`: the lists' digests.
    """
    schema = run_options() + plugin_options(config.model, config.trainfunc)
    fixed, values = {o.name for o in schema if not o.may_change}, config.flat()
    learned = {name: values[name] for name in sorted(fixed & values.keys())}
    return {"the configuration": repr(learned), "the train list": train, "the dev list": dev}


def check_same_run(state: dict, config: Config, data: str, path: Path) -> None:
    """Raises ConfigError that lists the options, and whether the train data, differ from those of the checkpoint."""
    before = located(state.get("config", {}), path)
    found = differences(before, config, lambda option: not option.may_change, "in the checkpoint")
    if state.get("data") != data:
        found.append("the utterances of the train list, their lengths or filters, or what --augment makes of them")
    if found:
        advice = "--restart begins anew; another --save_path with --initial_model starts from these weights"
        raise ConfigError(bulleted(f"{path} was trained otherwise ({advice})", found))
    now = torch.get_num_threads()
    if not torch.cuda.is_available() and (before := state.get("threads", now)) != now:
        log.warning(
            "warning: %s was trained with %s threads, and there are %d now: sums round otherwise", path, before, now
        )
