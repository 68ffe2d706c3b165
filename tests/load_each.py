"""Load audio files one by one and say what became of each. Run: python -m tests.load_each < paths

A line for each file: `loaded`, `refused`, or what should never happen. A file that takes longer than its time ends the
process by SIGALRM, wherever it hangs; one that crashes a library ends it by that signal: the line is missing then.
"""

import resource
import signal
import sys
import warnings

import numpy as np

from corpus.audio import load_audio
from corpus.decoding import MIN_SECONDS, SAMPLE_RATE
from settings.errors import DataError

SECONDS = 20  # processor time would be fairer, but a hang need not use any
MEMORY = 300 << 20  # beyond what importing took


def outcome(path: str) -> str:
    """`loaded`, `refused`, or the fault."""
    try:
        samples = load_audio(path)
    except DataError as error:
        return "refused" if path in str(error) and "\n" not in str(error) else f"message: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if samples.dtype != np.float32 or samples.ndim != 1 or not np.isfinite(samples).all():
        return "loaded samples that are none"
    return "loaded" if len(samples) >= MIN_SECONDS * SAMPLE_RATE else f"loaded {len(samples)} samples"


def peak() -> int:
    """The most memory this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    warnings.simplefilter("error")
    start = peak()
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    for line in sys.stdin:
        before = peak()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        answer = outcome(line.rstrip("\n"))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if before - start < MEMORY < peak() - start:
            answer = f"took {(peak() - start) >> 20} MiB"
        sys.stdout.write(" ".join(answer.split()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
