"""Whatever stands in a list file: a table comes out whose every path is usable, or an error that names the file."""

import random
import re

import pytest

from corpus.lists import read_list
from settings.errors import DataError

HEADER = "path,model_name\n"
TAKEN = {
    "byte order mark": ("\ufeff" + HEADER + "a.wav,x", "a.wav", "x"),
    "byte order mark and quotes": ('\ufeff"path","model_name"\r\n"a.wav","x"\r\n', "a.wav", "x"),
    "old Mac line ends": ("path,model_name\ra.wav,x\r", "a.wav", "x"),
    "blank lines": ("\n\n" + HEADER + "\n\na.wav,x\n\n", "a.wav", "x"),
    "spaces": (" path , model_name \n a b.wav , x y ", "a b.wav", "x y"),
    "comma in a path": (HEADER + '"a,b.wav",x', "a,b.wav", "x"),
    "quotes in a path": (HEADER + '"a ""b"".wav",x', 'a "b".wav', "x"),
    "a lone quote in a word": (HEADER + 'a"b.wav,x', 'a"b.wav', "x"),
    "any script": (HEADER + "ä/语/\U0001f600.wav,ß", "ä/语/\U0001f600.wav", "ß"),
    "no-break space": (HEADER + "a\u00a0b.wav,x", "a\u00a0b.wav", "x"),
    "dots in a name": (HEADER + "a..b/..c/d...wav,x", "a..b/..c/d...wav", "x"),
    "percent and dollar": (HEADER + "%s/$HOME/{0}.wav,x", "%s/$HOME/{0}.wav", "x"),
    "label path": ("x\ta b.wav", "a b.wav", "x"),
}
REFUSED = {
    "nothing": "",
    "a byte order mark alone": "\ufeff",
    "blanks": "  \n \n",
    "UTF-16": (HEADER + "a,x").encode("utf-16"),
    "UTF-32": (HEADER + "a,x").encode("utf-32"),
    "Latin-1": HEADER.encode() + "ä,x".encode("latin-1"),
    "half a character": HEADER.encode() + b"a\xed\xa0\x80,x",
    "NUL in the header": "path\0,model_name\na,x",
    "NUL in a path": HEADER + "a\0,x",
    "NUL in a system": HEADER + "a,x\0",
    "newline in a path": HEADER + '"a\nb",x',
    "newline in a system": HEADER + 'a,"x\ny"',
    "escape sequence": HEADER + "a,\x1b[31mx",
    "open quote": HEADER + '"a,x',
    "text behind a quote": HEADER + '"a"b,x',
    "a huge cell": HEADER + "a" * 200_000 + ",x",
    "a huge quoted cell": HEADER + '"' + "a" * 200_000 + '",x',
    "a megabyte of label path": "x " + "y " * 500_000,
    "10000 cells": HEADER + "a,x," + "," * 10_000,
    "a header of 100000 columns": "path," + "c," * 100_000 + "\na,x",
    "semicolons in rows alone": "path,model_name\na;x",
    "tabs in the header alone": "path\tmodel_name\na,x",
    "a column twice": "path,model_name,model_name\na,x,y",
    "a comment before the header": "# made by me\n" + HEADER + "a,x",
    "an empty path": HEADER + "./,x",
    "up and out": HEADER + "a/../../b,x",
    "up and out by backslash": HEADER + "a\\..\\..\\b,x",
    "from the root": HEADER + "/etc/passwd,x",
    "from the root behind a dot": HEADER + ".//etc/passwd,x",
    "another machine": HEADER + "\\\\server\\share,x",
    "up and out, label path": "x ../b",
    "from the root, label path": "x /etc/passwd",
}


def answer(tmp_path, content: str | bytes):
    """The table, or the error as text. Any other exception is the test's failure."""
    path = tmp_path / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        return read_list(path)
    except DataError as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 8_000
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", str(error))
        return str(error)


@pytest.mark.parametrize("name", TAKEN)
def test_an_unusual_list_is_read(tmp_path, name):
    content, path, system = TAKEN[name]
    table = answer(tmp_path, content)
    assert (table.paths, table.systems) == ([path], [system])


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_list_is_refused_in_words(tmp_path, name):
    said = answer(tmp_path, REFUSED[name])
    assert isinstance(said, str) and len(said) < 1_000


WORDS = [
    *(
        "path",
        "model_name",
        "language",
        "path,model_name\n",
        "path,model_name\n",
        "a/b.wav",
        "sys",
        ",",
        ",",
        ",",
        "\n",
    ),
    *(
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        '"',
        '""',
        "'",
        ";",
        "..",
        "/",
        "./",
        "\\",
        "C:",
        "~",
        "\0",
        "\x1b",
        "\x85",
        "\u2028",
    ),
    *("\ufeff", "é", "系", "\ud800", "#", "0", "1", "a" * 5_000, "\u202e", "fake/", "%00", "http://x"),
]


def test_two_thousand_random_lists_are_read_or_refused_in_words(tmp_path):
    dice, read = random.Random(0), 0
    for i in range(2_000):
        start = HEADER if i % 2 else ""
        table = answer(tmp_path, start + "".join(dice.choices(WORDS, k=dice.randint(1, 15))))
        if isinstance(table, str):
            continue
        read += 1
        assert len(table.paths) == len(table.systems) == len(table.lines) > 0
        for path, system in zip(table.paths, table.systems, strict=True):
            assert path and system and not path.startswith("/") and ".." not in path.replace("\\", "/").split("/")
            assert not re.search(r"[\x00-\x1f]", path + system)
    assert 50 < read < 1_500  # the dice reach both sides
