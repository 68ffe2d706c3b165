"""What stands in the project's pages: blocks of commands with their marks, options, links.

A comment before a block, which no reader sees, says how it is tested: `<!-- not run: why -->` never (its options are
checked all the same), `<!-- quick -->` with every run of the tests, and without one with `pytest -m docs`.
"""

import contextlib
import functools
import importlib
import io
import re
import shlex
import subprocess
from dataclasses import dataclass

from settings import plugins
from settings.resolve import run_options
from tests.conftest import ROOT

PAGES = subprocess.run(
    ["git", "ls-files", "README.md", "CONTRIBUTING.md", "docs/*.md", "data/*.md"],
    cwd=ROOT, capture_output=True, text=True, check=True,
).stdout.split()  # fmt: skip
FENCE = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
OPTION = re.compile(r"(?<![\w-])--([A-Za-z][\w-]*)")
COMMANDS = {"trainSpeakerNet.py", "score.py", "dataprep.py", "sweep.py", "analyse.py", "identify.py", "export.py"}
NOT_OURS = {"head", "extra-index-url", "NAME", "slurm_NAME"}  # options of Ray and pip; names that stand for any


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: where it begins, its language, how it is tested, its text."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> list[list[str]]:
        """The words of each command of a block of sh."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = read(page)
    found = FENCE.finditer(text)
    return [Block(page, text[: m.start("language")].count("\n") + 1, m["language"], m["mark"] or "", m["text"])
            for m in found]  # fmt: skip


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", read(page))


@functools.cache
def trainer_options() -> frozenset[str]:
    """Every option of the trainer, whichever model and loss are chosen."""
    names = {option.name for option in run_options()} | {"config", "help"}
    for folder in plugins.ENTRY:
        for name in plugins.names(folder):
            names |= {option.name for option in plugins.declared(folder, name).options}
    return frozenset(names)


@functools.cache
def help_options(command: str, *words: str) -> frozenset[str]:
    """The options that a command's --help shows."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(command.removesuffix(".py")).main([*words, "--help"])
    return frozenset(OPTION.findall(text.getvalue()))


def subcommands(command: str) -> list[str]:
    """The names of a command's subcommands, as its --help shows them; none where it has none."""
    if command == "score.py":
        return ["openset", "paired"]  # beside a list to score, and so none of argparse's
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        importlib.import_module(command.removesuffix(".py")).main(["--help"])
    listed = re.search(r"^  (?:COMMAND|\{[\w,]+\})\n((?: {4}.*\n?)+)", text.getvalue(), re.M)
    return re.findall(r"^ {4}([\w-]+)", listed[1], re.M) if listed else []


def options_of(words: list[str]) -> frozenset[str] | None:
    """What options a command line may have; None where the command is not one of ours."""
    if words[:2] == ["python", "-m"] and words[2].startswith("benchmarks"):
        file = ROOT / f"{words[2].replace('.', '/')}.py"
        return frozenset(OPTION.findall(file.read_text(encoding="utf-8"))) if file.exists() else frozenset()
    ours = [place for place, word in enumerate(words) if word in COMMANDS]
    if not ours:
        return None
    command, rest = words[ours[0]], words[ours[0] + 1 :]
    if command == "trainSpeakerNet.py":
        return trainer_options()
    own = help_options(command, *(rest[:1] if rest and rest[0] in subcommands(command) else ()))
    return own | trainer_options() if command == "sweep.py" else own


def all_options() -> frozenset[str]:
    """Every option of every command of the project."""
    found = trainer_options()
    for command in COMMANDS - {"trainSpeakerNet.py"}:
        if (ROOT / command).exists():
            found |= help_options(command)
            for name in subcommands(command):
                found |= help_options(command, name)
    for file in (ROOT / "benchmarks").glob("*.py"):
        found |= set(OPTION.findall(file.read_text(encoding="utf-8")))
    return found
