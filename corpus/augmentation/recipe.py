"""A recipe: a YAML file that names copies (new classes) and a chain of changes, each with its probability.

copies: [griffinlim, world]      # every train utterance once more through each, labelled system@copy
chain:
  - {kind: lowpass, probability: 0.3, cutoff: [2000, 7000]}
  - one_of:                      # at most one of them; what is left of 1 is the probability of none
      - {kind: noise, probability: 0.2}
      - {kind: room, probability: 0.2, rt60: [0.2, 0.6]}
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from corpus.augmentation.kinds import as_number, checked, known_kind, parameters
from corpus.copies import check_copy
from settings.errors import ConfigError, UserError
from settings.files import read_text
from settings.plain_yaml import LARGEST, Loader, plain_value
from settings.text import for_terminal, shown, suggestion

CLASSIC = Path(__file__).parent.parent.parent / "configs/augmentation/classic.yaml"  # what --augment true means
COPY_CLASSES = ("system", "copy")


@dataclass(frozen=True)
class Step:
    """One kind of change: its function, how probable it is, its parameters, and where the recipe says so."""

    kind: str
    function: Callable
    probability: float
    parameters: dict
    place: str


@dataclass(frozen=True)
class Recipe:
    """What a recipe asks for: `chain` is a tuple of places, each a tuple of alternatives; `text` is the file's.

    `copy_classes`: whether a copy's class is that of its system (system@copy) or one for all systems (@copy).
    `copies_an_epoch`: how many of its copies an utterance brings into an epoch, on the mean; None for all.
    """

    source: str
    copies: tuple[str, ...]
    copy_classes: str
    chain: tuple[tuple[Step, ...], ...]
    text: str
    copies_an_epoch: float | None = None

    def __str__(self) -> str:
        """In a line: what it adds and changes."""
        changes = ["|".join(step.kind for step in steps) for steps in self.chain]
        drawn = f" ({self.copies_an_epoch:g} of each utterance in an epoch)" if self.copies_an_epoch else ""
        parts = [f"copies {', '.join(self.copies)}{drawn}"] if self.copies else []
        parts += [f"crops through {', '.join(changes)}"] if changes else []
        return f"{self.source}: {'; '.join(parts)}"

    def described(self) -> dict:
        """The recipe in plain values, for checkpoints and results; without its place on the disk."""
        chain = [
            [{"kind": s.kind, "probability": s.probability, **s.parameters} for s in steps] for steps in self.chain
        ]
        described = {"copies": list(self.copies), "copy_classes": self.copy_classes, "chain": chain}
        return described | ({"copies_an_epoch": self.copies_an_epoch} if self.copies_an_epoch else {})


def find_recipe(augment: str) -> Recipe | None:
    """The recipe of --augment: a YAML file, `true` for voxceleb_trainer's, `false` or nothing for none."""
    if augment.lower() in ("", "false"):
        return None
    if augment.lower() == "true":
        return read_recipe(CLASSIC)
    if not Path(augment).exists():
        raise ConfigError(f"--augment {augment}: no such file (a YAML file, true or false)")
    return read_recipe(augment)


def read_recipe(path: str | Path) -> Recipe:
    """The recipe of a YAML file. Raises ConfigError with every mistake at once, with file and line."""
    text = read_text(path, LARGEST)
    root = yaml_root(path, text)
    reader = Reader(str(path))
    entries = reader.mapping(root, ("copies", "copy_classes", "copies_an_epoch", "chain"))
    copies = reader.copies(entries.get("copies"))
    classes = reader.value(entries["copy_classes"], "copy_classes") if "copy_classes" in entries else "system"
    if classes is not None and classes not in COPY_CLASSES:
        reader.mistake(entries["copy_classes"], f"copy_classes: {shown(classes)} is none of {', '.join(COPY_CLASSES)}")
    an_epoch = reader.copies_an_epoch(entries.get("copies_an_epoch"), len(copies))
    chain = reader.chain(entries.get("chain"))
    if not reader.mistakes and not copies and not chain:
        reader.mistake(root, "neither copies nor a chain: nothing would be changed")
    if reader.mistakes:
        raise ConfigError("\n".join(f"{path} line {line}: {text}" for line, text in sorted(reader.mistakes)))
    return Recipe(str(path), copies, classes, chain, text, an_epoch)


def yaml_root(path: str | Path, text: str) -> yaml.MappingNode:
    """The document of a YAML text, parsed and not yet built. Raises ConfigError where it is no mapping."""
    try:
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {for_terminal(' '.join(str(error).split()))}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path} line 1: a recipe has a list `chain`, or `copies`, or both")
    return root


