"""Attack the readers of files with seeded damage and malice. Run: python -m benchmarks.attacks audio --count 10000

What must not be, a FAULT: a traceback, an exception that is no message, a signal, more time or memory than an attack's
bound, damaged content taken for the original. Exit status 1 where there is one; each is listed with the command that
repeats it. Needs Linux, no network, and data/demo alone.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from benchmarks.attacks import material
from benchmarks.attacks.worker import EQUAL, FAULT, OTHER, REFUSED, Attack, Case, run

COUNTS = {"audio": 10_000, "checkpoints": 5_000, "caches": 5_000, "values": 1_000, "yaml": 1_000, "kills": 100}
COLUMNS = "| attack | cases | refused | equal | other | faults | longest | most memory |"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(COUNTS)} (default: all)")
    options.add_argument("--count", type=int, help=f"cases of each part (default: {COUNTS})")
    options.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    options.add_argument("--case", type=int, help="try this one alone, and show how it ended")
    return options


def attack(part: str, made: material.Material, numbers: Sequence[int], seed: int) -> dict[str, list[Case]]:
    """The cases of a part, by attack."""
    attacks: list[Attack] = import_module(f"benchmarks.attacks.{part}").attacks(made)
    cases = {one.name: [] for one in attacks}
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder, suppress(KeyboardInterrupt):
        for case in run(attacks, numbers, seed, Path(folder)):  # Ctrl-C: what was tried until then is reported
            cases[attacks[case.number % len(attacks)].name].append(case)
    return {name: found for name, found in cases.items() if found}


def memory_folder() -> str | None:
    """A folder that is kept in memory, where there is one: hostile files live for a moment."""
    return next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)


def row(name: str, cases: list[Case]) -> str:
    """A line of the table."""
    ended = [sum(case.ended == how for case in cases) for how in (REFUSED, EQUAL, OTHER, FAULT)]
    longest, memory = max(case.seconds for case in cases), max(case.memory for case in cases)
    counts = " | ".join(f"{count:,}" for count in (len(cases), *ended))
    return f"| {name} | {counts} | {longest:.1f} s | {memory >> 20} MiB |"


def report(part: str, found: dict[str, list[Case]], seed: int, seconds: float) -> int:
    """Print the table of a part; the number of faults."""
    everything = [case for cases in found.values() for case in cases]
    print(f"\n{part}, seed {seed}, {seconds:.0f} s\n\n{COLUMNS}\n|{' --- |' * COLUMNS.count(' | ')} --- |")
    print("\n".join(row(name, cases) for name, cases in found.items()))
    print(row("all", everything))
    faults = defaultdict(list)
    for name, cases in found.items():
        for case in cases:
            if case.ended == FAULT:
                faults[name, ":".join(case.why.split(":")[:2])].append(case)
    for (name, kind), cases in faults.items():
        numbers = ", ".join(str(case.number) for case in cases)
        print(f"\nFAULT in {len(cases)}, {name}: {kind}\n  {cases[0].why}")
        print(f"  python -m benchmarks.attacks {part} --seed {seed} --case {cases[0].number}  (of {numbers})")
    sys.stdout.flush()
    return sum(map(len, faults.values()))


def main() -> int:
    asked = parser().parse_args()
    if unknown := set(asked.parts) - set(COUNTS):
        parser().error(f"no part {', '.join(unknown)}")
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        made = material.make(Path(folder))
        logging.getLogger().handlers.clear()
        for part in asked.parts or COUNTS:
            numbers = (
                range(COUNTS[part] if asked.count is None else asked.count) if asked.case is None else [asked.case]
            )
            began = time.monotonic()
            found = attack(part, made, numbers, asked.seed)
            faults += report(part, found, asked.seed, time.monotonic() - began)
            if asked.case is not None:
                print(*(f"{case.ended}: {case.why}" for cases in found.values() for case in cases))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
