"""What sweep.py does with its parsed options: check every run, run what is not done, write the table."""

import argparse
import shlex
from pathlib import Path

from engine.atomic_files import write_text
from engine.signals import StopSignals
from settings.console import show
from settings.errors import ConfigError
from settings.text import for_markdown, for_terminal
from sweeping import grid, heat_map, markdown, sweep_file, table
from sweeping.grid import Run
from sweeping.local import LocalEngine
from sweeping.progress_bar import ProgressBar
from sweeping.ray_engine import RayEngine
from sweeping.run_status import check_same, state
from sweeping.scheduler import Engine, run_all
from sweeping.slurm_engine import SlurmEngine, split_options
from sweeping.sweep_file import Sweep


def sweep(options: argparse.Namespace, overrides: list[str]) -> int:
    """Check everything, run what is not done, write the table; returns the exit status."""
    slurm, overrides = split_options(overrides)
    if slurm and options.engine != "slurm":
        raise ConfigError(f"--slurm_{next(iter(slurm))} is for --engine slurm")
    asked = sweep_file.read(options.sweep)
    runs = grid.runs(asked, overrides)
    paper = table.read_paper(asked.paper) if asked.paper else {}
    if options.dry_run:
        report([*(f"{run.name}\n  {for_terminal(command(run))}" for run in runs), f"{len(runs)} runs"])
        return 0
    check_same(runs)
    folder, _ = grid.sweep_folder(asked, overrides)
    failed: list[Run] = []
    engine = None if options.table_only else make_engine(options, Path(folder) / "slurm", slurm)
    try:
        if engine:
            with StopSignals():
                failed = run_all(runs, engine, options.retries, ProgressBar(runs))
    finally:
        write_table(runs, asked, folder, paper, shlex.join(["python", "sweep.py", options.sweep, *overrides]))
    report([ProgressBar(runs).line(), f"written: {folder}/table.md, table.csv, table.png"])
    return 1 if failed else 0


def command(run: Run) -> str:
    return shlex.join(["python", "trainSpeakerNet.py", *run.words])


def report(lines: list[str]) -> None:
    """Lines on the standard output."""
    for line in lines:
        show(line)


def make_engine(options: argparse.Namespace, logs: Path, slurm: dict[str, str]) -> Engine:
    """What is to run the runs; `logs` and `slurm` are for SLURM."""
    if options.engine == "slurm":
        return SlurmEngine(logs, options.cpus or 1, options.gpus, options.parallel, slurm)
    if options.engine == "ray":
        return RayEngine(options.address, options.cpus or 1, options.gpus, options.parallel)
    return LocalEngine(options.parallel or 1, options.cpus)


def write_table(runs: list[Run], asked: Sweep, folder: str, paper: dict, command: str) -> None:
    """table.md, table.csv and table.png in the sweep's folder."""
    found = table.tabulate({run: state(run) for run in runs}, paper)
    title = Path(asked.source).stem
    preface = [asked.note.strip()] * bool(asked.note.strip())
    seeds = max(cell.seeds for cell in found.cells.values())
    means = f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    preface.append(
        f"Made by {for_markdown(command)}. Dev EER is that of the checkpoint with the least pooled dev EER, which is "
        f"also the one scored on the test lists. {means}; "
        "the best of each table in bold."
    )
    write_text(f"{folder}/table.md", markdown.as_markdown(found, title, preface))
    write_text(f"{folder}/table.csv", table.as_csv(found))
    heat_map.draw(f"{folder}/table.png", found, title)
