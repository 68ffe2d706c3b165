"""Every option once (name, type, default, bounds, help), and how a run's configuration is found: default < YAML < command line.

Run-wide options are the fields of `Config`. The chosen model and loss add the keyword parameters of their own signatures.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import yaml

import plugins
from plugins import ConfigError, Option, suggestion


def option(default: object, group: str, help: str, **bounds: object) -> object:
    """A field of `Config` with what the command line and YAML need to know of it (see `plugins.Option`)."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"group": group, "help": help, **bounds})
    return field(default=default, metadata={"group": group, "help": help, **bounds})


@dataclass
class Config:
    """A run's configuration. `model_options` and `loss_options` hold the chosen plug-ins' own keyword parameters."""

    eval: bool = option(False, "run", "score --initial_model on --test_list and train nothing")
    save_path: str = option("exps/exp1", "run", "the experiment's folder: configuration, checkpoints, logs, results")
    seed: int = option(10, "run", "seed of weights, batches and crops", minimum=0)
    device: str = option("auto", "run", "where to compute", choices=("auto", "cpu", "cuda", "mps"))
    mixedprec: bool = option(
        False, "run", "mixed precision: bfloat16 where the device has it, else float16 with scaling"
    )

    train_list: str = option("", "data", "train list: CSV with path,model_name, or lines of 'label path'")
    dev_list: str = option("", "data", "development list, scored every test_interval epochs; chooses best.model")
    test_list: list[str] = option([], "data", "test lists, scored once when training ends or with --eval", many=True)
    train_path: str = option("data", "data", "folder that the paths of the train list start from")
    dev_path: str = option("", "data", "the same for the dev list (empty: train_path)")
    test_path: str = option("", "data", "the same for the test lists (empty: train_path)")
    nClasses: int = option(
        0, "data", "number of train systems (0: as the train list has; else it must agree)", minimum=0
    )
    nDataLoaderThread: int = option(2, "data", "threads that read audio", minimum=1, maximum=1024)
    audio_memory: float = option(
        2.0, "data", "GB of decoded audio to keep in memory, so that it is read once", minimum=0
    )

    sampler: str = option(
        "random", "batches", "utterances at random, or systems evenly", choices=("random", "balanced")
    )
    batch_size: int = option(
        128, "batches", "utterances of a batch (random) or systems of a batch (balanced)", minimum=1
    )
    nPerSpeaker: int = option(1, "batches", "utterances of each system in a batch (balanced)", minimum=1)
    max_frames: int = option(200, "batches", "training crop: n*160 + 240 samples", minimum=10, maximum=360_000)

    model: str = option("ThinResNet34", "network", "the encoder, a file of models/")
    nOut: int = option(512, "network", "dimension of the embedding", minimum=1)
    trainfunc: str = option("aamsoftmax", "network", "the loss, a file of loss/")
    initial_model: str = option("", "network", "checkpoint whose weights to start from, or to score with --eval")

    max_epoch: int = option(300, "optimisation", "epochs", minimum=1)
    optimizer: str = option("adam", "optimisation", "optimiser", choices=("adam", "adamw", "sgd"))
    scheduler: str = option(
        "warmup_cosine", "optimisation", "learning-rate schedule", choices=("warmup_cosine", "steplr")
    )
    lr: float = option(1e-4, "optimisation", "learning rate (the peak, with warmup_cosine)", above=0)
    warmup_epochs: float = option(10.0, "optimisation", "epochs of linear warm-up (warmup_cosine)", minimum=0)
    lr_decay: float = option(
        0.95, "optimisation", "factor on lr every test_interval epochs (steplr)", above=0, maximum=1
    )
    weight_decay: float = option(0.0, "optimisation", "weight decay", minimum=0)
    grad_clip: float = option(0.0, "optimisation", "largest norm of the gradient (0: not clipped)", minimum=0)

    test_interval: int = option(
        25, "evaluation", "epochs between evaluations; each keeps a numbered checkpoint", minimum=1
    )
    eval_frames: int = option(
        0, "evaluation", "0: the whole utterance; n: num_eval crops of n frames, averaged", minimum=0
    )
    num_eval: int = option(10, "evaluation", "evenly spaced crops of an utterance, with eval_frames", minimum=1)
    dcf_p_target: float = option(0.05, "evaluation", "minDCF: prior of a target trial", above=0, maximum=0.999999)
    dcf_c_miss: float = option(1.0, "evaluation", "minDCF: cost of a miss", above=0)
    dcf_c_fa: float = option(1.0, "evaluation", "minDCF: cost of a false acceptance", above=0)
    save_embeddings: str = option("", "evaluation", "with --eval: write embeddings, labels, paths to this .npz file")

    model_options: dict = field(default_factory=dict)
    loss_options: dict = field(default_factory=dict)

    def flat(self) -> dict:
        """Option name to value, plug-ins' options included: what config.yaml holds."""
        values = asdict(self)
        return values | values.pop("model_options") | values.pop("loss_options")


