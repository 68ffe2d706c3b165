"""How a run's configuration is found and checked: default < YAML < command line, every mistake reported at once.

The options are those of `settings/options.py`; the chosen model and loss add the keyword parameters of their own
signatures.
"""

import logging
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path

import yaml

from settings import plugins
from settings.errors import ConfigError, UserError
from settings.options import Config, run_options
from settings.project import located, portable
from settings.retired import RETIRED, says_nothing
from settings.schema import Option
from settings.sources import RawValue, peek, read_command_line, read_yaml
from settings.text import enumerated, shown, suggestion
from settings.values import checked

log = logging.getLogger(__name__)


def resolve(argv: list[str] | None = None, recorded: Callable[[str], dict] | None = None) -> Config:
    """The configuration of a command line. Raises ConfigError with every mistake at once, a line each.

    `recorded(path)` gives the configuration that a checkpoint carries ({} where it carries none). With --eval it stands
    between the defaults and the YAML file, so that a checkpoint is scored the way it was trained.
    """
    argv = sys.argv[1:] if argv is None else argv
    head = peek(argv, run_options(), ("config", "eval", "initial_model", "model", "trainfunc"))
    from_yaml = read_config(head["config"].value, notes=True) if "config" in head else {}
    head = from_yaml | head
    from_checkpoint = {}
    if recorded and "initial_model" in head and "eval" in head and head["eval"].value in (True, "true"):
        from_checkpoint = recorded_values(recorded(str(head["initial_model"].value)), str(head["initial_model"].value))
    head = from_checkpoint | head
    if from_checkpoint and "save_path" not in from_yaml:
        from_checkpoint["save_path"] = RawValue(experiment_of(str(head["initial_model"].value)), "--initial_model")
    schema = run_options() + plugin_options(**chosen_plugins(head))
    given = without_replaced_plugins(from_checkpoint | from_yaml, head, schema)
    config = build(given | read_command_line(argv, schema), schema)
    plugins.load("models", config.model)  # what cannot be imported is said at once
    plugins.load("loss", config.trainfunc)
    return config


def from_values(values: dict, place: str = "") -> Config:
    """The configuration of a plain dict, checked as a YAML file is."""
    given = {name: RawValue(value, f"{place}{name}") for name, value in values.items()}
    return build(given, run_options() + plugin_options(**chosen_plugins(given)))


def for_embedding(recorded: dict, options: dict) -> Config:
    """The configuration to embed with: what a checkpoint records, `options` above it; nothing is trained or scored."""
    model = str(options.get("initial_model", ""))
    given = recorded_values(recorded, model) | {name: RawValue(value, name) for name, value in options.items()}
    return build(given, run_options() + plugin_options(**chosen_plugins(given)), complete=False)


def chosen_plugins(given: dict[str, RawValue]) -> dict:
    """The names of model and loss, where they are given."""
    return {name: str(given[name].value) for name in ("model", "trainfunc") if name in given}


def without_replaced_plugins(
    given: dict[str, RawValue], head: dict[str, RawValue], schema: list[Option]
) -> dict[str, RawValue]:
    """What a file gives, less the options of a model or loss that the command line replaces by another."""
    if chosen_plugins(given) == chosen_plugins(head):
        return given
    known = {o.name for o in schema}
    replaced = {o.name for o in plugin_options(**chosen_plugins(given))} - known
    dropped = [entry.place for name, entry in given.items() if name in replaced]
    if dropped:
        log.info("left out, since the command line chooses another model or loss: %s", "; ".join(dropped))
    return {name: entry for name, entry in given.items() if name not in replaced}


def plugin_options(model: object = Config.model, trainfunc: object = Config.trainfunc) -> list[Option]:
    """The options of the chosen model and loss. A name that is taken already is the plug-in author's mistake.

    (Not of one that ends in **kwargs: what it expects under the name of a run's option is that very option.)
    """
    taken, found = dict.fromkeys((f.name for f in fields(Config)), "the trainer"), []
    for folder, name in (("models", model), ("loss", trainfunc)):
        declared = plugins.declared(folder, name)
        for o in declared.options:
            if o.name in taken and not declared.any_keyword:
                raise ConfigError(
                    f"{o.group} declares an option {o.name}, which {taken[o.name]} has already: rename it"
                )
            if o.name not in taken:
                found.append(o)
        taken |= {o.name: o.group for o in found}
    return found


