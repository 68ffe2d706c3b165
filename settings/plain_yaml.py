"""YAML of plain values, read without trust: bounded in size, depth and number; no tags, no key twice."""

import math
import re
from pathlib import Path
from typing import NoReturn

import yaml

from settings.errors import ConfigError, UserError
from settings.files import read_text
from settings.text import for_terminal, shown, unusable

LARGEST = 1 << 18  # bytes; PyYAML reads some 100 kB a second
DEEPEST = 10  # levels of nesting; a sweep has 5
MOST_VALUES = 50_000  # of a file, what an alias repeats counted each time
PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}
MERGE = "tag:yaml.org,2002:merge"  # the key <<, whose mappings stand below those around it
NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


class Loader(yaml.SafeLoader):
    """PyYAML's, which by itself recurses as deep as a file is nested."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        """One node. Raises YAMLError beyond DEEPEST."""
        if self.depth == DEEPEST:
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1}: nested too deeply")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: str | Path, error: type[UserError] = ConfigError) -> object:
    """The plain value of a YAML file: dict, list, text, number, True, False or None (also for an empty file).

    Raises
    ------
    ConfigError
        (or another `error`) The file is missing, not a file, too large, no YAML, or holds what is not plain; with the
        line.
    """
    root = yaml_tree(path, error)
    left = MOST_VALUES

    def value_of(node: yaml.Node, depth: int = 0) -> object:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:  # an alias may stand for what it is part of
            refuse(node, f"more than {MOST_VALUES:,} values, aliases written out")
        if isinstance(node, yaml.SequenceNode) and node.tag in PLAIN:
            return [value_of(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag in PLAIN:
            content, merged = {}, {}
            for key, item in node.value:
                if key.tag == MERGE:
                    sources = value_of(item, depth + 1)
                    for source in sources if isinstance(sources, list) else [sources]:
                        merged = (source if isinstance(source, dict) else refuse(item, "<< takes mappings")) | merged
                    continue
                if not isinstance(key, yaml.ScalarNode) or unusable(key.value):
                    refuse(key, "a key must be text")
                if key.value in content:
                    refuse(key, f"{shown(key.value)} is given twice")
                content[key.value] = value_of(item, depth + 1)
            return merged | content
        try:
            return plain_value(node)
        except ConfigError as mistake:
            refuse(node, str(mistake))

    def refuse(node: yaml.Node, why: str) -> NoReturn:
        raise error(f"{path} line {node.start_mark.line + 1}: {why}")

    return None if root is None else value_of(root)


def yaml_tree(path: str | Path, error: type[UserError] = ConfigError) -> yaml.Node | None:
    """The parsed but not yet built document of a YAML file; None where it is empty. Raises as `read_yaml`."""
    try:
        return yaml.compose(read_text(path, LARGEST, error), Loader=Loader)
    except yaml.YAMLError as mistake:
        raise error(f"{path}: {for_terminal(' '.join(str(mistake).split()))}") from None


def plain_value(node: yaml.Node) -> object:
    """A scalar or a list of scalars. Nothing deeper is ever built, so that aliases cannot grow.

    Raises ConfigError on anything else. Of numbers, only decimal forms are taken: YAML 1.1 reads 010 as 8, 1:30 as 90.
    """
    if node.tag not in PLAIN:
        raise ConfigError(f"the tag {shown(node.tag)} has no place in a config: expected a plain value or a list")
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [plain_value(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError("expected a plain value or a list of them")
    if unusable(node.value):
        raise ConfigError(f"the value {unusable(node.value)}")
    if node.tag in NUMBERS and (":" in node.value or re.match("[-+]?0[0-9a-zA-Z_]", node.value)):
        raise ConfigError(f"{node.value} is no decimal number")
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (LookupError, AttributeError, ValueError):  # what PyYAML raises where a tag does not go with its value
        raise ConfigError(f"{shown(node.value)} is not what its tag says") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{node.value} is no finite number")
    return value
