"""Run a grid of trainings, on this machine, a Ray cluster or SLURM, and write one table of their results.

Run: python sweep.py configs/sweeps/table1_demo.yaml --parallel 2, with --dry_run to see what would be run. Any option
of trainSpeakerNet.py may follow, for all runs: --max_epoch 5 --save_path exps/quick.
"""

import argparse
import logging
import sys

from tqdm import tqdm

from settings.arguments import Parser, number, whole
from settings.console import log_to, run_command, say


class Console(logging.StreamHandler):
    """Lines on stderr that leave the progress bar whole."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every run is done, 1 where some failed, 2 on a user's mistake, 128 + signal when stopped."""
    return run_command(lambda: run(*command_line().parse_known_args(argv)))


def run(options: argparse.Namespace, overrides: list[str]) -> int:
    """The sweep, whose modules are imported only now: a help text needs none of them."""
    from engine.signals import Stopped
    from sweeping.commands import sweep

    log_to(Console())
    logging.getLogger("sweeping").setLevel(logging.INFO)
    try:
        return sweep(options, overrides)
    except Stopped as stop:
        return say(f"{stop}; the same command resumes the sweep", stop.status)


def command_line() -> Parser:
    """The sweep's own options; all others are the trainer's."""
    parser = Parser(
        description="Run a grid of trainings and write one table of their results.",
        epilog="Any option of trainSpeakerNet.py may follow; it then holds for all runs: --max_epoch 5.",
    )
    parser.add_argument("sweep", metavar="SWEEP.yaml", help="the grid")
    parser.add_argument("--dry_run", action="store_true", help="list the runs and what they would run, and stop")
    parser.add_argument("--table_only", action="store_true", help="write the table of what there is, and run nothing")
    parser.add_argument("--parallel", type=whole(), default=0, metavar="N",
                        help="runs at a time (default: 1; with Ray and SLURM as many as fit)")  # fmt: skip
    parser.add_argument("--retries", type=whole(), default=1, metavar="N",
                        help="how often to try a failed run again (default: 1; a user's mistake is not)")  # fmt: skip
    parser.add_argument("--engine", choices=("local", "ray", "slurm"), default="local",
                        help="where runs run (default: local); slurm takes sbatch's options, too: --slurm_partition P, "
                        "--slurm_time MINUTES, ...")  # fmt: skip
    parser.add_argument("--address", default="auto", metavar="HOST:PORT",
                        help="the Ray cluster's head (default: the cluster this machine belongs to)")  # fmt: skip
    parser.add_argument("--cpus", type=number(0), default=0, metavar="X",
                        help="CPUs of a run (default: a part of this machine; 1 with Ray and SLURM)")  # fmt: skip
    parser.add_argument("--gpus", type=number(0), default=0, metavar="X",
                        help="GPUs of a run with Ray and SLURM, with Ray 0.5 for half of one (default: 0)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
