"""Runs as jobs of a SLURM cluster whose nodes share this folder, the code and the data; by way of submitit."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from settings.errors import ConfigError
from settings.plugins import ROOT
from sweeping.grid import Run
from sweeping.launch import Outcome, launch

PREFIX = "--slurm_"
MOST_TIMEOUTS = 1_000  # how often a run may reach its job's time limit, be requeued and resume


class Job:
    """One run, as submitit pickles it. At the time limit, or preempted, the trainer saves and the job is requeued."""

    def __init__(self, run: Run, folder: str, environment: dict[str, str]):
        self.run, self.folder, self.environment = run, folder, environment
        self.process = None

    def __call__(self) -> Outcome:
        return launch(self.run, self.folder, self.environment, self.started)

    def started(self, process: object) -> None:
        self.process = process

    def checkpoint(self) -> object:
        """What submitit is to requeue, asked for in a signal's handler: the same, once the trainer has saved."""
        from submitit.helpers import DelayedSubmission

        if self.process:
            self.process.terminate()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.process.pid, 0)  # not its own wait(), which this handler interrupts
        return DelayedSubmission(Job(self.run, self.folder, self.environment))


class SlurmEngine:
    """All runs in one array job; SLURM begins each when there is room for it.

    Parameters
    ----------
    logs : Path
        Folder for the jobs' scripts and logs.
    cpus, gpus : float
        What each run needs.
    parallel : int
        Runs at a time at most; 0 for as many as fit.
    options : dict
        What `split_options` made of `--slurm_*`: `partition`, `time` in minutes, and whatever else sbatch takes.
    cluster : str
        'slurm', or 'local' for submitit's imitation of it.
    """

    def __init__(
        self, logs: Path, cpus: float, gpus: float, parallel: int, options: dict[str, str], cluster: str = "slurm"
    ):
        try:
            import submitit
        except ImportError:
            raise ConfigError("--engine slurm needs submitit: pip install -r requirements-slurm.txt") from None
        if cluster == "slurm" and not shutil.which("sbatch"):
            raise ConfigError("--engine slurm: no sbatch on this machine; run it where jobs are submitted")
        self.failures = (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.executor = submitit.AutoExecutor(logs, cluster=cluster, slurm_max_num_timeout=MOST_TIMEOUTS)
        self.executor.update_parameters(
            name="sweep", cpus_per_task=max(1, int(cpus)), gpus_per_node=int(gpus), **self.parameters(options, parallel)
        )
        threads = str(max(1, int(cpus)))
        self.threads = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
        self.waiting: list[Run] = []
        self.at_work: dict = {}

    def parameters(self, options: dict[str, str], parallel: int) -> dict:
        """The options as submitit takes them; those it does not know go to sbatch as they are."""
        from submitit import SlurmExecutor

        known = SlurmExecutor._valid_parameters() - {"additional_parameters"}
        given = {f"slurm_{name}": whole_or_text(value) for name, value in options.items() if name in known}
        others = {name.replace("_", "-"): value for name, value in options.items() if name not in known}
        given |= {"slurm_additional_parameters": others} if others else {}
        given |= {"slurm_array_parallelism": parallel} if parallel else {}
        minutes = given.pop("slurm_time", 24 * 60)
        if not isinstance(minutes, int) or minutes < 1:
            raise ConfigError(f"--slurm_time {minutes}: a number of minutes")
        return given | {"timeout_min": minutes}

    def has_room(self) -> bool:
        return True

    def start(self, run: Run) -> None:
        """Take a run on: it is submitted with all others that come at once."""
        self.waiting.append(run)

    def submit(self) -> None:
        """The waiting runs as one array."""
        runs, self.waiting = self.waiting, []
        with self.executor.batch():
            jobs = [self.executor.submit(Job(run, str(Path.cwd()), self.threads)) for run in runs]
        self.at_work |= dict(zip(jobs, runs, strict=True))

    def finished(self, seconds: float) -> list[tuple[Run, Outcome]]:
        """Runs that ended, waiting at most `seconds` for one."""
        if self.waiting:
            self.submit()
        until = time.monotonic() + seconds
        while not (ended := [job for job in self.at_work if job.done()]) and time.monotonic() < until:
            time.sleep(0.2)
        return [(self.at_work.pop(job), self.outcome(job)) for job in ended]

    def outcome(self, job: object) -> Outcome:
        """What the run came to; failed where its job was cancelled or died."""
        try:
            return job.result()
        except self.failures:
            return Outcome("failed", reason=f"SLURM job {job.job_id}: {job.state.lower()} (see {job.paths.stderr})")

    def stop(self) -> None:
        """Cancel all jobs, whose trainers save and end, and wait for them for a while."""
        for job in self.at_work:
            job.cancel(check=False)
        until = time.monotonic() + 30
        while not all(job.done(force_check=True) for job in self.at_work) and time.monotonic() < until:
            time.sleep(1)


def split_options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The --slurm_* options among the words of a command line, without their prefix, and the other words.

    Examples
    --------
    >>> split_options(["--lr", "0.1", "--slurm_partition", "gpu", "--slurm_time=60"])
    ({'partition': 'gpu', 'time': '60'}, ['--lr', '0.1'])
    """
    options, rest, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if not word.startswith(PREFIX):
            rest.append(word)
            continue
        name, equals, value = word.removeprefix(PREFIX).partition("=")
        if not equals:
            if not words or words[0].startswith("--"):
                raise ConfigError(f"{word} needs a value")
            value = words.pop(0)
        options[name] = value
    return options, rest


def whole_or_text(text: str) -> int | str:
    """submitit takes whole numbers as such."""
    return int(text) if text.isascii() and text.isdecimal() else text
