"""Where options are given: a command line and a YAML file, each read into name → what was written and where."""

import argparse
from dataclasses import dataclass

import yaml

from settings.arguments import Parser
from settings.errors import ConfigError
from settings.plain_yaml import plain_value, yaml_tree
from settings.schema import Option
from settings.text import unusable


@dataclass(frozen=True)
class RawValue:
    """A value as it was written; `place` begins a sentence about it.

    `text`: from a command line, untyped. `recorded`: from a checkpoint, perhaps of an earlier version.
    """

    value: object
    place: str
    text: bool = False
    recorded: bool = False


def command_line(schema: list[Option], add_help: bool = True) -> Parser:
    """A parser of the options in their groups. Values stay text, so that all mistakes are reported together."""
    parser = Parser(
        description="Train a source-tracing network, or score a checkpoint with --eval.",
        epilog="Default < YAML < command line. With --model X --trainfunc Y, --help shows the options of these two.",
        argument_default=argparse.SUPPRESS,
        add_help=add_help,
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of any of the options below")
    groups = {}
    for o in schema:
        if o.group not in groups:
            groups[o.group] = parser.add_argument_group(o.group)
        default = "none" if o.default in ("", []) else o.default
        shape = {"metavar": "|".join(map(str, o.choices)) if o.choices else o.type.__name__.upper()}
        if o.type is bool or o.truth:
            shape = {"metavar": "FILE|true|false" if o.truth else "true|false", "nargs": "?", "const": "true"}
        if o.many:
            shape["nargs"] = "+"
        groups[o.group].add_argument(f"--{o.name}", help=f"{o.help} (default: {default})".replace("%", "%%"), **shape)
    return parser


def read_command_line(argv: list[str], schema: list[Option]) -> dict[str, RawValue]:
    """Option name to text; unknown options too, for whoever checks the names. Raises ConfigError on a stray word."""
    namespace, rest = command_line(schema).parse_known_args(argv)
    given = {name: RawValue(value, f"--{name}", text=True) for name, value in vars(namespace).items()}
    belongs = False  # a word after an unknown option is taken for its value
    for word in rest:
        if word.startswith("--"):
            name = word[2:].split("=")[0]
            given[name] = RawValue(None, f"--{name}", text=True)
        elif not belongs:
            raise ConfigError(f"{word!r} belongs to no option (see --help)")
        belongs = True
    return given


def peek(argv: list[str], schema: list[Option], names: tuple[str, ...]) -> dict[str, RawValue]:
    """Just these options of a command line, whatever else stands on it."""
    parser = command_line([o for o in schema if o.name in names], add_help=False)
    namespace, _ = parser.parse_known_args(argv)
    return {name: RawValue(value, f"--{name}", text=True) for name, value in vars(namespace).items()}


def read_yaml(path: str) -> dict[str, RawValue]:
    """Key to value of a flat YAML file. Raises ConfigError on anything else, naming file and line, all at once."""
    root = yaml_tree(path)
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path} line 1: a config is 'option: value', one a line")
    given, mistakes = {}, []
    for key, value in root.value:
        place = f"{path} line {key.start_mark.line + 1}"
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if unusable(name):
            mistakes.append(f"{place}: the name of an option {unusable(name)}")
            continue
        if name == "config":
            mistakes.append(f"{place}: a config cannot name another")
            continue
        if name in given:
            mistakes.append(f"{place}: {name} is given twice (also {given[name].place})")
            continue
        try:
            given[name] = RawValue(plain_value(value), f"{place}: {name}")
        except ValueError as error:
            mistakes.append(f"{place}: {name}: {error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return given
