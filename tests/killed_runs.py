"""Commands run to their end through kills."""

import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from tests import forked
from trainSpeakerNet import main


def in_child(argv: list[str], log: Path, prepare: Callable[[], None], command: Callable = main) -> int:
    """Start a command, the trainer, in a forked process, which has torch in memory already; returns its pid.

    `log`: the file of its output.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        tqdm.set_lock(threading.RLock())  # its own is shared by forks: one killed with it in hand stops all others
        sys.stdout = sys.stderr = log.open("w")
        prepare()
        status = command(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def die_soon(folder: Path, changes: int, delay: float) -> None:
    """End this process, as abruptly as by SIGKILL, `delay` s after it has begun its n-th change of a file in `folder`.

    What a kill can spoil is what stands on the disk. So moments are drawn among the changes of files, wherever a slow
    machine puts them in time, and a little later, which falls into the writing or into what comes after it.
    """
    left = [changes]

    def count(event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename", "os.remove", "os.link") and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                signal.setitimer(signal.ITIMER_REAL, delay)  # nobody handles SIGALRM: the kernel ends the process

    sys.addaudithook(count)


def train_and_die(argv: list[str], folder: Path, changes: int, delay: float) -> int:
    die_soon(folder, changes, delay)
    return main(argv)


def run_killed(argv: list[str], folder: Path, kills: int, seed: int, most: int) -> int:
    """Run the command to its end, killing it up to `kills` times, each within `most` changes; how many hit it alive."""
    moments, hits = random.Random(seed), 0
    log = folder.with_suffix(".child.log")
    while True:
        changes, delay = moments.randint(1, most), moments.choice([1e-6, 1e-4, 1e-3, 1e-2, 0.1])
        killed = (train_and_die, argv, folder, changes, delay) if hits < kills else (main, argv)
        status = forked.finish(forked.start(log, *killed))
        if status == -signal.SIGALRM:
            hits += 1
        else:
            assert status == 0, log.read_text()
            return hits
