"""Keep an engine busy until every run is done or has failed too often. One failing run stops no other."""

import logging
from collections import Counter, deque
from typing import Protocol

from sweeping.grid import Run
from sweeping.launch import Outcome
from sweeping.progress_bar import ProgressBar
from sweeping.run_status import finished

log = logging.getLogger(__name__)
LOOK_EVERY = 2.0  # seconds between looks at the folders, where nothing ends


class Engine(Protocol):
    """What runs the runs."""

    def has_room(self) -> bool: ...
    def start(self, run: Run) -> None: ...
    def finished(self, seconds: float) -> list[tuple[Run, Outcome]]: ...
    def stop(self) -> None: ...


def run_all(runs: list[Run], engine: Engine, retries: int, bar: ProgressBar) -> list[Run]:
    """Run what is not done yet; returns the runs that failed.

    A run that failed is tried `retries` times more, after all others have had their turn. A user's mistake (exit
    status 2) is not tried again: it would fail again.
    """
    waiting, tries, failed, busy = deque(run for run in runs if not finished(run)), Counter(), [], 0
    try:
        while waiting or busy:
            while waiting and engine.has_room():
                engine.start(waiting.popleft())
                busy += 1
            for run, outcome in engine.finished(LOOK_EVERY):
                busy -= 1
                if outcome.status == "done":
                    log.info("done: %s", run.name)
                    continue
                tries[run] += 1
                again = tries[run] <= retries and outcome.exit != 2
                what = outcome.reason or "stopped by a signal"
                log.warning("%s: %s%s", run.name, what, ", trying again later" if again else "")
                waiting.extend([run] * again)
                failed.extend([run] * (not again))
            bar.show()
    finally:
        engine.stop()
        bar.close()
    return failed
