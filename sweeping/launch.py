"""One attempt at a run, on whichever machine: the ordinary trainer in its own process, alone in its folder."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

from engine.atomic_files import write_text
from engine.locks import Locked, hold
from settings.errors import UserError
from settings.plugins import ROOT
from settings.text import for_terminal
from sweeping.grid import Run
from sweeping.run_status import LOCK, LOG, finished, read_record, record_file

TRAINER = ROOT / "trainSpeakerNet.py"
MOST_LOG = 1 << 16  # bytes at a log's end, where its last words are
PATIENCE = 120.0  # seconds: a trainer that was asked to stop saves first, and only then lets go of its folder


@dataclass(frozen=True)
class Outcome:
    """`status` is done, failed or stopped; `exit` the trainer's status; `reason` its last words where it failed."""

    status: str
    exit: int = 0
    reason: str = ""


def launch(run: Run, folder: str, environment: dict[str, str], started: Callable | None = None) -> Outcome:
    """Train the run from where it stands to its end, unless it is there already. Nothing but a bug is raised.

    Parameters
    ----------
    folder : where the run's paths start from
    environment : variables for the trainer, over those of this process
    started : called with the process (subprocess.Popen), so that it can be stopped
    """
    os.chdir(folder)
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        with hold(run.folder / LOCK, wait=PATIENCE) as lock:
            record = {"attempts": read_record(run).get("attempts", 0), "host": socket.gethostname()}
            if finished(run):  # by somebody else, while we waited
                return Outcome("done")
            record |= {"attempts": record["attempts"] + 1, "status": "running", "started": time.time()}
            write_record(run, record)
            exit_status = train(run, environment, lock, started)
            outcome = judge(run, exit_status)
            ended = {"status": outcome.status, "exit": exit_status, "reason": outcome.reason, "ended": time.time()}
            write_record(run, record | ended)
            return outcome
    except Locked as locked:
        return Outcome("failed", reason=f"{run.folder} is in use by {locked}")
    except (OSError, UserError) as error:
        return Outcome("failed", reason=str(error))


def train(run: Run, environment: dict[str, str], lock: int, started: Callable | None) -> int:
    """The trainer's exit status. What it says goes to the folder's sweep.log."""
    bound = [sys.executable, "-m", "sweeping.die_with_parent", str(os.getpid())]
    command = [*(bound if os.name == "posix" else ()), sys.executable, str(TRAINER), *run.words]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with (run.folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": path} | environment,
            pass_fds=[lock] if os.name == "posix" else (),
            start_new_session=True,  # the terminal's Ctrl-C is ours to pass on, once
        )
    if started:
        started(process)
    try:
        return process.wait()
    except BaseException:  # Ray cancels a task by KeyboardInterrupt
        process.terminate()
        process.wait()
        raise


def judge(run: Run, exit_status: int) -> Outcome:
    """What an exit status means: failed, unless the results are there or it was stopped from outside."""
    if exit_status == 0 and finished(run):
        return Outcome("done")
    if exit_status in (128 + SIGINT, 128 + SIGTERM, -SIGINT, -SIGTERM):
        return Outcome("stopped", exit_status)
    reason = last_line(run.folder / LOG) if exit_status else "exit status 0, but results are missing"
    if exit_status < 0:
        reason = f"killed by {Signals(-exit_status).name} (out of memory?)"
    return Outcome("failed", exit_status, reason)


def last_line(path: Path) -> str:
    """The last line of a log that says something, at most 300 letters of it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST_LOG))
        text = file.read().decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines[-40:] if line.startswith("error:")]
    return for_terminal((errors or lines or ["it said nothing"])[-1].strip().removeprefix("error: ")[:300])


def write_record(run: Run, record: dict) -> None:
    """sweep.json: how often the run was tried, where, and how the last attempt ended."""
    write_text(record_file(run), dumps(record, indent=2, ensure_ascii=False) + "\n")
