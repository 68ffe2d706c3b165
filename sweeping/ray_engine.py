"""Runs on a Ray cluster whose machines share this folder, the code and the data."""

import contextlib
from pathlib import Path

from settings.errors import ConfigError
from sweeping.grid import Run
from sweeping.launch import Outcome, launch

NODE_LOSSES = 10  # how often a run may lose its machine before it counts as failed


class RayEngine:
    """As many runs at a time as the cluster has room for.

    Parameters
    ----------
    address : str
        HOST:PORT of the cluster's head, or 'auto' for the one that this machine belongs to.
    cpus, gpus : float
        What each run needs; half a GPU lets two runs share one.
    parallel : int
        Runs at a time at most; 0 for as many as fit.
    """

    def __init__(self, address: str, cpus: float, gpus: float, parallel: int = 0):
        try:
            import ray
        except ImportError:
            raise ConfigError("--engine ray needs Ray: pip install -r requirements-ray.txt") from None
        self.ray, self.parallel = ray, parallel
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            what = str(error).splitlines()[0]
            raise ConfigError(f"--address {address}: no Ray cluster ({what}); begin one by: ray start --head") from None
        threads = str(max(1, int(cpus)))
        self.threads = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
        self.task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=NODE_LOSSES)(launch)
        self.at_work: dict = {}

    def has_room(self) -> bool:
        return not self.parallel or len(self.at_work) < self.parallel

    def start(self, run: Run) -> None:
        """Hand a run to the cluster, which begins it when there is room; on the loss of its machine, elsewhere."""
        self.at_work[self.task.options(name=run.name).remote(run, str(Path.cwd()), self.threads)] = run

    def finished(self, seconds: float) -> list[tuple[Run, Outcome]]:
        """Runs that ended, waiting at most `seconds` for one."""
        ended, _ = self.ray.wait(list(self.at_work), num_returns=1, timeout=seconds)
        return [(self.at_work.pop(task), self.outcome(task)) for task in ended]

    def outcome(self, task) -> Outcome:
        """What the run came to; failed where Ray gave it up."""
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            return Outcome("failed", reason=f"Ray: {str(error).splitlines()[0]}")

    def stop(self) -> None:
        """Ask all trainers to save and end, wait for them for a while, and leave the cluster."""
        for task in self.at_work:
            with contextlib.suppress(self.ray.exceptions.RayError):
                self.ray.cancel(task)
        if self.at_work:
            self.ray.wait(list(self.at_work), num_returns=len(self.at_work), timeout=30)
        self.ray.shutdown()
