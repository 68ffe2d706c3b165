"""An experiment is a folder: config.yaml, environment.json, model/, result/ (log, metrics, scores), tensorboard/."""

import hashlib
import json
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
import torchaudio

from engine import checkpoints
from engine.atomic_files import link_or_copy, write_text
from engine.averaging import mean_of_checkpoints
from engine.distributed import barrier, broadcast_object, rank
from engine.locks import Locked, hold
from settings.console import HarmlessLines
from settings.errors import ConfigError
from settings.options import Config
from settings.plugins import ROOT
from settings.resolve import dump

log = logging.getLogger(__name__)


class Experiment:
    """The folder `save_path` and where things lie in it. Raises ConfigError where it cannot be written.

    Of several processes that train together, process 0 alone writes; in the others the methods do nothing.
    """

    def __init__(self, save_path: str | Path):
        self.path = Path(save_path)
        self.models, self.results = self.path / "model", self.path / "result"
        self.writes = rank() == 0
        self.saved = time.monotonic()  # when last.model was, or this process began
        try:
            self.models.mkdir(parents=True, exist_ok=True)
            self.results.mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--save_path {save_path} cannot be written: {error.strerror}") from None
        write_text(self.results / ".writable", "")
        (self.results / ".writable").unlink(missing_ok=True)

    @property
    def last(self) -> Path:
        return self.models / "last.model"

    @property
    def previous(self) -> Path:
        return self.models / "previous.model"

    @property
    def best(self) -> Path:
        return self.models / "best.model"

    def numbered(self, epoch: int) -> Path:
        return self.models / f"model{epoch:09d}.model"

    def resumable(self) -> list[Path]:
        """The checkpoints that a run can go on from, the best choice first."""
        numbered = sorted(self.models.glob("model[0-9]*.model"), reverse=True)
        return [path for path in (self.last, self.previous, *numbered) if path.exists()]

    def prune(self, keep: int) -> None:
        """Remove all but the newest `keep` numbered checkpoints."""
        for path in sorted(self.models.glob("model[0-9]*.model"))[: -keep or None]:
            path.unlink()

    def clear(self) -> None:
        """Remove what an earlier run would be resumed from."""
        if self.writes:
            for path in self.models.glob("*.model"):
                path.unlink()
        barrier()

    def best_or_last(self, best_epoch: int) -> Path:
        """The checkpoint of lowest dev EER, the last where there is no dev list: the same on all processes.

        Where best.model is damaged, the numbered checkpoint of that epoch stands in for it.
        """
        barrier()
        chosen, spare = self.best if self.best.exists() else self.last, self.numbered(best_epoch)
        if self.writes and chosen == self.best and spare.exists() and not checkpoints.is_sound(chosen):
            log.warning("warning: %s is damaged; %s stands in for it", chosen, spare)
            chosen = spare
        return broadcast_object(chosen)

    def average(self, count: int) -> Path:
        """average.model, the mean of the newest `count` numbered checkpoints: the same on all processes.

        Raises ConfigError where there are fewer.
        """
        path, numbered = self.models / "average.model", sorted(self.models.glob("model[0-9]*.model"))
        if len(numbered) < count:
            raise ConfigError(f"--average {count}: there are {len(numbered)} numbered checkpoints in {self.models}")
        if self.writes:
            checkpoints.write(path, mean_of_checkpoints(numbered[-count:]))
        barrier()
        return path

    def sweep(self) -> None:
        """Remove the checkpoints that a killed run had half written."""
        for path in self.models.glob(".*.tmp"):
            path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the folder's only writer. Raises ConfigError that names the other; one that died holds nothing."""
        if not self.writes:
            yield
            return
        try:
            with hold(self.path / ".lock"):
                self.sweep()
                yield
        except Locked as locked:
            raise ConfigError(f"--save_path {self.path}: in use by {locked}") from None

    def save_last(self, state: dict) -> None:
        """last.model; the one before it stays as previous.model."""
        self.saved = time.monotonic()
        if not self.writes:
            return
        if self.last.exists():
            link_or_copy(self.last, self.previous)
        checkpoints.write(self.last, state)

    def save_evaluated(self, state: dict, epoch: int, best: bool, keep: int) -> None:
        """The numbered checkpoint of an epoch (1-based), best.model where it is that, and last.model."""
        self.saved = time.monotonic()
        if not self.writes:
            return
        path = self.numbered(epoch)
        checkpoints.write(path, state)
        if best:
            link_or_copy(path, self.best)
        if self.last.exists():
            link_or_copy(self.last, self.previous)
        link_or_copy(path, self.last)
        self.prune(keep)

    def minutes_unsaved(self) -> float:
        """How much training a kill would cost now."""
        return (time.monotonic() - self.saved) / 60

    def describe(self, config: Config, device: torch.device, filters: dict, recipe: str = "") -> None:
        """Write config.yaml, environment.json and, where there is a `recipe` of --augment, augmentation.yaml.

        `filters`: what the audio has passed, which environment.json keeps too.
        """
        if not self.writes:
            return
        write_text(self.path / "config.yaml", dump(config, self.path / "config.yaml"))
        if recipe:
            write_text(self.path / "augmentation.yaml", recipe)
        lists = [path for path in (config.train_list, config.dev_list, *config.test_list) if path]
        found = environment(device, lists) | {"filters": filters}
        write_text(self.path / "environment.json", json.dumps(found, indent=2) + "\n")

    def write_metrics(self, rows: list[dict]) -> None:
        """result/metrics.jsonl, a row an epoch."""
        if not self.writes:
            return
        write_text(self.results / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


class LogFile(logging.FileHandler):
    """A log that a full disk costs lines, with one warning, and not the run: the console has them too."""

    warned = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.warned:
            self.warned = True
            sys.stderr.write(f"warning: {self.baseFilename} cannot be written: {error.strerror}\n")

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append what is logged meanwhile to a plain text file; process 0 alone has one."""
    if rank():
        yield
        return
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(HarmlessLines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def environment(device: torch.device, lists: list[str]) -> dict:
    """What made the numbers: versions, device, threads, commit, and the lists' checksums."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchaudio": torchaudio.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
        "commit": commit(),
        "lists": {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in lists},
    }


def commit() -> str:
    """The git commit of the code, '+' behind it where files differ from it; '' outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