class Reader:
    """Takes a recipe's nodes apart and collects what is wrong with them."""

    def __init__(self, source: str):
        self.source = source
        self.mistakes: list[tuple[int, str]] = []  # line and what is wrong there

    def place(self, node: yaml.Node) -> str:
        return f"{self.source} line {node.start_mark.line + 1}"

    def mistake(self, node: yaml.Node, text: str) -> None:
        self.mistakes.append((node.start_mark.line + 1, text))

    def mapping(self, node: yaml.MappingNode, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """Key to node; keys that are unknown, twice there or no text are mistakes."""
        found = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in found:
                self.mistake(key, f"{shown(name)} is given twice")
            elif name not in known:
                self.mistake(key, f"no {shown(name)} here{suggestion(name, known)}; there is {', '.join(known)}")
            else:
                found[name] = value
        return found

    def value(self, node: yaml.Node, name: str) -> object:
        """A plain value or a list of them; None, and a mistake, where it is nothing or anything else."""
        try:
            value = plain_value(node)
        except ValueError as error:
            self.mistake(node, f"{name}: {error}")
            return None
        if value is None:
            self.mistake(node, f"{name}: nothing is given")
        return value

    def copies(self, node: yaml.Node | None) -> tuple[str, ...]:
        """The names of the copies, each known and none twice."""
        if node is None:
            return ()
        names = self.value(node, "copies")
        names = names if isinstance(names, list) else [names]
        for name in names:
            try:
                check_copy(name)
            except UserError as error:
                self.mistake(node, f"copies: {error}")
        if len({str(name) for name in names}) < len(names):
            self.mistake(node, "copies: one is given twice")
        return tuple(str(name) for name in names)

    def copies_an_epoch(self, node: yaml.Node | None, copies: int) -> float | None:
        """A number above 0 and at most the copies that there are."""
        if node is None:
            return None
        number = as_number(self.value(node, "copies_an_epoch"))
        if type(number) not in (int, float) or not 0 < number <= copies:
            self.mistake(node, f"copies_an_epoch: a number above 0 and at most that of the copies, {copies}")
            return None
        return float(number)

    def chain(self, node: yaml.Node | None) -> tuple[tuple[Step, ...], ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.mistake(node, "chain: a list of changes, each in a line that begins with a dash")
            return ()
        return tuple(self.link(item) for item in node.value)

    def link(self, node: yaml.Node) -> tuple[Step, ...]:
        """One change, or the alternatives of a `one_of`."""
        if not isinstance(node, yaml.MappingNode):
            self.mistake(node, "a change is {kind: …, probability: …}, or one_of: [a list of such]")
            return ()
        if "one_of" not in [key.value for key, _ in node.value]:
            step = self.step(node)
            return (step,) if step else ()
        items = self.mapping(node, ("one_of",))["one_of"]
        if not isinstance(items, yaml.SequenceNode) or not all(isinstance(i, yaml.MappingNode) for i in items.value):
            self.mistake(items, "one_of: a list of {kind: …, probability: …}")
            return ()
        steps = tuple(step for step in map(self.step, items.value) if step)
        if sum(step.probability for step in steps) > 1 + 1e-9:
            self.mistake(items, f"one_of: its probabilities sum to {sum(s.probability for s in steps):g}, more than 1")
        return steps

    def step(self, node: yaml.MappingNode) -> Step | None:
        """A kind with its probability and parameters; None, and a mistake, where that makes no sense."""
        before = len(self.mistakes)
        kinds = [value for key, value in node.value if key.value == "kind"]
        kind = self.value(kinds[0], "kind") if kinds else None
        try:
            function = known_kind(kind) if isinstance(kind, str) else None
        except UserError as error:
            self.mistake(kinds[0], str(error))
            return None
        if function is None:
            self.mistake(node, f"a change needs a kind, and it is {shown(kind)}" if kinds else "a change needs a kind")
            return None
        options = parameters(kind)
        entries = self.mapping(node, ("kind", "probability", *options))
        values = {}
        for name, entry in entries.items():
            value = None if name == "kind" else self.value(entry, f"{kind}: {name}")
            if name == "probability":
                values[name] = value
            elif value is not None:
                try:
                    values[name] = checked(value, options[name])
                except UserError as error:
                    self.mistake(entry, f"{kind}: {name}: {error}")
        probability = as_number(values.pop("probability", None))
        if "probability" not in entries:
            self.mistake(node, f"{kind}: how probable is it? (probability: 0.2)")
        elif type(probability) not in (int, float) or not 0 < probability <= 1:
            self.mistake(entries["probability"], f"{kind}: a probability is above 0 and at most 1")
        if len(self.mistakes) > before:
            return None
        defaults = {name: option.default for name, option in options.items() if name != "path"}
        return Step(kind, function, float(probability), defaults | values, self.place(node))
