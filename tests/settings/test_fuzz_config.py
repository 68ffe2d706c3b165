"""Whatever stands in a YAML file: a configuration comes out, or an error of few lines that names the file."""

import random
import re

import pytest

from settings.errors import ConfigError, UserError
from settings.options import Config
from settings.resolve import from_values, recorded_values, resolve

TRAIN = ["--train_list", "train.csv"]
ODD = {
    "nested 5000 deep": "lr: " + "[" * 5_000 + "]" * 5_000,
    "mappings 3000 deep": "lr: " + "{a: " * 3_000,
    "alias of nothing": "lr: *x",
    "alias of itself": "lr: &a [*a]",
    "key that is its own alias": "&a a: *a",
    "exploding aliases": "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdef", "bcdefg")),  # noqa: B905
    "merge key": "<<: {lr: 1}",
    "key twice": "lr: 1\nlr: 2",
    "key without a value": "lr:",
    "number as key": "1: 2",
    "null as key": "~: 2",
    "list as key": "? [a, b]\n: 3",
    "a sequence": "- lr",
    "a word": "lr",
    "NUL": "lr: 1\0",
    "control character": "lr: \x01",
    "escaped NUL": 'save_path: "a\\0b"',
    "escaped newline": 'model: "a\\nb"',
    "escape sequence in a key": '"\\e[31m": 1',
    "half a character": 'save_path: "\\ud800"',
    "tab before a key": "\tlr: 1",
    "tab before a value": "lr:\t[1",
    "a megabyte of path": "save_path: " + "x" * 1_000_000,
    "a long key": "? " + "x" * 100_000 + "\n: 1",
    "ten thousand items": "lr: [" + "1," * 10_000 + "]",
    "python call": "lr: !!python/object/apply:os.system ['echo owned']",
    "python call as a list": "test_list: !!python/object/apply:os.system ['echo owned']",
    "python name": "lr: !!python/name:os.system",
    "unknown tag": "lr: !foo 1",
    "unknown tag on a list": "test_list: !foo [a]",
    "binary": "save_path: !!binary aGVsbG8=",
    "set": "seed: !!set {a}",
    "a date": "seed: 2001-12-14",
    "no such date": "seed: 2001-99-99",
    "not the timestamp it says": "seed: !!timestamp foo",
    "not the truth value it says": "eval: !!bool foo",
    "not the number it says": "seed: !!int foo",
    "value key": "lr: =",
    "merge key as a value": "lr: <<",
    "5000 digits": "seed: " + "9" * 5_000,
    "400 digits": "seed: 1" + "0" * 400,
    "400 digits for a float": "lr: 1" + "0" * 400,
    "beyond every generator": "seed: 4294967296",
    "infinite": "lr: 1e999",
    "NaN": "lr: .nan",
    "octal": "seed: 010",
    "hexadecimal": "seed: 0x10",
    "base sixty": "seed: 1:30",
    "base sixty float": "lr: 1:30.5",
    "an embedding of a billion": "nOut: 1000000000",
    "crops of years": "eval_frames: 1000000000",
    "more memory than there is": "audio_memory: 1.0e+300",
    "list for one": "seed: [1]",
    "mapping for one": "model: {a: 1}",
    "list in a list": "test_list: [[a]]",
    "number for a name": "trainfunc: 3",
    "another folder's file": "model: ../../etc/passwd",
    "a shared file": "trainfunc: _margin",
    "a config in a config": "config: x.yaml",
    "help in a config": "help: true",
    "two documents": "lr: 1\n---\nseed: 3",
    "a YAML of the future": "%YAML 9.9\n---\nlr: 1",
    "open quote": 'lr: "1',
    "reserved character": "lr: @1",
}


def answer(tmp_path, content: str | bytes) -> str:
    """'' where a configuration comes out, else the error. Any other exception is the test's failure."""
    path = tmp_path / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        config = resolve(["--config", str(path), *TRAIN])
    except UserError as error:
        assert len(str(error)) < 10_000 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]", str(error))
        return str(error)
    assert isinstance(config, Config)
    return ""


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_refused_in_words(tmp_path, name, capfd):
    said = answer(tmp_path, ODD[name])
    assert said and len(said) < 1_000
    assert name == "exploding aliases" or "\n" not in said
    assert "owned" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "\ufefflr: 0.1", "lr: 1e-4\r\nseed: 2\r\n", "lr: &x 1\nseed: *x", "test_list: []"],
)
def test_an_unusual_file_that_says_something_is_read(tmp_path, text):
    assert answer(tmp_path, text) == ""


WORDS = [
    *("lr", "seed", "model", "test_list", "eval", "margin", "save_path", "x", "1", "-1", "1e400", "0x1", "true", "~"),
    *(
        ": ",
        ":",
        "\n",
        "\n",
        "\n  ",
        "\t",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "!!int ",
        "!!str ",
        "!x ",
        "<<: ",
    ),
    *(
        "'",
        '"',
        "|\n",
        ">\n",
        "#",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "? ",
        "\\",
        "\0",
        "\x1b",
        "\x85",
        "\u2028",
        "\ud800",
    ),
    *("é", "系", "\U0001f600", "\ufeff", "=", "9" * 50, "2001-01-01", "1:30", ".inf", ".nan", "yes", "\r"),
]


def test_two_thousand_random_files_are_read_or_refused_in_words(tmp_path):
    dice, read = random.Random(0), 0
    for _ in range(1_500):
        read += not answer(tmp_path, "".join(dice.choices(WORDS, k=dice.randint(1, 12))))
    for _ in range(500):  # flips in a good file
        content = bytearray(b"lr: 1e-3\nseed: 3\nmodel: ThinResNet34\ntest_list: [a.csv, 'b c.csv']\nmargin: 0.3\n")
        for _ in range(dice.randint(1, 3)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        read += not answer(tmp_path, bytes(content))
    assert 20 < read < 1_000  # the dice reach both sides


VALUES = [
    None,
    True,
    3,
    -1,
    10**400,
    1e308,
    float("nan"),
    "",
    "x",
    "\0",
    "\ud800",
    b"x",
    [],
    ["a"],
    [[]],
    {},
    {1: 2},
    (),
]
VALUES += [object(), Config, {"a"}, 1j, "9" * 5_000, [None], ["\0"], 2**40]


@pytest.mark.parametrize("name", [*Config().flat(), "encoder_type", "scale", "", "\x1b[31m", "__class__"])
def test_any_value_of_any_option_is_taken_or_refused_in_one_line_each(name):
    for value in VALUES:
        try:
            from_values({"train_list": "t"} | {name: value})
        except UserError as error:
            assert len(str(error)) < 1_000, (name, value)


@pytest.mark.parametrize("recorded", [None, 3, "x", [("lr", 1)], {1: 2}, {b"lr": 1}, {None: 1}])
def test_a_recorded_configuration_that_is_none_is_refused(recorded):
    with pytest.raises(ConfigError, match="not a table of options"):
        recorded_values(recorded)
