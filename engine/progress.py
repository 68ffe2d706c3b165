"""Where training stands: plain data that a checkpoint carries, so that a run resumes exactly there."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from tqdm import tqdm

from engine.distributed import rank
from settings.errors import ConfigError
from settings.text import shown

log = logging.getLogger(__name__)


class NotFinite(ConfigError):
    """Loss or gradient became NaN or infinite, in this batch."""

    def __init__(self, message: str, batch: object):
        super().__init__(message)
        self.batch = batch


@dataclass
class Progress:
    """Epoch and batch (0-based) that come next, the sums of the epoch in progress, and what finished epochs left.

    `done` counts the epoch's batches that were learned from, `left_out` the run's batches that were skipped. `history`
    holds a row for each finished epoch; `best_eer` is a fraction, None before the first evaluation, on
    the dev list of which `dev_list` is the digest.
    """

    epoch: int = 0
    batch: int = 0
    done: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    lr: float = 0.0
    utterances: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    history: list[dict] = field(default_factory=list)
    best_eer: float | None = None
    best_epoch: int = 0
    left_out: int = 0
    dev_list: str = ""

    def checked(self, batches: int) -> "Progress":
        """Itself. Raises TypeError or ValueError where no run with so many batches in an epoch can stand there."""
        for name, value in asdict(self).items():
            kinds = (type(getattr(Progress(), name)), int) if name != "best_eer" else (float, int, type(None))
            if not isinstance(value, kinds):
                raise TypeError(f"{name} is {shown(value)}")
        rows = [isinstance(row, dict) and row.get("epoch") == n for n, row in enumerate(self.history, 1)]
        if not 0 <= self.done <= self.batch <= batches or len(rows) != self.epoch or not all(rows):
            raise ValueError(f"epoch {self.epoch}, batch {self.batch} of {batches}, {len(rows)} finished epochs")
        return self

    def add(self, loss: float, accuracy: float, lr: float, utterances: int) -> None:
        """One batch done."""
        self.batch += 1
        self.done += 1
        self.loss += loss
        self.accuracy += accuracy
        self.lr = lr
        self.utterances += utterances

    def skip(self) -> None:
        """One batch skipped."""
        self.batch += 1
        self.left_out += 1

    def row(self) -> dict:
        """The metrics of the epoch in progress: means over its batches.

        `data_wait` is the fraction of its time in which the device stood still because a batch was not there yet.
        """
        return {
            "epoch": self.epoch + 1,
            "loss": self.loss / max(1, self.done),
            "accuracy_percent": self.accuracy / max(1, self.done),
            "lr": self.lr,
            "seconds": self.seconds,
            "utterances_per_s": self.utterances / max(1e-9, self.seconds),
            "data_wait": self.waited / max(1e-9, self.seconds),
            "batches_left_out": self.left_out,
        }

    def judge_by(self, dev_list: str) -> None:
        """Choose the best epoch on the dev list of this digest; what was best on another list says nothing here."""
        if self.dev_list and self.dev_list != dev_list and self.best_eer is not None:
            log.warning("warning: the dev list has changed: best.model is chosen anew, from the next evaluation on")
            self.best_eer = None
        self.dev_list = dev_list

    def finish_epoch(self, row: dict) -> bool:
        """Keep the epoch's row and stand at the beginning of the next; whether this epoch is the best on dev so far."""
        self.history.append(row)
        self.epoch += 1
        best = "dev_eer" in row and (self.best_eer is None or row["dev_eer"] < self.best_eer)
        if best:
            self.best_eer, self.best_epoch = row["dev_eer"], self.epoch
        self.batch = self.done = self.utterances = 0
        self.loss = self.accuracy = self.seconds = self.waited = 0.0
        return best


def line(row: dict) -> str:
    """An epoch's row in one line for people."""
    text = (
        f"epoch {row['epoch']}: loss {row['loss']:.4f}, accuracy {row['accuracy_percent']:5.2f} %, lr {row['lr']:.2e}, "
        f"{row['utterances_per_s']:.0f} utt/s, waiting for data {row['data_wait']:.1%}"
    )
    if "utterances_used" in row:
        text += f", {row['utterances_used']} of {row['utterances_available']} utterances"
    if "dev_eer" in row:
        text += f", dev EER {row['dev_eer']:.2%} (macro {row['dev_macro_eer']:.2%})"
    return text


def batches(loader, progress: Progress, epochs: int) -> Iterator:
    """The batches of the epoch at which `progress` stands, from where it stands on.

    A bar shows how far the epoch is, its metrics, and how long the whole run of `epochs` epochs has yet to go.
    """
    first, total, silent = progress.batch, len(loader), True if rank() else None
    title = f"epoch {progress.epoch + 1}/{epochs}"
    with tqdm(None, title, total, initial=first, unit="batch", leave=False, disable=silent) as bar:
        for number, batch in enumerate(loader.epoch(progress.epoch, first), first + 1):
            yield batch
            bar.update()
            left = (epochs - progress.epoch) * total - number
            hours = left * progress.seconds / max(1, progress.batch) / 3600
            metrics = line(progress.row()).split(": ", 1)[1]
            bar.set_postfix_str(f"{metrics}, {hours:.1f} h to go" if not silent else "", refresh=False)
