"""The options that a plug-in's signature declares, read from the imported class or function.

Every parameter that is not `nOut` or `nClasses` and has a default is an option, typed by its annotation (or its
default), explained by the "Parameters" section of a docstring. See `static` for the same without importing the file.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass

from settings.errors import ConfigError
from settings.schema import Option

GIVEN = ("self", "nOut", "nClasses")  # what SpeakerNet passes to every plug-in
PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class Declared:
    """What a plug-in says of itself.

    Attributes
    ----------
    options : list of Option
    any_keyword : bool
        Its signature ends in **kwargs, as voxceleb_trainer's do: they expect every option.
    utterances : int
        How many utterances of a system it must see at once.
    """

    options: list[Option]
    any_keyword: bool
    utterances: int


def imported(entry: Callable, owner: str, group: str) -> Declared:
    """What an imported plug-in declares. Raises ConfigError on an option of no plain type."""
    return Declared(options(entry, owner, group), takes_any_keyword(entry), utterances_needed(entry))


def options(entry: Callable, owner: str, group: str) -> list[Option]:
    """The options of a signature, in its order."""
    init = entry.__init__ if inspect.isclass(entry) else entry
    try:
        hints = typing.get_type_hints(init)
    except Exception as error:  # an annotation is any expression: it fails as it pleases
        raise ConfigError(f"{group}: its annotations cannot be read ({error})") from None
    documented = [*reversed(entry.__mro__), init] if inspect.isclass(entry) else [entry]
    help_texts = {k: v for source in documented for k, v in parameter_help(inspect.getdoc(source)).items()}
    found = []
    for p in inspect.signature(init).parameters.values():
        if p.name in GIVEN or p.default is p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            continue
        kind, choices = plain_type(hints.get(p.name, type(p.default)), p.name, group)
        found.append(declared(p.name, kind, p.default, help_texts, p.name in hints, choices, owner, group))
    return found


def declared(
    name: str, kind: type, default: object, help_texts: dict, annotated: bool, choices, owner: str, group: str
) -> Option:
    """The option of one parameter."""
    untyped = kind is int and not annotated
    return Option(name, kind, default, help_texts.get(name, ""), group, choices, untyped=untyped, owner=owner)


def plain_type(hint: object, name: str, group: str) -> tuple[type, tuple | None]:
    """The scalar type of an annotation and, for Literal, its choices."""
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return type(choices[0]), choices
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(t for t in typing.get_args(hint) if t is not type(None))
    if hint not in PLAIN:
        raise ConfigError(f"{group}: option {name} has no plain type; annotate it bool, int, float, str or Literal")
    return hint, None


def parameter_help(docstring: str | None) -> dict[str, str]:
    """Parameter name to its description, from the numpydoc "Parameters" section of a docstring without indentation."""
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w[^\n]*\n-{3,}|\Z)", docstring or "", re.DOTALL)
    if not section:
        return {}
    entries = re.findall(r"^(\w[\w, ]*?) *:[^\n]*\n((?:[ \t]+[^\n]*\n?)+)", section[1] + "\n", re.MULTILINE)
    return {name.strip(): " ".join(text.split()) for group, text in entries for name in group.split(",")}


def utterances_needed(loss: Callable) -> int:
    """How many utterances of a system a loss must see at once: its `min_utterances`, else 1. A loss of voxceleb_trainer
    says it by its signature: the metric losses, which need 2, do not ask for nClasses.
    """
    asks_for_classes = "nClasses" in inspect.signature(loss).parameters
    return getattr(loss, "min_utterances", 1 if asks_for_classes else 2)


def takes_any_keyword(entry: Callable) -> bool:
    """True where the signature ends in **kwargs."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(entry).parameters.values())


def parameters(entry: Callable) -> list[str]:
    """The names that a signature asks for."""
    return list(inspect.signature(entry).parameters)
