"""Cases tried one after another in a forked process, so that a signal, a hang or a bomb ends that process alone."""

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from settings.errors import UserError
from settings.text import for_terminal, shown

REFUSED, EQUAL, OTHER, FAULT = "refused", "equal", "other", "FAULT"
LONGEST_MESSAGE = 40_000  # characters
HERE = f"{Path(__file__).parents[2]}/"
OUTPUT = "output"  # a file with all that a worker prints
HANGS = 180  # seconds on the clock beyond those of the processor, whatever else the machine does
ADDRESS_SPACE = 8 << 30  # bytes beyond those at the start: a bomb ends here instead of with the machine


class Fault(Exception):
    """What must not happen, in words."""


@dataclass(frozen=True)
class Attack:
    """One way to attack.

    Attributes
    ----------
    name : for the table
    attempt : of a generator and an empty folder: prepares and reads a hostile file. It returns EQUAL where what was
        read is what the original holds, OTHER where it is something else and may be, and raises UserError where the
        file is refused, Fault on what must not be
    seconds : of processor time that one case may take
    memory : bytes that it may take beyond what the process had
    """

    name: str
    attempt: Callable[[np.random.Generator, Path], str]
    seconds: float = 10.0
    memory: int = 300 << 20


@dataclass
class Case:
    """How a case ended: `why` is the refusal or the fault."""

    number: int
    ended: str
    why: str = ""
    seconds: float = 0.0
    memory: int = 0


def run(attacks: Sequence[Attack], numbers: Sequence[int], seed: int, folder: Path) -> Iterator[Case]:
    """All cases in turn; the attack of a number is `attacks[number % len(attacks)]`."""
    left = list(numbers)
    while left:
        reading, writing = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            os.close(reading)
            work(attacks, left, seed, folder, writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                case = Case(**json.loads(line))
                yield case
                left.remove(case.number)
        _, status = os.waitpid(pid, 0)
        if left and status:
            died = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
            last_words = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")[-500:]
            yield Case(left.pop(0), FAULT, for_terminal(f"the process ended: {died} {last_words}"))


def work(attacks: Sequence[Attack], numbers: Sequence[int], seed: int, folder: Path, writing: int) -> None:
    """The forked process: never returns."""
    status = 70
    try:
        warnings.simplefilter("ignore")
        sys.stdout = sys.stderr = (folder / OUTPUT).open("w+", encoding="utf-8", errors="backslashreplace")
        for descriptor in (1, 2):  # libraries in C write there
            os.dup2(sys.stdout.fileno(), descriptor)
        most = status_of("VmSize") + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        with os.fdopen(writing, "w", encoding="utf-8") as results:
            for number in numbers:
                case = tried(attacks[number % len(attacks)], number, seed, folder / f"{number}")
                results.write(json.dumps(asdict(case)) + "\n")
                results.flush()
        status = 0
    finally:
        os._exit(status)


def tried(attack: Attack, number: int, seed: int, folder: Path) -> Case:
    """One case, timed and weighed."""
    folder.mkdir()
    sys.stdout.seek(0)
    sys.stdout.truncate()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM, the most memory held, starts anew
    before, began = status_of("VmRSS"), time.process_time()
    signal.setitimer(signal.ITIMER_REAL, HANGS + attack.seconds)
    ended, why = verdict(attack, np.random.default_rng([seed, number]), folder)
    signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, memory = time.process_time() - began, max(0, status_of("VmHWM") - before)
    shutil.rmtree(folder, ignore_errors=True)
    if ended != FAULT and (seconds > attack.seconds or memory > attack.memory):
        ended, why = FAULT, f"took {seconds:.1f} s and {memory >> 20} MiB ({ended}: {why})"
    return Case(number, ended, for_terminal(why), seconds, memory)


def verdict(attack: Attack, dice: np.random.Generator, folder: Path) -> tuple[str, str]:
    """How an attempt ended, and the message or the fault."""
    try:
        return attack.attempt(dice, folder), ""
    except UserError as error:
        wrong = message_fault(str(error))
        return (FAULT, wrong) if wrong else (REFUSED, str(error))
    except Fault as fault:
        return FAULT, str(fault)
    except BaseException as error:
        return FAULT, in_one_line(error)


def in_one_line(error: BaseException) -> str:
    """An exception, and the line of ours that is nearest to where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(HERE)]
    ours = [f for f in frames if "/.venv/" not in f.filename]
    place = f"{ours[-1].filename.removeprefix(HERE)} line {ours[-1].lineno}" if ours else "?"
    return f"{place}: {type(error).__name__}: {shown(str(error), 300)}"


def message_fault(text: str) -> str:
    """What is wrong with a message to a user; '' where nothing is."""
    if not text.strip():
        return "a refusal without a message"
    if len(text) > LONGEST_MESSAGE:
        return f"a message of {len(text)} characters: {text[:200]}"
    if not text.replace("\n", " ").isprintable():
        return f"a message with control characters: {for_terminal(text[:500])}"
    return ""


def by_command(main: Callable[[list[str]], int], words: Sequence[object], fine: Sequence[int] = (0,)) -> str:
    """Run a command's `main`: its exit status and what it prints, as a user would have them.

    OTHER where its exit status is among `fine`. Raises UserError where it is 2, with its message; Fault on anything
    else.
    """
    try:
        status = main([str(word) for word in words])
    except SystemExit as ended:  # of argparse
        status = ended.code
    sys.stdout.flush()
    sys.stdout.seek(0)
    printed = sys.stdout.read()
    if "Traceback" in printed:
        raise Fault(printed[-2_000:])
    if status in fine:
        return OTHER
    if status == 2 and "error: " in printed:
        raise UserError(printed[printed.rindex("error: ") :].strip())
    raise Fault(f"exit status {status}: {printed[-1_000:]}")


def status_of(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) << 10
