"""How a run's configuration is found and checked: default < YAML < command line, every mistake told at once.

The options are those of `settings/options.py`; the chosen model and loss add the keyword parameters of their own
signatures.
"""

import logging
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

import yaml

from settings import plugins
from settings.errors import ConfigError, UserError
from settings.options import HERE_AND_NOW, LARGEST, Config
from settings.plugins import Option
from settings.sources import RawValue, peek, read_command_line, read_yaml
from settings.text import shown, suggestion, unusable

log = logging.getLogger(__name__)


def resolve(argv: list[str] | None = None, recorded: Callable[[str], dict] | None = None) -> Config:
    """The configuration of a command line. Raises ConfigError that tells every mistake at once, a line each.

    `recorded(path)` gives the configuration that a checkpoint carries ({} where it carries none). With --eval it stands
    between the defaults and the YAML file, so that a checkpoint is scored the way it was trained.
    """
    argv = sys.argv[1:] if argv is None else argv
    head = peek(argv, run_options(), ("config", "eval", "initial_model", "model", "trainfunc"))
    from_yaml = read_yaml(head["config"].value) if "config" in head else {}
    head = from_yaml | head
    from_checkpoint = {}
    if recorded and "initial_model" in head and "eval" in head and head["eval"].value in (True, "true"):
        from_checkpoint = recorded_values(recorded(str(head["initial_model"].value)))
    head = from_checkpoint | head
    if from_checkpoint and "save_path" not in from_yaml:
        from_checkpoint["save_path"] = RawValue(experiment_of(str(head["initial_model"].value)), "--initial_model")
    schema = run_options() + plugin_options(**chosen_plugins(head))
    given = without_replaced_plugins(from_checkpoint | from_yaml, head, schema)
    return build(given | read_command_line(argv, schema), schema)


def from_values(values: dict, place: str = "") -> Config:
    """The configuration of a plain dict, checked as a YAML file is."""
    given = {name: RawValue(value, f"{place}{name}") for name, value in values.items()}
    return build(given, run_options() + plugin_options(**chosen_plugins(given)))


def for_embedding(recorded: dict, options: dict) -> Config:
    """The configuration to embed with: what a checkpoint records, `options` above it; nothing is trained or scored."""
    given = recorded_values(recorded) | {name: RawValue(value, name) for name, value in options.items()}
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


def run_options() -> list[Option]:
    """The fields of `Config` as options."""
    kinds = {list[str]: str, list[float]: float}
    declared = [f for f in fields(Config) if f.metadata]
    defaults = Config()
    return [Option(f.name, kinds.get(f.type, f.type), getattr(defaults, f.name), **f.metadata) for f in declared]


def plugin_options(model: object = Config.model, trainfunc: object = Config.trainfunc) -> list[Option]:
    """The options of the chosen model and loss. A name that is taken already is the plug-in author's mistake."""
    found = plugins.options(plugins.load("models", model), f"model {model}")
    found += plugins.options(plugins.load("loss", trainfunc), f"loss {trainfunc}")
    taken = {f.name: "the trainer" for f in fields(Config)}
    for o in found:
        if o.name in taken:
            raise ConfigError(f"{o.group} declares an option {o.name}, which {taken[o.name]} has already: rename it")
        taken[o.name] = o.group
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
        try:
            if name not in known:
                raise ConfigError(f"no such option{hint(name, list(known))}")
            values[name] = checked(entry, known[name])
        except UserError as mistake:
            mistakes.append(f"{entry.place}: {mistake}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    run = {f.name for f in fields(Config)}
    config = Config(**{name: value for name, value in values.items() if name in run})
    config.model_options = {o.name: values[o.name] for o in schema if o.group.startswith("model ")}
    config.loss_options = {o.name: values[o.name] for o in schema if o.group.startswith("loss ")}
    impossible = list(combinations_that_cannot_work(config)) if complete else []
    if impossible:
        raise ConfigError("\n".join(impossible))
    return config


def checked(given: RawValue, option: Option) -> object:
    """The value in the option's type and bounds. Types are checked, not cast; a command line's text is read first."""
    if option.many:
        items = given.value if isinstance(given.value, list) else [given.value]
        one = Option(**{**vars(option), "many": False})
        return [checked(RawValue(item, given.place, given.text), one) for item in items]
    value = given.value
    if option.truth and isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, str) and option.type is not str:
        value = from_text(value, option.type, given.text)
        value = from_text(value, float, given.text) if option.untyped and isinstance(value, str) else value
    if option.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 1023 else math.inf
    if type(value) is not option.type and not (option.untyped and type(value) is float):
        raise ConfigError(f"{shown(given.value)} is not {article(option.type)}")
    if option.type is str and unusable(value):
        raise ConfigError(f"the value {unusable(value)}")
    check_bounds(value, option)
    return value


