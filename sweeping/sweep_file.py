"""A sweep file to plain data: its parts, each with a base config, fixed options, a grid and its exceptions."""

from dataclasses import dataclass, field

from settings.errors import ConfigError
from settings.plain_yaml import read_yaml
from settings.project import found_from
from settings.text import shown, suggestion

PART = {"config": str, "fixed": dict, "grid": dict, "exclude": list}
SWEEP = {"save_path": str, "paper": str, "note": str, "parts": list}


@dataclass(frozen=True)
class Part:
    """One grid. `place` begins a sentence about it.

    Attributes
    ----------
    config : a config file's path, or ''
    fixed : option to value, the same in every run
    grid : axes; option to its choices, a choice being a value or several options at once (a dict)
    exclude : option to the value or values that, together, no run has
    """

    place: str
    config: str = ""
    fixed: dict = field(default_factory=dict)
    grid: dict = field(default_factory=dict)
    exclude: list = field(default_factory=list)


@dataclass(frozen=True)
class Sweep:
    """`save_path`: folder of all runs and tables. `paper`: CSV of published figures, or ''. `note`: for the table."""

    source: str
    save_path: str
    parts: list[Part]
    paper: str = ""
    note: str = ""


def read(path: str) -> Sweep:
    """The sweep of a file. Raises ConfigError with all that is wrong in its structure; not in its options yet."""
    content = read_yaml(path)
    mistakes = shape_mistakes(content, SWEEP, path)
    if not mistakes:
        parts = content.get("parts") or []
        mistakes += [f"{path}: needs parts, each with a grid"] * (not parts)
        mistakes += [f"{path}: needs a save_path, the folder of its runs"] * (not content.get("save_path"))
        for n, part in enumerate(parts, 1):
            mistakes += shape_mistakes(part, PART, f"{path} part {n}") or axis_mistakes(part, f"{path} part {n}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    made = [Part(f"{path} part {n}", **found(part, path)) for n, part in enumerate(parts, 1)]
    return Sweep(path, **found(content, path) | {"parts": made})


def found(content: dict, path: str) -> dict:
    """A sweep or a part with its own paths as the current folder has them; see `settings/project.py`."""
    paths = {key: found_from(path, content[key]) for key in ("config", "save_path", "paper") if content.get(key)}
    return content | paths


def shape_mistakes(content: object, schema: dict[str, type], place: str) -> list[str]:
    """Sentences on keys that are unknown or hold another kind of thing than they should."""
    if not isinstance(content, dict):
        return [f"{place}: expected {', '.join(schema)}"]
    kinds = {str: "text", dict: "'option: value' lines", list: "a list"}
    return [f"{place}: no such key {key}{suggestion(key, list(schema))}" for key in content if key not in schema] + [
        f"{place}: {key} must be {kinds[kind]}"
        for key, kind in schema.items()
        if key in content and not isinstance(content[key], kind)
    ]


def axis_mistakes(part: dict, place: str) -> list[str]:
    """Sentences on axes without choices, choices without their axis's own option, and exclusions that are no pairs."""
    mistakes = []
    for axis, choices in part.get("grid", {}).items():
        if not isinstance(choices, list) or not choices:
            mistakes.append(f"{place}: grid {axis} must be a list of choices, [a, b]")
            continue
        lacking = [choice for choice in choices if isinstance(choice, dict) and axis not in choice]
        mistakes += [f"{place}: grid {axis}: the choice {shown(choice)} does not say its {axis}" for choice in lacking]
    if not all(isinstance(rule, dict) for rule in part.get("exclude", [])):
        mistakes.append(f"{place}: exclude is a list of {{option: value or values, ...}}")
    return mistakes