@dataclass(frozen=True)
class Given:
    """A value as the user wrote it, and where: `place` begins a sentence about it. `text`: from a command line, untyped."""

    value: object
    place: str
    text: bool = False


def resolve(argv: list[str] | None = None, recorded: Callable[[str], dict] | None = None) -> Config:
    """The configuration of a command line. Raises ConfigError that tells every mistake at once, a line each.

    `recorded(path)` gives the configuration that a checkpoint carries ({} where it carries none). With --eval it stands
    between the defaults and the YAML file, so that a checkpoint is scored the way it was trained.
    """
    argv = sys.argv[1:] if argv is None else argv
    first = {name: given for name, given in read_command_line(argv, [], known_only=True).items() if name != "help"}
    from_yaml = read_yaml(first["config"].value) if "config" in first else {}
    head = from_yaml | first
    from_checkpoint = {}
    if recorded and head.get("eval", Given(False, "")).value in (True, "true") and "initial_model" in head:
        from_checkpoint = recorded_values(recorded(str(head["initial_model"].value)))
    chosen = {
        name: (from_checkpoint | head)[name].value for name in ("model", "trainfunc") if name in from_checkpoint | head
    }
    schema = run_options() + plugin_options(**chosen)
    given = from_checkpoint | from_yaml | read_command_line(argv, schema)
    return build(given, schema)


def from_values(values: dict, place: str = "") -> Config:
    """The configuration of a plain dict, checked as a YAML file is."""
    given = {name: Given(value, f"{place}{name}") for name, value in values.items()}
    chosen = {name: values[name] for name in ("model", "trainfunc") if name in values}
    return build(given, run_options() + plugin_options(**chosen))


def run_options() -> list[Option]:
    """The fields of `Config` as options."""
    kinds = {list[str]: str}
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


