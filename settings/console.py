"""What every command does when it ends early: one line on the standard error and an exit status."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from settings.errors import UserError
from settings.text import harmless

MISTAKE = 2  # the exit status of a user's mistake


class HarmlessLines(logging.Formatter):
    """Log lines in which a terminal finds nothing to obey, whatever names of files and systems they quote."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return harmless(super().format(record))


def log_to(handler: logging.Handler, level: int = logging.WARNING, force: bool = True) -> None:
    """Send what is logged to a handler, as plain lines. Without `force`, only where it goes nowhere yet."""
    handler.setFormatter(HarmlessLines("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=force)


def show(text: str) -> None:
    """Lines for people, on the standard output; see `HarmlessLines`."""
    sys.stdout.write(f"{harmless(text)}\n")


def run_command(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit status: its own, or 0 where it returns none. Warnings go to the standard error.

    A user's mistake is 2 and `error: …`; Ctrl-C is 130 and `interrupted`; a reader of our output that has gone
    (`| head`) is 141 and nothing. Everything else is a bug and keeps its traceback.

    Examples
    --------
    >>> def main(argv=None):
    ...     return run_command(lambda: score(parser().parse_args(argv)))
    """
    log_to(logging.StreamHandler(), force=False)
    try:
        status = command() or 0
        sys.stdout.flush()  # here, where a broken pipe is still caught
        return status
    except UserError as mistake:
        return say(f"error: {mistake}", MISTAKE)
    except KeyboardInterrupt:
        return say("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it exits
        return 128 + 13  # SIGPIPE, which Windows has no name for


def say(line: str, status: int) -> int:
    """The line on the standard error; returns the status."""
    sys.stderr.write(f"{line}\n")
    return status
