"""A sweep to its runs: every cell of the grids, as a checked configuration and the trainer's command line for it."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from settings.errors import ConfigError, UserError
from settings.options import Config, run_options
from settings.project import is_path, located
from settings.resolve import build, chosen_plugins, plugin_options, read_config, without_replaced_plugins
from settings.sources import RawValue, read_command_line
from settings.text import bulleted, suggestion
from sweeping.sweep_file import Part, Sweep

NAMING = ("model", "trainfunc", "sampler", "nOut", "seed")  # begin every run's name, varied or not
OURS = ("config", *(o.name for o in run_options() if o.by_sweep))  # what a sweep itself decides
MOST_RUNS = 10_000  # of a grid, before exclusions: more is a slip of the pen


@dataclass(frozen=True, eq=False)
class Run:
    """One cell of the grid. `varied` are the grid's other options, by which cells of a table differ."""

    name: str
    config: Config
    words: list[str]
    varied: dict

    @property
    def folder(self) -> Path:
        """Its experiment folder."""
        return Path(self.config.save_path)


def runs(sweep: Sweep, overrides: list[str]) -> list[Run]:
    """Every run, in the order of the file; `overrides` are words of a command line that stand above everything in it.

    Raises ConfigError with the mistakes of all runs, each once.
    """
    made, mistakes = [], {}
    number = sum(math.prod(len(choices) for choices in part.grid.values()) for part in sweep.parts)
    if number > MOST_RUNS:
        raise ConfigError(f"{sweep.source}: {number:,} cells; a sweep has at most {MOST_RUNS:,}")
    save_path, overrides = sweep_folder(sweep, overrides)
    for part in sweep.parts:
        mistakes |= dict.fromkeys(idle_exclusions(part))
        for cell in cells(part):
            try:
                made.append(run_of(sweep.source, part, cell, overrides, save_path))
            except UserError as mistake:
                mistakes |= dict.fromkeys(str(mistake).split("\n"))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    if not made:
        raise ConfigError(f"{sweep.source}: everything is excluded, nothing is left to run")
    made = without_repeats(made)
    twice = [name for name, n in Counter(run.name for run in made).items() if n > 1]
    if twice:
        raise ConfigError(bulleted(f"{sweep.source}: cells that two parts or choices both make", twice))
    return made


def without_repeats(made: list[Run]) -> list[Run]:
    """The runs, those that an override has made the same once only: --nOut 10 leaves one column of a table."""
    kept = {}
    for run in made:
        kept.setdefault((run.name, repr(run.config)), run)
    return list(kept.values())


def sweep_folder(sweep: Sweep, overrides: list[str]) -> tuple[str, list[str]]:
    """The folder of all runs, and the overrides without the --save_path that names another one."""
    words = [word.split("=", 1) if word.startswith("--save_path=") else [word] for word in overrides]
    overrides = list(itertools.chain.from_iterable(words))
    if "--save_path" not in overrides:
        return sweep.save_path, overrides
    at = overrides.index("--save_path")
    if len(overrides) < at + 2:
        raise ConfigError("--save_path needs a folder")
    return overrides[at + 1], overrides[:at] + overrides[at + 2 :]


def cells(part: Part) -> Iterable[dict]:
    """Option to value for every cell that is not excluded."""
    axes = [
        [choice if isinstance(choice, dict) else {axis: choice} for choice in choices]
        for axis, choices in part.grid.items()
    ]
    for choices in itertools.product(*axes):
        cell = {name: value for choice in choices for name, value in choice.items()}
        if not any(excluded(cell, rule) for rule in part.exclude):
            yield cell


def excluded(cell: dict, rule: dict) -> bool:
    """Whether the cell has, for every option of the rule, one of its values."""
    return all(cell.get(name) in (v if isinstance(v, list) else [v]) for name, v in rule.items())


def idle_exclusions(part: Part) -> Iterable[str]:
    """Sentences on exclusions of what the grid does not vary: they would exclude nothing, silently."""
    choices = [(axis, choice) for axis, choices in part.grid.items() for choice in choices]
    varied = {name for axis, choice in choices for name in (choice if isinstance(choice, dict) else [axis])}
    for name in (name for rule in part.exclude for name in rule if name not in varied):
        hint = suggestion(str(name), sorted(varied))
        yield f"{part.place}: exclude names what the grid does not vary: {name}{hint}"


def run_of(source: str, part: Part, cell: dict, overrides: list[str], save_path: str) -> Run:
    """One cell's run. Raises ConfigError where the trainer would."""
    written = part.fixed | cell
    fixed, cell = located(part.fixed, source), located(cell, source)
    mine = {name: RawValue(value, f"{part.place}: fixed {name}") for name, value in fixed.items()}
    mine |= {name: RawValue(value, f"{part.place}: grid {name}") for name, value in cell.items()}
    taken = [given.place for name, given in mine.items() if name in OURS]
    if taken:
        raise ConfigError("\n".join(f"{place}: the sweep itself decides that" for place in taken))
    from_file = read_config(part.config) if part.config else {}
    head = from_file | mine
    schema = run_options() + plugin_options(**chosen_plugins(head))
    above = read_command_line(overrides, schema)
    if set(above) & {"model", "trainfunc", *OURS}:
        raise ConfigError("--model, --trainfunc and --config are for the sweep file to say")
    given = without_replaced_plugins(from_file, head, schema) | mine | above
    config = build(given, schema)
    values = config.flat()
    # A path is named as it is written: a run has one name, wherever the sweep is started.
    named = {name: written[name] if is_path(name) and name not in above else values[name] for name in cell}
    varied = {name: value for name, value in named.items() if name not in NAMING}
    # What an axis's choice sets besides its own option follows from it, and names nothing.
    varied = {name: value for name, value in varied.items() if name in part.grid}
    name = "-".join([*named_values(values), *(f"{key}={value}" for key, value in varied.items())])
    name = re.sub(r"[^\w.+=-]+", "_", name)
    config.save_path = f"{save_path}/{name}"
    shown = {n: values[n] for n in (*mine, *above)} | {"save_path": config.save_path}
    words = ["--config", part.config] if part.config else []
    return Run(name, config, words + as_words(shown), varied)


def named_values(values: dict) -> list[str]:
    """What every name of a run begins with."""
    return [f"{values[key]}" if isinstance(values[key], str) else f"{key}{values[key]}" for key in NAMING]


def as_words(values: dict) -> list[str]:
    """Options as words of a command line, which the trainer reads back to the same values."""
    words = []
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(str(item).lower() if isinstance(item, bool) else str(item) for item in items)]
    return words
