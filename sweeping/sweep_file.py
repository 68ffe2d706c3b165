"""A sweep file to plain data: its parts, each with a base config, fixed options, a grid and its exceptions."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from settings.errors import ConfigError
from settings.text import suggestion

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


class Loader(yaml.SafeLoader):
    """YAML without keys given twice, of which the first would be lost."""

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
        """A dict. Raises ConfigError where a key repeats."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ConfigError(f"{self.name} line {key.start_mark.line + 1}: {key.value} is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: str) -> Sweep:
    """The sweep of a file. Raises ConfigError with all that is wrong in its structure; not in its options yet."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            content = yaml.load(file, Loader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    mistakes = shape_mistakes(content, SWEEP, path)
    if not mistakes:
        parts = content.get("parts") or []
        mistakes += [f"{path}: needs parts, each with a grid"] * (not parts)
        mistakes += [f"{path}: needs a save_path, the folder of its runs"] * (not content.get("save_path"))
        for n, part in enumerate(parts, 1):
            mistakes += shape_mistakes(part, PART, f"{path} part {n}") or axis_mistakes(part, f"{path} part {n}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    made = [Part(f"{path} part {n}", **part) for n, part in enumerate(parts, 1)]
    return Sweep(path, **content | {"parts": made})


def shape_mistakes(content: object, schema: dict[str, type], place: str) -> list[str]:
    """Sentences on keys that are unknown or hold another kind of thing than they should."""
    if not isinstance(content, dict):
        return [f"{place}: expected {', '.join(schema)}"]
    kinds = {str: "text", dict: "'option: value' lines", list: "a list"}
    return [
        f"{place}: no such key {key}{suggestion(str(key), list(schema))}" for key in content if key not in schema
    ] + [
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
        mistakes += [f"{place}: grid {axis}: the choice {choice} does not say its {axis}" for choice in lacking]
    if not all(isinstance(rule, dict) for rule in part.get("exclude", [])):
        mistakes.append(f"{place}: exclude is a list of {{option: value or values, ...}}")
    return mistakes
