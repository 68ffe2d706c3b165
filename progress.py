"""Where training stands: plain data that a checkpoint carries, so that a run goes on from there and nowhere else."""

from dataclasses import dataclass, field

import numpy as np

from plugins import ConfigError


class NotFinite(ConfigError):
    """The loss became NaN or infinite. `rows` are the batch's rows in the train list."""

    def __init__(self, message: str, rows: np.ndarray):
        super().__init__(message)
        self.rows = rows


@dataclass
class Progress:
    """Epoch and batch (0-based) that come next, the sums of the epoch in progress, and what finished epochs left.

    `history` holds a row for each finished epoch; `best_eer` is a fraction, None before the first evaluation.
    """

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    lr: float = 0.0
    utterances: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    history: list[dict] = field(default_factory=list)
    best_eer: float | None = None
    best_epoch: int = 0

    def add(self, loss: float, accuracy: float, lr: float, utterances: int, seconds: float, waited: float) -> None:
        """One batch done."""
        self.batch += 1
        self.loss += loss
        self.accuracy += accuracy
        self.lr = lr
        self.utterances += utterances
        self.seconds += seconds
        self.waited += waited

    def row(self) -> dict:
        """The metrics of the epoch in progress: means over its batches; `data_wait` is a fraction of its time."""
        return {
            "epoch": self.epoch + 1,
            "loss": self.loss / self.batch,
            "accuracy_percent": self.accuracy / self.batch,
            "lr": self.lr,
            "seconds": self.seconds,
            "utterances_per_s": self.utterances / self.seconds,
            "data_wait": self.waited / self.seconds,
        }

    def line(self) -> str:
        """The same in one line for people."""
        return (
            f"loss {self.loss / self.batch:.4f}, accuracy {self.accuracy / self.batch:5.2f} %, lr {self.lr:.2e}, "
            f"{self.utterances / self.seconds:.0f} utt/s, waiting for data {self.waited / self.seconds:.1%}"
        )

    def finish_epoch(self, row: dict) -> None:
        """Keep the epoch's row and stand at the beginning of the next."""
        self.history.append(row)
        self.epoch += 1
        self.batch = self.utterances = 0
        self.loss = self.accuracy = self.seconds = self.waited = 0.0
