"""Run a command that ends when its parent does, however that ends: python -m sweeping.die_with_parent PID COMMAND"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def main(words: list[str], parent: int) -> None:
    """Become the command. When the parent dies, even by SIGKILL, the kernel sends SIGTERM: the trainer saves."""
    for name in ("SIGUSR1", "SIGUSR2"):  # SLURM warns all of a job's processes by one of them; its parent acts on it
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(128 + signal.SIGTERM)
    os.execv(words[0], words)


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
