"""A value as it was written, checked against its option: types are checked, not cast; bounds and choices are kept."""

import math
from dataclasses import replace

from settings.errors import ConfigError
from settings.schema import LARGEST, Option
from settings.sources import RawValue
from settings.text import shown, suggestion, unusable


def checked(given: RawValue, option: Option) -> object:
    """The value in the option's type and bounds. Types are checked, not cast; a command line's text is read first."""
    if option.many:
        items = given.value if isinstance(given.value, list) else [given.value]
        one = replace(option, many=False)
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


def article(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text (quote it)"}[kind]
