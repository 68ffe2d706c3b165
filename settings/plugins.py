"""Models and losses by file name: models/NAME.py holds a MainModel, loss/NAME.py a LossFunction; nothing registers.

The signature of either is the schema of its options: every parameter that is not `nOut` or `nClasses` and has a default
becomes an option of the command line and of YAML, typed by its annotation (or its default), explained by the
"Parameters" section of its docstring.
"""

import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from settings.errors import ConfigError
from settings.text import LONGEST, shown, suggestion

ROOT = Path(__file__).parent.parent
ENTRY = {"models": "MainModel", "loss": "LossFunction"}
GIVEN = ("self", "nOut", "nClasses")  # what SpeakerNet passes to every plug-in


@dataclass(frozen=True)
class Option:
    """One option: `type` is bool, int, float or str; `many` takes a list of them; `choices` the values allowed.

    `untyped`: a whole number is only what the default happens to be, without an annotation; any number will do.
    `truth`: text for which true and false stand too, with or without quotes.
    """

    name: str
    type: type
    default: object
    help: str = ""
    group: str = "run"
    choices: tuple | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    many: bool = False
    untyped: bool = False
    truth: bool = False


def names(folder: str) -> list[str]:
    """The selectable plug-ins of `models` or `loss`: files without a leading underscore that define the entry.

    (A file of shared blocks, as voxceleb_trainer has them, does not.) Folders of that name on PYTHONPATH count too.
    """
    entry = re.compile(rf"^(class|def) {ENTRY[folder]}\b|^{ENTRY[folder]} *=", re.MULTILINE)
    files = [file for path in importlib.import_module(folder).__path__ for file in Path(path).glob("[!_]*.py")]
    return sorted({file.stem for file in files if entry.search(file.read_text(encoding="utf-8"))})


def load(folder: str, name: str) -> Callable:
    """The `MainModel` of models/NAME.py or `LossFunction` of loss/NAME.py. Raises ConfigError on an unknown name."""
    known = names(folder)
    if name not in known:
        option = {"models": "model", "loss": "trainfunc"}[folder]
        near = suggestion(name[:LONGEST], known)
        raise ConfigError(f"no {folder}/NAME.py for --{option} {shown(name)}{near}; there is {', '.join(known)}")
    return getattr(importlib.import_module(f"{folder}.{name}"), ENTRY[folder])


def utterances_needed(loss: Callable) -> int:
    """How many utterances of a system a loss must see at once: its `min_utterances`, else 1. A loss of voxceleb_trainer
    says it by its signature: the metric losses, which need 2, do not ask for nClasses.
    """
    asks_for_classes = "nClasses" in inspect.signature(loss).parameters
    return getattr(loss, "min_utterances", 1 if asks_for_classes else 2)


def takes_any_keyword(entry: Callable) -> bool:
    """True where the signature ends in **kwargs, as voxceleb_trainer's plug-ins do: they expect every option."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(entry).parameters.values())


def parameters(entry: Callable) -> list[str]:
    """The names that a plug-in's signature asks for."""
    return list(inspect.signature(entry).parameters)


def build(entry: Callable, given: dict, options: dict, everything: dict) -> object:
    """Call a plug-in with what its signature asks for; one that takes **kwargs gets all there is.

    Raises ConfigError with the plug-in's own words where it cannot be built.
    """
    if takes_any_keyword(entry):
        arguments = everything | given | options
    else:
        asked = parameters(entry)
        arguments = {name: value for name, value in given.items() if name in asked} | options
    try:
        return entry(**arguments)
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        what = f"{entry.__module__} cannot be built with {shown(given | options, 400)}"
        raise ConfigError(f"{what}: {' '.join(str(error).split())}") from error


def options(entry: Callable, group: str) -> list[Option]:
    """The options that a plug-in's signature declares, in its order."""
    init = entry.__init__ if inspect.isclass(entry) else entry
    hints = typing.get_type_hints(init)
    documented = [*reversed(entry.__mro__), init] if inspect.isclass(entry) else [entry]
    help_texts = {name: text for source in documented for name, text in parameter_help(source).items()}
    found = []
    for p in inspect.signature(init).parameters.values():
        if p.name in GIVEN or p.default is p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        kind, choices = plain_type(hints.get(p.name, type(p.default)), p.name, group)
        help_text, untyped = help_texts.get(p.name, ""), p.name not in hints and kind is int
        found.append(Option(p.name, kind, p.default, help_text, group, choices, untyped=untyped))
    return found


def plain_type(hint: object, name: str, owner: str) -> tuple[type, tuple | None]:
    """The scalar type of an annotation and, for Literal, its choices."""
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return type(choices[0]), choices
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(t for t in typing.get_args(hint) if t is not type(None))
    if hint not in (bool, int, float, str):
        raise ConfigError(f"{owner}: option {name} has no plain type; annotate it bool, int, float, str or Literal")
    return hint, None


def parameter_help(documented: object) -> dict[str, str]:
    """Parameter name to its description, from the numpydoc "Parameters" section of a docstring."""
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w[^\n]*\n-{3,}|\Z)", inspect.getdoc(documented) or "", re.DOTALL)
    if not section:
        return {}
    entries = re.findall(r"^(\w[\w, ]*?) *:[^\n]*\n((?:[ \t]+[^\n]*\n?)+)", section[1] + "\n", re.MULTILINE)
    return {name.strip(): " ".join(text.split()) for group, text in entries for name in group.split(",")}
