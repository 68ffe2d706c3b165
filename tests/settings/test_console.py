"""Commands: how they end, how their numbers are read, and that a help text costs no heavy import."""

import argparse
import subprocess
import sys

import pytest

from settings.arguments import Parser, number, whole
from settings.console import run_command
from settings.errors import ConfigError, DataError
from tests.conftest import ROOT

HEAVY = ("torch", "torchaudio", "tensorboard", "transformers", "matplotlib", "numba", "scipy", "sklearn", "ray")
COMMANDS = {
    "trainSpeakerNet.py": ["", "--model Wav2Vec2AASIST --trainfunc ge2e"],
    "score.py": ["", "openset"],
    "identify.py": [""],
    "sweep.py": [""],
    "dataprep.py": ["", "protocol", "lists", "audit", "cache", "download"],
    "analyse.py": ["", "probe", "umap", "confusions", "neighbours", "report"],
}


def ends(error: BaseException | None, capsys) -> tuple[int, str]:
    def command():
        if error:
            raise error

    return run_command(command), capsys.readouterr().err


def test_a_command_ends_with_its_own_status_or_0():
    assert (run_command(lambda: 1), run_command(lambda: None)) == (1, 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DataError("a.csv line 3: no such file"), (2, "error: a.csv line 3: no such file\n")),
        (ConfigError("no"), (2, "error: no\n")),
        (KeyboardInterrupt(), (130, "interrupted\n")),
    ],
)
def test_what_ends_a_command_early_is_one_line_and_a_status(error, expected, capsys):
    assert ends(error, capsys) == expected


def test_a_bug_keeps_its_traceback(capsys):
    with pytest.raises(ZeroDivisionError):
        ends(ZeroDivisionError(), capsys)


def test_a_reader_that_has_seen_enough_ends_a_command_quietly():
    code = "from settings.console import run_command; import sys\n"
    code += "sys.exit(run_command(lambda: [sys.stdout.write('x' * 1000) for _ in range(10_000)] and 0))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("read", "text"),
    [(whole(1), t) for t in ("0", "-1", "1.5", "x", "", "1e3", "٣", "9" * 30, "1_0")]
    + [(whole(1, 5), "6"), (number(0), "-0.1"), (number(above=0), "0"), (number(maximum=1), "1.1")]
    + [(number(), t) for t in ("nan", "inf", "x", "")],
)
def test_a_number_out_of_its_bounds_is_refused_in_words(read, text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a (whole )?number"):
        read(text)


def test_numbers_within_their_bounds_are_read():
    assert (whole(1)("1"), whole()("0"), whole(2, 3)("3")) == (1, 0, 3)
    assert (number()("-1e-3"), number(0)("0"), number(above=0, maximum=1)("1")) == (-1e-3, 0.0, 1.0)


def test_a_parser_raises_its_complaints_and_takes_no_abbreviations():
    parser = Parser()
    command = parser.add_subparsers(required=True).add_parser("run")
    command.add_argument("--threads", type=whole(1))
    for argv in (["run", "--thr", "1"], ["run", "--threads", "0"], []):
        with pytest.raises(ConfigError, match="--help"):
            parser.parse_args(argv)


@pytest.mark.parametrize(("file", "words"), [(file, words) for file, each in COMMANDS.items() for words in each])
def test_a_help_text_imports_nothing_heavy(file, words):
    code = (
        "import runpy, sys\n"
        f"sys.argv = {[file, *words.split(), '--help']!r}\n"
        f"try: runpy.run_path({file!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: " in done.stdout and done.stderr == "[]\n"


def test_a_message_holds_nothing_that_a_terminal_would_obey(capsys):
    status, text = ends(DataError("a\x1b[2Jb\nsecond \ud800line\u202e"), capsys)
    assert status == 2 and text == "error: a\\x1b[2Jb\nsecond \\ud800line\\u202e\n"


def test_a_message_ends(capsys):
    _, text = ends(DataError("\n".join(["x" * 10_000] * 1_000)), capsys)
    assert "... and 970 more" in text and len(text) < 150_000
