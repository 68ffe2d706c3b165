"""Where training stands: plain data that a checkpoint carries, so that a run goes on from there and nowhere else."""

from dataclasses import asdict, dataclass, field

from settings.errors import ConfigError
from settings.text import shown


class NotFinite(ConfigError):
    """Loss or gradient became NaN or infinite, in this batch."""

    def __init__(self, message: str, batch: object):
        super().__init__(message)
        self.batch = batch


@dataclass
class Progress:
    """Epoch and batch (0-based) that come next, the sums of the epoch in progress, and what finished epochs left.

    `done` counts the epoch's batches that were learned from, `left_out` the run's batches that were not. `history`
    holds a row for each finished epoch; `best_eer` is a fraction, None before the first evaluation.
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

    def checked(self, batches: int) -> "Progress":
        """Itself. Raises TypeError or ValueError where no run with so many batches in an epoch can stand there."""
        for name, value in asdict(self).items():
            kinds = (type(getattr(Progress(), name)), int) if name != "best_eer" else (float, int, type(None))
            if not isinstance(value, kinds):
                raise TypeError(f"{name} is {shown(value)}")
        rows = [isinstance(row, dict) and row.get("epoch") == n for n, row in enumerate(self.history, 1)]
        if not 0 <= self.done <= self.batch <= batches or len(rows) != self.epoch or not all(rows):
            raise ValueError(f"epoch {self.epoch}, batch {self.batch} of {batches}, {len(rows)} epochs told")
        return self

    def add(self, loss: float, accuracy: float, lr: float, utterances: int) -> None:
        """One batch done."""
        self.batch += 1
        self.done += 1
        self.loss += loss
        self.accuracy += accuracy
        self.lr = lr
        self.utterances += utterances

    def leave_out(self) -> None:
        """One batch passed over."""
        self.batch += 1
        self.left_out += 1

    def row(self) -> dict:
        """The metrics of the epoch in progress: means over its batches; `data_wait` is a fraction of its time."""
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

    def line(self) -> str:
        """The same in one line for people."""
        row = self.row()
        return (
            f"loss {row['loss']:.4f}, accuracy {row['accuracy_percent']:5.2f} %, lr {self.lr:.2e}, "
            f"{row['utterances_per_s']:.0f} utt/s, waiting for data {row['data_wait']:.1%}"
        )

    def finish_epoch(self, row: dict) -> None:
        """Keep the epoch's row and stand at the beginning of the next."""
        self.history.append(row)
        self.epoch += 1
        self.batch = self.done = self.utterances = 0
        self.loss = self.accuracy = self.seconds = self.waited = 0.0
