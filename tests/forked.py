"""Functions run in processes of their own, forked from one that has read the trainer's modules: seconds saved each."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")  # which never trains: autograd's threads do not survive a fork
CONTEXT.set_forkserver_preload(["tests.trainer_modules"])


def start(log: Path, function: Callable[..., int | None], *arguments: object, **environment: object) -> BaseProcess:
    """Start function(*arguments) in a process; its output goes to `log`, its exit status is what it returns."""
    words = {name: str(value) for name, value in environment.items()}
    process = CONTEXT.Process(target=_run, args=(log, words, function, arguments), daemon=True)
    process.start()
    return process


def _run(log: Path, environment: dict[str, str], function: Callable[..., int | None], arguments: tuple) -> None:
    import torch

    import tests.trainer_modules  # noqa: F401 in memory already, unless the fork server was started elsewhere

    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
            stream.reconfigure(line_buffering=True)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.exit(function(*arguments))


def wait_for(words: str, process: BaseProcess, log: Path) -> None:
    """Return once a process has written these words."""
    while words not in (log.read_text() if log.exists() else ""):
        assert process.is_alive(), log.read_text()
        time.sleep(0.02)


def finish(process: BaseProcess, timeout: float = 300) -> int:
    """The exit status of a process that has ended, or is killed for not ending; below 0 where a signal ended it."""
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def start_group(folder: Path, processes: int, function: Callable[..., int | None], *arguments: object) -> list:
    """Start function(*arguments) as so many processes of one group, as torchrun does; logs are 0.log … in `folder`."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1], "WORLD_SIZE": processes}
    ranks = range(processes)
    return [start(folder / f"{i}.log", function, *arguments, RANK=i, LOCAL_RANK=i, **address) for i in ranks]


def run_group(folder: Path, processes: int, function: Callable[..., int | None], *arguments: object) -> list[int]:
    """The exit statuses of `start_group`'s processes."""
    return [finish(process) for process in start_group(folder, processes, function, *arguments)]
