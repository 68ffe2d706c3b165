"""Files that others wrote are read within bounds: no device hangs the reader, no alias or nesting fills the memory."""

import os
import time

import pytest

from settings.errors import ConfigError, DataError
from settings.files import read_bytes, read_json, read_json_lines, read_text
from settings.plain_yaml import read_yaml
from settings.text import for_csv, for_html, for_markdown, for_terminal

BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(DataError, match=r"not a file|Is a directory"):
            read_bytes(path, 100, DataError)
    assert time.monotonic() - began < 5


def test_size_encoding_and_odd_paths_are_named(tmp_path):
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(tmp_path / "x", 6) == "abc"
    with pytest.raises(ConfigError, match="x: larger than 5 bytes"):
        read_text(tmp_path / "x", 5)
    (tmp_path / "x").write_bytes(b"ab\xff")
    with pytest.raises(ConfigError, match=r"x: not UTF-8 text \(byte 2\)"):
        read_text(tmp_path / "x", 5)
    with pytest.raises(ConfigError, match="the path .* holds a NUL"):
        read_text("a\0b", 5)
    with pytest.raises(ConfigError, match="none: No such file"):
        read_text(tmp_path / "none", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[1]", r"expected an object, \{...\}, not \[1\]"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": -Infinity}', "no finite number"),
        ('{"a": 1e999}', "1e999 is no finite number"),
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5_000 + "}", "not JSON"),
    ],
)
def test_json_that_is_not_plain_is_refused_with_its_file(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        read_json(tmp_path / "x.json")
    assert "x.json" in str(refused.value) and len(str(refused.value)) < 400


def test_json_lines_name_the_line(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"epoch": 1}\n\n{"epoch": 2}\n')
    assert read_json_lines(tmp_path / "m.jsonl") == [{"epoch": 1}, {"epoch": 2}]
    (tmp_path / "m.jsonl").write_text('{"epoch": 1}\n[2]\n')
    with pytest.raises(ConfigError, match=r"m\.jsonl line 2: expected an object"):
        read_json_lines(tmp_path / "m.jsonl")


def test_plain_yaml_is_read_with_aliases(tmp_path):
    (tmp_path / "x.yaml").write_text("a: &shared {lr: 1e-3, names: [b, 2, true, null]}\nb: *shared\n")
    shared = {"lr": "1e-3", "names": ["b", 2, True, None]}
    assert read_yaml(tmp_path / "x.yaml") == {"a": shared, "b": shared}
    (tmp_path / "x.yaml").write_text("a: &a {b: 1, c: 2}\nd: {<<: [*a, {b: 3, e: 4}], c: 5}\n")
    assert read_yaml(tmp_path / "x.yaml")["d"] == {"b": 1, "c": 5, "e": 4}  # as PyYAML has it
    (tmp_path / "x.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "x.yaml") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 50,000 values, aliases written out"),
        ("a:\n  " + "[" * 2_000, "line 2: nested too deeply"),
        ("a: &a [*a]", "line 1: more than"),
        ("a: 1\na: 2", "line 2: 'a' is given twice"),
        ("? [a]\n: b", "a key must be text"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: !foo {b: c}", "line 1: the tag '!foo' has no place"),
        ("a: [.nan]", "no finite number"),
        ("a: 010", "no decimal number"),
        ("a: [", "x.yaml: "),
        ("a: {<<: [1]}", "line 1: << takes mappings"),
        ("x" * 300_000, "larger than"),
    ],
)
def test_yaml_that_is_not_plain_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        read_yaml(tmp_path / "x.yaml")
    assert len(str(refused.value)) < 500


def test_names_are_harmless_wherever_they_are_shown():
    name = "=a|b\x1b[2J\n<script>*x*\u202e"
    assert for_terminal(name) == "=a|b\\x1b[2J\\n<script>*x*\\u202e"
    assert for_markdown(name) == r"=a\|b\\x1b\[2J\\n&lt;script&gt;\*x\*\\u202e"
    assert for_html(name) == "=a|b\\x1b[2J\\n&lt;script&gt;*x*\\u202e"
    assert for_csv(name) == "'=a|b\\x1b[2J\\n<script>*x*\\u202e"
    for plain in ("tts_models/multilingual/multi-dataset/xtts_v2", "größer", "системa 1"):
        assert for_terminal(plain) == for_markdown(plain) == for_html(plain) == for_csv(plain) == plain