def check_bounds(value: object, option: Option) -> None:
    """Raises ConfigError where a value of the right type is none of the choices or out of range."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} is not a finite number")
    if option.type is int and abs(value) > LARGEST:
        raise ConfigError(f"{shown(value)} is beyond {LARGEST}, the largest whole number here")
    if option.choices and value not in option.choices:
        choices = [str(choice) for choice in option.choices]
        raise ConfigError(f"{shown(value)} is none of {', '.join(choices)}{suggestion(str(value), choices)}")
    if option.minimum is not None and value < option.minimum:
        raise ConfigError(f"{value} is below {option.minimum}")
    if option.above is not None and value <= option.above:
        raise ConfigError(f"{value} must be above {option.above}")
    if option.maximum is not None and value > option.maximum:
        raise ConfigError(f"{value} is above {option.maximum}")


def from_text(text: str, kind: type, command_line: bool) -> object:
    """A number or truth value from text; the text itself where it is none. (YAML reads 1e-4 as text.)"""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text) if command_line else text
    if kind is int and not command_line:
        return text
    try:
        return kind(text)
    except ValueError:
        return text


def combinations_that_cannot_work(config: Config) -> Iterable[str]:
    """A sentence for each contradiction among options; what needs the lists is checked where they are read."""
    if (config.score_norm == "asnorm") != bool(config.cohort):
        yield "--score_norm asnorm and --cohort belong together: give both or neither"
    if config.eval:
        if not config.initial_model:
            yield "--eval scores a checkpoint: name it with --initial_model"
        if not config.test_list:
            yield "--eval scores lists: name them with --test_list"
        if config.scores_out and not config.trial_list:
            yield "--scores_out needs --trial_list: the pairs of a list are too many to write"
        if len(config.test_list) > 1 and (config.save_embeddings or config.trial_list):
            yield "--save_embeddings and --trial_list go with one test list"
        return
    if not config.train_list:
        yield "nothing to train on: name a --train_list (CSV with path,model_name), or a --config that does"
    for name in ("save_embeddings", "trial_list", "scores_out"):
        if getattr(config, name):
            yield f"--{name} goes with --eval"
    needs = plugins.utterances_needed(plugins.load("loss", config.trainfunc))
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
    return str(folder.parent if folder.name == "model" else folder)


def recorded_values(recorded: dict) -> dict[str, RawValue]:
    """What --eval takes from a checkpoint's own configuration: how it was trained, not where."""
    if not isinstance(recorded, dict) or not all(isinstance(name, str) for name in recorded):
        raise ConfigError("the checkpoint's config is not a table of options")
    kept = {name: value for name, value in recorded.items() if name not in HERE_AND_NOW}
    return {name: RawValue(value, f"the checkpoint's config: {name}") for name, value in kept.items()}


def hint(name: str, known: list[str]) -> str:
    """What the user may have meant: a known name nearby, or the plug-ins that own this very option."""
    owners = []
    for folder in ("models", "loss"):
        for plugin in plugins.names(folder):
            if any(o.name == name for o in plugins.options(plugins.load(folder, plugin), plugin)):
                owners.append(f"{folder}/{plugin}")
    return f" of the chosen model and loss: it belongs to {', '.join(owners)}" if owners else suggestion(name, known)


def article(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text (quote it)"}[kind]


def dump(config: Config) -> str:
    """YAML text of the whole configuration, itself a valid --config."""
    return yaml.safe_dump(config.flat(), sort_keys=False, allow_unicode=True)
