"""Everything that a GPU is used for, tried once: what works and how fast. Run: python -m benchmarks.gpu_check

Writes a report in Markdown, to be sent with a question or a figure. Exit status 1 where a check failed, 2 without a
GPU; --device cpu tries the same parts on the processor, at sizes that say nothing of speed.
"""

import argparse
import gc
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import gpu_parts, gpu_switches
from benchmarks.demo_runs import thinned_lists
from benchmarks.gpu_parts import Check, Setup
from benchmarks.machine import gpu_facts, machine
from benchmarks.wav2vec2aasist import small_config
from engine.atomic_files import write_text
from engine.devices import find_device
from engine.experiment import commit
from settings.console import run_command
from settings.errors import ConfigError

PARTS = gpu_parts.PARTS | gpu_switches.PARTS


@dataclass(frozen=True)
class Row:
    """A check that was made: what it found, or how it failed."""

    part: str
    what: str
    passed: bool
    found: str


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="(default: %(default)s)")
    options.add_argument("--full", action="store_true", help="train XLS-R 300M too, with random weights")
    options.add_argument("--out", type=Path, default=Path("gpu_check.md"), help="the report (default: %(default)s)")
    return options


def gpu_or_cpu(name: str) -> torch.device:
    """The device. Raises ConfigError where there is no GPU."""
    try:
        return find_device(name)
    except ConfigError as why:
        raise ConfigError(f"{why}; --device cpu tries the same parts on the processor, at small sizes") from None


def attempt(part: str, check: Check) -> Row:
    """Make a check, whatever befalls it."""
    try:
        return Row(part, check.what, True, check.work())
    except Exception as error:  # every failure is a row of the report
        return Row(part, check.what, False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    finally:
        gc.collect()  # what a check held is not to count as the next one's memory
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def checked(setup: Setup) -> list[Row]:
    """All parts, each check printed as soon as it is made."""
    rows = []
    for part, checks in PARTS.items():
        for check in checks(setup):
            rows.append(row := attempt(part, check))
            print(f"{'ok' if row.passed else 'FAILED':<7}{row.what}: {row.found}", flush=True)
    return rows


def report(device: torch.device, rows: list[Row]) -> str:
    """The report in Markdown."""
    facts = {"date": time.strftime("%Y-%m-%d"), "commit": commit()[:12] or "not stated", "machine": machine(device)}
    if device.type == "cuda":
        facts |= gpu_facts(device)
    lines = ["# GPU check", "", table(("", ""), facts.items())]
    for part in dict.fromkeys(row.part for row in rows):
        mine = [(row.what, row.found if row.passed else f"**failed:** {row.found}") for row in rows if row.part == part]
        lines += ["", f"## {part}", "", table(("what", "found"), mine)]
    lines += ["", f"{sum(row.passed for row in rows)} of {len(rows)} checks passed."]
    return "\n".join(lines) + "\n"


def table(header: tuple[str, str], rows) -> str:
    """A Markdown table of two columns."""
    cells = [header, ("---", "---"), *((a, str(b).replace("|", "\\|")) for a, b in rows)]
    return "\n".join(f"| {a} | {b} |" for a, b in cells)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 where every check passed, 1 where one failed, 2 without a GPU."""
    return run_command(lambda: check(parser().parse_args(argv)))


def check(options: argparse.Namespace) -> int:
    """Run all parts; write and print the report."""
    device = gpu_or_cpu(options.device)
    small = device.type == "cpu"
    logging.disable(logging.WARNING)  # warnings of the trainer about runs as short as these
    try:
        with tempfile.TemporaryDirectory() as folder:
            thinned_lists(Path(folder), 18 if small else 6)
            setup = Setup(device, small, options.full, Path(folder), small_config(f"{folder}/speech_model"))
            rows = checked(setup)
    finally:
        logging.disable(logging.NOTSET)
    text = report(device, rows)
    write_text(options.out, text)
    print(f"\n{text}\nwritten to {options.out}")
    return int(not all(row.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
