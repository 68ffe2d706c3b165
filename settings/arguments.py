"""What the commands' argparse parsers share: a user's mistake is a ConfigError, and numbers are read within bounds."""

import argparse
import math
from collections.abc import Callable

from settings.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, raising ConfigError where it would print its usage and exit.

    Its sub-commands' parsers are of this class too.
    """

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **{"allow_abbrev": False} | options)

    def error(self, message: str) -> None:
        raise ConfigError(f"{message} (see --help)")


def whole(minimum: int = 0, maximum: int = 2**32 - 1) -> Callable[[str], int]:
    """A reader of whole numbers, `minimum` to `maximum`, for argparse's `type`.

    Examples
    --------
    >>> whole(1)("12")
    12
    """

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
        if not minimum <= value <= maximum:
            most = "" if maximum == 2**32 - 1 else f" and at most {maximum}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}{most}")
        return value

    return read


def number(
    minimum: float = -math.inf, *, above: float = -math.inf, maximum: float = math.inf
) -> Callable[[str], float]:
    """A reader of finite numbers, at least `minimum`, beyond `above`, at most `maximum`, for argparse's `type`.

    Examples
    --------
    >>> number(above=0)("1e-4")
    0.0001
    """
    bounds = {"of at least": minimum, "above": above, "of at most": maximum}
    words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and minimum <= value <= maximum and value > above):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {words}".rstrip())
        return value

    return read
