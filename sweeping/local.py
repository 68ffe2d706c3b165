"""Runs on this machine, several at a time, each in its own process."""

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import torch

from engine.parallel import usable_cores
from sweeping.grid import Run
from sweeping.launch import Outcome, launch


class LocalEngine:
    """`parallel` runs at a time; GPUs, where there are any, are given out in turn, and CPUs in equal parts.

    Parameters
    ----------
    parallel : int
    cpus : float
        Threads of each run; 0 divides the machine's evenly.
    """

    def __init__(self, parallel: int, cpus: float = 0):
        self.parallel = parallel
        threads = str(max(1, int(cpus or usable_cores() // parallel)))
        self.threads = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
        self.pool = ThreadPoolExecutor(parallel)
        self.places = list(range(parallel))  # which of them are free
        self.at_work: dict[Future, tuple[Run, int]] = {}
        self.processes: dict[str, object] = {}
        self.stopping = False

    def has_room(self) -> bool:
        return bool(self.places)

    def start(self, run: Run) -> None:
        """Begin a run in a free place."""
        place = self.places.pop(0)
        future = self.pool.submit(launch, run, str(Path.cwd()), self.threads | gpu(place), self.keep(run))
        self.at_work[future] = (run, place)

    def keep(self, run: Run):
        """The function that takes the run's process once it runs."""

        def started(process) -> None:
            self.processes[run.name] = process
            if self.stopping:  # it was on its way when the others were stopped
                process.terminate()

        return started

    def finished(self, seconds: float) -> list[tuple[Run, Outcome]]:
        """Runs that ended, waiting at most `seconds` for one."""
        ended, _ = wait(self.at_work, timeout=seconds, return_when=FIRST_COMPLETED)
        outcomes = []
        for future in ended:
            run, place = self.at_work.pop(future)
            self.places.append(place)
            self.processes.pop(run.name, None)
            outcomes.append((run, future.result()))
        return outcomes

    def stop(self) -> None:
        """Ask all trainers to save and end, and wait until they have."""
        self.stopping = True
        for process in list(self.processes.values()):
            process.terminate()
        self.pool.shutdown(wait=True, cancel_futures=True)


def gpu(place: int) -> dict[str, str]:
    """The variable that gives the run in this place one of the visible GPUs; nothing where there is none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible is not None else [str(i) for i in range(torch.cuda.device_count())]
    gpus = [name for name in gpus if name.strip()]
    return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if gpus else {}