def build(given: dict[str, RawValue], schema: list[Option], complete: bool = True) -> Config:
    """Defaults overlaid with what was given. Raises ConfigError with every unknown name, value or pair of options.

    `complete`: whether it must say what to train or to score.
    """
    known = {o.name: o for o in schema}
    mistakes, values = [], {o.name: o.default for o in schema}
    for name, entry in given.items():
        if name == "config" and entry.text:
            continue
        if name not in known and dropped(name, entry):
            continue
        try:
            if name not in known:
                raise ConfigError(unknown(name, list(known)))
            values[name] = checked(entry, known[name])
        except UserError as mistake:
            mistakes.append(f"{entry.place}: {mistake}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    run = {f.name for f in fields(Config)}
    config = Config(**{name: value for name, value in values.items() if name in run})
    config.model_options = {o.name: values[o.name] for o in schema if o.owner == "models"}
    config.loss_options = {o.name: values[o.name] for o in schema if o.owner == "loss"}
    if complete and "warmup_epochs" not in given and not config.eval and config.warmup_epochs >= config.max_epoch:
        config.warmup_epochs = config.max_epoch / 10
        log.warning("--warmup_epochs is %g, since --max_epoch is %d", config.warmup_epochs, config.max_epoch)
    impossible = list(combinations_that_cannot_work(config)) if complete else []
    if impossible:
        raise ConfigError("\n".join(impossible))
    return config


def combinations_that_cannot_work(config: Config) -> Iterable[str]:
    """A sentence for each contradiction among options; what needs the lists is checked where they are read."""
    if config.eval:
        if not config.initial_model:
            yield "--eval scores a checkpoint: name it with --initial_model"
        if not config.test_list:
            yield "--eval scores lists: name them with --test_list"
        if len(config.test_list) > 1 and config.save_embeddings:
            yield "--save_embeddings goes with one test list"
        return
    if not config.train_list:
        yield "nothing to train on: name a --train_list (CSV with path,model_name), or a --config that does"
    for name in ("save_embeddings", "backend"):
        if getattr(config, name):
            yield f"--{name} goes with --eval"
    needs = plugins.declared("loss", config.trainfunc).utterances
    if needs > 1 and config.sampler != "balanced":
        yield f"--trainfunc {config.trainfunc} compares utterances of one system: it needs --sampler balanced"
    if config.nPerSpeaker < needs:
        yield f"--trainfunc {config.trainfunc} needs --nPerSpeaker {needs} or more, and it is {config.nPerSpeaker}"
    kept = min(config.keep, math.ceil(config.max_epoch / config.test_interval))
    if config.average > kept:
        yield (
            f"--average {config.average}: {kept} numbered checkpoints are kept, by --keep {config.keep} and one every "
            f"--test_interval {config.test_interval} epochs of --max_epoch {config.max_epoch}"
        )
    if config.scheduler == "warmup_cosine" and config.warmup_epochs >= config.max_epoch:
        yield f"--warmup_epochs {config.warmup_epochs:g} is all of --max_epoch {config.max_epoch}: nothing to anneal"


def experiment_of(checkpoint: str) -> str:
    """The experiment that a checkpoint belongs to, where its results go: the folder above `model/`, or its own."""
    folder = Path(checkpoint).parent
    if (Path(checkpoint) / "model").is_dir():  # the experiment itself
        return checkpoint
    return str(folder.parent if folder.name == "model" else folder)


def recorded_values(recorded: dict, checkpoint: str = "") -> dict[str, RawValue]:
    """What --eval takes from a checkpoint's own configuration: how it was trained and scored, not where."""
    if not isinstance(recorded, dict) or not all(isinstance(name, str) for name in recorded):
        raise ConfigError("the checkpoint's config is not a table of options")
    run = {o.name: o for o in run_options()}
    kept = {name: value for name, value in recorded.items() if name not in run or run[name].recorded}
    kept = located(kept, checkpoint) if checkpoint else kept
    return {name: RawValue(value, f"the checkpoint's config: {name}", recorded=True) for name, value in kept.items()}


def read_config(path: str, notes: bool = False) -> dict[str, RawValue]:
    """Option to value of a config file, its paths as the current folder has them. Raises ConfigError as `read_yaml`.

    `notes`: say where a path is not of the config's project, or the current folder has another.
    """
    given = read_yaml(path)
    values = located(
        {name: entry.value for name, entry in given.items()},
        path,
        {name: entry.place for name, entry in given.items()} if notes else None,
    )
    return {name: replace(entry, value=values[name]) for name, entry in given.items()}


def dropped(name: str, entry: RawValue) -> bool:
    """Whether a retired option is left out: a checkpoint's, or one of a file that has the value it always had."""
    nothing = says_nothing(name, entry.value)
    if entry.recorded and name in RETIRED and not nothing and not RETIRED[name].learning:
        log.warning("%s %s: %s", entry.place, shown(entry.value), RETIRED[name].now)
    return (entry.recorded and name in RETIRED) or (nothing and not entry.text)


def unknown(name: str, known: list[str]) -> str:
    """What to say of an option that the run does not have: where it went, whose it is, or which one is near."""
    owners = list(plugins.owners(name))
    if owners:
        return f"no such option of the chosen model and loss: it belongs to {enumerated(owners)}"
    return RETIRED[name].now if name in RETIRED else f"no such option{suggestion(name, known)}"


def dump(config: Config, path: str | Path | None = None) -> str:
    """YAML text of the whole configuration, a valid --config; for a file at `path`, one from every folder."""
    values = portable(config.flat(), path) if path else config.flat()
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
