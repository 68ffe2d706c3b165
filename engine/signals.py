"""SIGINT and SIGTERM: stop where everything is consistent, so that a scheduler's preemption loses nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from engine.distributed import any_process


class Stopped(Exception):
    """The process was asked to stop. `status` is the exit status a shell expects: 128 + the signal's number.

    `torn`: it was asked twice, and stopped in the middle of something: what is in memory must not be kept.
    """

    def __init__(self, signum: int, torn: bool = False):
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.status, self.torn = 128 + signum, torn


class StopSignals:
    """While entered, SIGINT and SIGTERM raise `Stopped` at once; inside `deferred()` the second does, torn."""

    def __init__(self):
        self.pending: int | None = None
        self.waits = False

    def __enter__(self) -> "StopSignals":
        self.previous = {s: signal.signal(s, self.handle) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)

    def handle(self, signum: int, frame: object) -> None:  # noqa: ARG002 the signature that Python calls
        impatient, self.pending = self.pending is not None, signum
        if impatient or not self.waits:
            raise Stopped(signum, torn=self.waits)

    def stop_if(self, agreed: bool) -> None:
        """Raises `Stopped` where this process, or another that trains with it, was asked to stop."""
        if agreed:
            raise Stopped(self.pending or signal.SIGTERM)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A stretch in which signals are only noted, in `pending`; its end raises `Stopped` where there was one.

        Where several processes train together, all are there at its end, and stop if any was asked to.
        """
        self.waits = True
        try:
            yield
        finally:
            self.waits = False
        self.stop_if(any_process(self.pending is not None))
