"""Run a grid of trainings, on this machine or on a Ray cluster, and write one table of their results.

Run: python sweep.py configs/sweeps/table1_demo.yaml --parallel 2, with --dry_run to see what would be run. Any option
of trainSpeakerNet.py may follow, for all runs: --max_epoch 5 --save_path exps/quick.
"""

import argparse
import logging
import shlex
import sys
from pathlib import Path

from tqdm import tqdm

from engine.atomic_files import write_text
from engine.signals import Stopped, StopSignals
from settings.errors import UserError
from settings.sources import Parser
from sweeping import grid, heat_map, markdown, sweep_file, table
from sweeping.grid import Run
from sweeping.local import LocalEngine
from sweeping.progress_bar import ProgressBar
from sweeping.ray_engine import RayEngine
from sweeping.run_status import check_same, state
from sweeping.scheduler import Engine, run_all
from sweeping.sweep_file import Sweep


class Console(logging.StreamHandler):
    """Lines on stderr that leave the progress bar whole."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every run is done, 1 where some failed, 2 on a user's mistake, 128 + signal when stopped."""
    logging.basicConfig(format="%(message)s", handlers=[Console()], force=True)
    logging.getLogger("sweeping").setLevel(logging.INFO)
    try:
        options, overrides = command_line().parse_known_args(argv)
        return sweep(options, overrides)
    except UserError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    except Stopped as stop:
        sys.stderr.write(f"{stop}; the same command goes on from here\n")
        return stop.status


def command_line() -> Parser:
    """The sweep's own options; all others are the trainer's."""
    parser = Parser(
        description="Run a grid of trainings and write one table of their results.",
        epilog="Any option of trainSpeakerNet.py may follow; it then holds for all runs: --max_epoch 5.",
        allow_abbrev=False,
    )
    parser.add_argument("sweep", metavar="SWEEP.yaml", help="the grid")
    parser.add_argument("--dry_run", action="store_true", help="list the runs and what they would run, and stop")
    parser.add_argument("--table_only", action="store_true", help="write the table of what there is, and run nothing")
    parser.add_argument("--parallel", type=at_least(0), default=0, metavar="N",
                        help="runs at a time (default: 1; with Ray as many as there is room for)")  # fmt: skip
    parser.add_argument("--retries", type=at_least(0), default=1, metavar="N",
                        help="how often to try a failed run again (default: 1; a user's mistake is not)")  # fmt: skip
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="where runs run (default: local)")
    parser.add_argument("--address", default="auto", metavar="HOST:PORT",
                        help="the Ray cluster's head (default: the cluster this machine belongs to)")  # fmt: skip
    parser.add_argument("--cpus", type=amount, default=0, metavar="X",
                        help="CPUs of a run (default: an equal part of this machine; 1 with Ray)")  # fmt: skip
    parser.add_argument("--gpus", type=amount, default=0, metavar="X",
                        help="GPUs of a run with Ray, 0.5 for half of one (default: 0)")  # fmt: skip
    return parser


def at_least(minimum: int):
    """A reader of whole numbers for argparse."""

    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return whole


def amount(text: str) -> float:
    """A number of at least 0, or argparse's complaint."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def sweep(options: argparse.Namespace, overrides: list[str]) -> int:
    """Check everything, run what is not done, write the table; returns the exit status."""
    asked = sweep_file.read(options.sweep)
    runs = grid.runs(asked, overrides)
    paper = table.read_paper(asked.paper) if asked.paper else {}
    if options.dry_run:
        tell([*(f"{run.name}\n  {command(run)}" for run in runs), f"{len(runs)} runs"])
        return 0
    check_same(runs)
    folder, _ = grid.sweep_folder(asked, overrides)
    failed: list[Run] = []
    engine = None if options.table_only else make_engine(options)
    try:
        if engine:
            with StopSignals():
                failed = run_all(runs, engine, options.retries, ProgressBar(runs))
    finally:
        write_table(runs, asked, folder, paper, shlex.join(["python", "sweep.py", options.sweep, *overrides]))
    tell([ProgressBar(runs).line(), f"written: {folder}/table.md, table.csv, table.png"])
    return 1 if failed else 0


def command(run: Run) -> str:
    return shlex.join(["python", "trainSpeakerNet.py", *run.words])


def tell(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def make_engine(options: argparse.Namespace) -> Engine:
    """What is to run the runs."""
    if options.engine == "ray":
        return RayEngine(options.address, options.cpus or 1, options.gpus, options.parallel)
    return LocalEngine(options.parallel or 1, options.cpus)


def write_table(runs: list[Run], asked: Sweep, folder: str, paper: dict, command: str) -> None:
    """table.md, table.csv and table.png in the sweep's folder."""
    found = table.tabulate({run: state(run) for run in runs}, paper)
    title = Path(asked.source).stem
    preface = [asked.note.strip()] * bool(asked.note.strip())
    seeds = max(cell.seeds for cell in found.cells.values())
    preface.append(
        f"Made by `{command}`. Dev EER is that of the checkpoint with the least pooled dev EER, which is also the one "
        f"scored on the test lists. {f'Mean ± standard deviation over {seeds} seeds' if seeds > 1 else 'One seed'}; "
        "the best of each table in bold."
    )
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_text(f"{folder}/table.md", markdown.as_markdown(found, title, preface))
    write_text(f"{folder}/table.csv", table.as_csv(found))
    heat_map.draw(f"{folder}/table.png", found, title)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.exit(status)
