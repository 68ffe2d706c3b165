"""How messages put values, names and lists of things into words."""

import difflib
import html
import re
import reprlib
from collections.abc import Sequence

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # the last are halves of characters, which no file can hold
LONGEST = 4096  # characters of a path, on Linux
BRIEF = reprlib.Repr()
BRIEF.maxlevel, BRIEF.maxlong = 3, 200
BRIEF.maxlist = BRIEF.maxtuple = BRIEF.maxdict = BRIEF.maxset = BRIEF.maxfrozenset = 8
BRIEF.maxstring = BRIEF.maxother = 400
MOST_LINES = 30  # of a message
MOST_NAMED = 10  # lines below a heading before the rest is only counted


def shown(value: object, most: int = 100) -> str:
    """A value as an error message shows it: in one line, not too long, with nothing that a terminal would obey.

    Of what is nested, only the beginning is looked at: a list of a few bytes can be endless to print.
    """
    try:
        text = " ".join((repr(value) if isinstance(value, str) else BRIEF.repr(value)).split())
    except ValueError:  # an int of more digits than Python prints
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def for_terminal(text: str) -> str:
    """A name as a terminal or a log may have it: what is not printable (escapes, line ends, …) is written out.

    Examples
    --------
    >>> for_terminal("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def harmless(text: str) -> str:
    """Text of several lines as a terminal or a log may have it: `for_terminal` of each line."""
    return "\n".join(map(for_terminal, text.split("\n")))


def brief(message: str) -> str:
    """A message that ends: not too many lines, and none too long."""
    lines = limited(message.split("\n"), MOST_LINES)
    return "\n".join(line if len(line) <= LONGEST else f"{line[:3_000]} ... {line[-1_000:]}" for line in lines)


def for_markdown(text: str) -> str:
    """A name as a Markdown table or list may have it: nothing in it is markup, and no HTML.

    Examples
    --------
    >>> for_markdown("a|b <i>")
    'a\\\\|b &lt;i&gt;'
    """
    return html.escape(re.sub(r"([\\`*\[\]|~])", r"\\\1", for_terminal(text)), quote=False)


def for_html(text: str) -> str:
    """A name as the text or an attribute of an HTML page may have it."""
    return html.escape(for_terminal(text))


def for_picture(text: str) -> str:
    """A name as matplotlib may have it: a dollar in it begins no formula."""
    return for_terminal(text).replace("$", r"\$")


def for_csv(text: str) -> str:
    """A name as a spreadsheet may have it: what it would take for a formula begins with an apostrophe.

    Examples
    --------
    >>> for_csv("=1+1"), for_csv("-bark"), for_csv("vits")
    ("'=1+1", "'-bark", 'vits')
    """
    text = for_terminal(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def unusable(text: str) -> str:
    """What keeps a text from being a name or a path; '' where nothing does."""
    if CONTROL.search(text):
        return "holds a NUL or another control character"
    return f"is {len(text)} characters long" if len(text) > LONGEST else ""


def suggestion(word: str, known: Sequence[str]) -> str:
    """' (did you mean X?)' where something known is near, else nothing. The case of the letters does not matter."""
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""


def bulleted(heading: str, items: Sequence[str], most: int = MOST_NAMED) -> str:
    """A heading and the items below it, a line each, up to a readable number.

    Examples
    --------
    >>> print(bulleted("missing", ["a.wav", "b.wav", "c.wav"], most=2))
    missing:
      a.wav
      b.wav
      ... and 1 more
    """
    return "\n  ".join([f"{heading}:", *limited(items, most)])


def limited(items: Sequence[str], most: int = MOST_NAMED) -> list[str]:
    """The first items, and a last one that counts the rest."""
    return [*items[:most], *([f"... and {len(items) - most:,} more"] if len(items) > most else [])]


def enumerated(items: Sequence[str], most: int = 5) -> str:
    """Items in one line, up to a readable number.

    Examples
    --------
    >>> enumerated(["a.wav", "b.wav", "c.wav"], most=2)
    'a.wav, b.wav and 1 more'
    """
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return f"{', '.join(items[:most])}{more}"