def build(given: dict[str, Given], schema: list[Option]) -> Config:
    """Defaults overlaid with what was given. Raises ConfigError with every unknown name, wrong value and impossible pair."""
    known = {o.name: o for o in schema}
    mistakes, values = [], {o.name: o.default for o in schema}
    for name, entry in given.items():
        if name in ("config", "help"):
            continue
        try:
            if name not in known:
                raise ConfigError(f"no such option{hint(name, list(known))}")
            values[name] = checked(entry, known[name])
        except ConfigError as mistake:
            mistakes.append(f"{entry.place}: {mistake}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    run = {f.name for f in fields(Config)}
    config = Config(**{name: value for name, value in values.items() if name in run})
    config.model_options = {o.name: values[o.name] for o in schema if o.group.startswith("model ")}
    config.loss_options = {o.name: values[o.name] for o in schema if o.group.startswith("loss ")}
    impossible = list(combinations_that_cannot_work(config))
    if impossible:
        raise ConfigError("\n".join(impossible))
    return config


def checked(given: Given, option: Option) -> object:
    """The value in the option's type and bounds. Types are checked, not cast; a command line's text is read as YAML would."""
    if option.many:
        items = given.value if isinstance(given.value, list) else [given.value]
        one = Option(**{**vars(option), "many": False})
        return [checked(Given(item, given.place, given.text), one) for item in items]
    value = given.value
    if isinstance(value, str) and option.type is not str:
        value = from_text(value, option.type, given.text)
    if option.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not option.type:
        raise ConfigError(f"{given.value!r} is not {article(option.type)}")
    if option.type is float and not math.isfinite(value):
        raise ConfigError(f"{value} is not a finite number")
    if option.choices and value not in option.choices:
        raise ConfigError(
            f"{value!r} is none of {', '.join(map(str, option.choices))}{suggestion(str(value), [str(c) for c in option.choices])}"
        )
    if option.minimum is not None and value < option.minimum:
        raise ConfigError(f"{value} is below {option.minimum}")
    if option.above is not None and value <= option.above:
        raise ConfigError(f"{value} must be above {option.above}")
    if option.maximum is not None and value > option.maximum:
        raise ConfigError(f"{value} is above {option.maximum}")
    return value


def from_text(text: str, kind: type, command_line: bool) -> object:
    """A number or truth value from text; the text itself where it is none. YAML reads 1e-4 as text, so floats always may."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text) if command_line else text
    if kind is int and not command_line:
        return text
    try:
        return kind(text)
    except ValueError:
        return text


def combinations_that_cannot_work(config: Config) -> Iterable[str]:
    """A sentence for each pair of options that contradict each other; what needs the lists is checked where they are read."""
    if config.eval:
        if not config.initial_model:
            yield "--eval scores a checkpoint: name it with --initial_model"
        if not config.test_list:
            yield "--eval scores lists: name them with --test_list"
        return
    if not config.train_list:
        yield "nothing to train on: name a train list with --train_list (CSV with path,model_name), or a --config that does"
    if config.save_embeddings:
        yield "--save_embeddings goes with --eval"
    needs = plugins.utterances_needed(plugins.load("loss", config.trainfunc))
    if needs > 1 and config.sampler != "balanced":
        yield f"--trainfunc {config.trainfunc} compares utterances of one system, which --sampler {config.sampler} does not group: use --sampler balanced"
    elif config.nPerSpeaker < needs:
        yield f"--trainfunc {config.trainfunc} needs --nPerSpeaker {needs} or more, and it is {config.nPerSpeaker}"
    if config.scheduler == "warmup_cosine" and config.warmup_epochs >= config.max_epoch:
        yield f"--warmup_epochs {config.warmup_epochs:g} leaves nothing of --max_epoch {config.max_epoch} for the cosine"


def read_command_line(argv: list[str], schema: list[Option], known_only: bool = False) -> dict[str, Given]:
    """Option name to text. Unknown options are returned too, for `build` to name; `known_only` leaves them for later."""
    parser = command_line(schema or run_options())
    if known_only:
        parser = command_line(
            [o for o in run_options() if o.name in ("eval", "model", "trainfunc", "initial_model")], help=False
        )
    namespace, rest = parser.parse_known_args(argv)
    given = {name: Given(value, f"--{name}", text=True) for name, value in vars(namespace).items()}
    if known_only:
        return given
    previous_unknown = False
    for word in rest:
        if word.startswith("--"):
            name = word[2:].split("=")[0]
            given[name] = Given(None, f"--{name}", text=True)
        elif not previous_unknown:
            raise ConfigError(f"{word!r} belongs to no option (see --help)")
        previous_unknown = True
    return given


class Parser(argparse.ArgumentParser):
    """argparse that raises ConfigError where it would print its usage and exit."""

    def error(self, message: str) -> None:
        raise ConfigError(f"{message} (see --help)")


def command_line(schema: list[Option], help: bool = True) -> Parser:
    """A parser of the options in their groups. Values stay text: `checked` types them all, and tells all mistakes at once."""
    parser = Parser(
        description="Train a source-tracing network, or score a checkpoint with --eval.",
        epilog="Default < YAML (--config) < command line. Add --model X --trainfunc Y to --help to see their own options.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        add_help=help,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of any options below")
    groups = {}
    for o in schema:
        group = (
            groups.setdefault(o.group, None)
            or groups.update({o.group: parser.add_argument_group(o.group)})
            or groups[o.group]
        )
        shape = (
            {"nargs": "?", "const": "true", "metavar": "true|false"}
            if o.type is bool
            else {"metavar": o.type.__name__.upper()}
        )
        if o.many:
            shape["nargs"] = "+"
        if o.choices:
            shape["metavar"] = "|".join(map(str, o.choices))
        default = "none" if o.default in ("", []) else o.default
        group.add_argument(f"--{o.name}", **shape, help=f"{o.help} (default: {default})".replace("%", "%%"))
    return parser


def read_yaml(path: str) -> dict[str, Given]:
    """Key to value and line of a flat YAML file. Raises ConfigError on anything else, naming file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply; a config is flat: one 'option: value' a line") from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path} line 1: a config is one 'option: value' a line")
    given, mistakes = {}, []
    for key, value in root.value:
        place = f"{path} line {key.start_mark.line + 1}"
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None:
            mistakes.append(f"{place}: an option's name is plain text")
        elif name in given:
            mistakes.append(f"{place}: {name} is given twice (also {given[name].place})")
        else:
            try:
                given[name] = Given(plain_value(value), f"{place}: {name}")
            except (ConfigError, ValueError) as error:
                mistakes.append(f"{place}: {name}: {error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return given


def plain_value(node: yaml.Node) -> object:
    """A scalar or a list of scalars. Nothing deeper is built, so aliases cannot grow."""
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [plain_value(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError("expected a plain value or a list of them")
    return yaml.SafeLoader("").construct_object(node)


NOT_FROM_CHECKPOINT = {
    "eval",
    "save_path",
    "initial_model",
    "device",
    "save_embeddings",
    "nDataLoaderThread",
    "audio_memory",
}


def recorded_values(recorded: dict) -> dict[str, Given]:
    """What --eval takes from a checkpoint's own configuration: how it was trained, not where and with what machine."""
    place = "the checkpoint's config"
    return {
        name: Given(value, f"{place}: {name}") for name, value in recorded.items() if name not in NOT_FROM_CHECKPOINT
    }


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
