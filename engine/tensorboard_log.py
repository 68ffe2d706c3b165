"""A run's numbers for TensorBoard, beside metrics.jsonl, which is what counts."""

import logging
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

from engine.distributed import rank

log = logging.getLogger(__name__)


class TensorboardLog:
    """An events file in `folder`. A disk that cannot take it costs the file, with a warning, and not the run.

    (torch's own SummaryWriter writes from a thread, which a full disk ends with a traceback.)

    Parameters
    ----------
    folder : Path
    next_epoch : int
        What earlier files say from this epoch (1-based) on is void: it is trained again.
    """

    def __init__(self, folder: Path, next_epoch: int):
        self.file = None
        if rank():
            return
        begin = [Event(step=next_epoch, file_version="brain.Event:2")]
        begin += [Event(step=next_epoch, session_log=SessionLog(status=SessionLog.START))]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
            self.file = (folder / name).open("ab")
        except OSError as error:
            self.give_up(error)
        self.write(begin)

    def add(self, row: dict) -> None:
        """The numbers of an epoch, by name; `epoch` is their step."""
        self.write([Event(step=row["epoch"], summary=scalar(n, v)) for n, v in row.items() if n != "epoch"])

    def write(self, events: list[Event]) -> None:
        if not self.file:
            return
        try:
            for event in events:
                event.wall_time = time.time()
                RecordWriter(self.file).write(event.SerializeToString())
            self.file.flush()
        except OSError as error:
            self.give_up(error)

    def give_up(self, error: OSError) -> None:
        """Half an event may be in the file, behind which nothing could be read."""
        log.warning("warning: %s: %s; the run goes on without TensorBoard", error.filename or "events", error.strerror)
        self.close()

    def close(self) -> None:
        if self.file:
            with suppress(OSError):  # what is still to be written, if the disk is full
                self.file.close()
        self.file = None
