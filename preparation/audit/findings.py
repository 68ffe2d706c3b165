"""All files of several lists measured, and what follows: problems, doubtful files, shortcuts, twins. Plain data."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
from tqdm import tqdm

from corpus.audio import IN_FLIGHT, SAMPLE_RATE
from corpus.decoding import promised_samples
from corpus.lists import UtteranceList, check_root, located
from engine.parallel import in_order
from preparation.audit.measure import Facts, measure
from preparation.audit.shortcuts import predictability
from settings.text import for_csv

CROP_SECONDS = (200 * 160 + 240) / SAMPLE_RATE  # the trainer's default crop: what is shorter is repeated
NUMBERS: dict[str, Callable[[Facts], float]] = {
    "sampling rate (Hz)": lambda facts: facts.rate,
    "bandwidth (Hz)": lambda facts: facts.bandwidth,
    "bandwidth up to 8 kHz": lambda facts: min(facts.bandwidth, SAMPLE_RATE / 2),
    "loudness (LUFS)": lambda facts: facts.loudness,
    "peak": lambda facts: facts.peak,
    "leading silence (s)": lambda facts: facts.leading,
    "trailing silence (s)": lambda facts: facts.trailing,
    "duration (s)": lambda facts: facts.seconds,
}


def measure_all(tables: list[UtteranceList], root: str | Path, threads: int) -> dict[str, Facts]:
    """The facts of every file that the lists name, each read once; by path."""
    paths = list(dict.fromkeys(path for table in tables for path in table.paths))
    check_root(root, paths)
    found = in_order(measure, [located(root, path) for path in paths], threads, weigh=promised_samples, most=IN_FLIGHT)
    bar = tqdm(found, "measuring audio", len(paths), unit="file", leave=False, disable=None)
    return dict(zip(paths, bar, strict=True))


def files_csv(tables: list[UtteranceList], facts: dict[str, Facts]) -> str:
    """A row for each row of the lists, as CSV: list, path, system, and the facts of the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["list", "path", "system", *Facts.__dataclass_fields__])
    for table in tables:
        for path, system in zip(table.paths, table.systems, strict=True):
            fact = astuple(facts[path])
            writer.writerow([*map(for_csv, (table.source, path, system, *fact[:3])), *fact[3:-1], fact[-1]])
    return text.getvalue()


def audit(tables: list[UtteranceList], facts: dict[str, Facts]) -> dict:
    """What the report says, as plain data for JSON."""
    lists = {table.source: audit_list(table, facts) for table in tables}
    return {
        "training_would_fail": any(found["problems"] for found in lists.values()),
        "lists": lists,
        "identical_audio": identical(tables, facts),
        "shared_paths": shared_paths(tables),
    }


def audit_list(table: UtteranceList, facts: dict[str, Facts]) -> dict:
    """One list: problems by kind, doubtful files by kind, durations, a row for each system, shortcuts."""
    problems, doubtful, rows = defaultdict(list), defaultdict(list), []
    for row, path in enumerate(table.paths):
        fact = facts[path]
        if fact.problem:
            problems[fact.problem].append(f"line {table.lines[row]}: {fact.detail}")
            continue
        rows.append(row)
        doubts = {"silent": fact.silent, "clipped": fact.clipped, "shorter than a crop": fact.seconds < CROP_SECONDS}
        for kind in (kind for kind, true in doubts.items() if true):
            doubtful[kind].append(table.place(row))
    usable, systems = [facts[table.paths[row]] for row in rows], [table.systems[row] for row in rows]
    return {
        "files": len(table),
        "usable": len(usable),
        "hours": sum(fact.seconds for fact in usable) / 3600,
        "seconds": spread([fact.seconds for fact in usable]),
        "problems": dict(problems),
        "doubtful": dict(doubtful),
        "systems": {name: system_row(group) for name, group in sorted(grouped(usable, systems).items())},
        "shortcuts": {name: shortcut(usable, systems, number) for name, number in NUMBERS.items()},
    }


def grouped(usable: list[Facts], systems: list[str]) -> dict[str, list[Facts]]:
    groups = defaultdict(list)
    for fact, system in zip(usable, systems, strict=True):
        groups[system].append(fact)
    return groups


def system_row(group: list[Facts]) -> dict:
    """What the files of one system are like."""
    rates, forms = defaultdict(int), defaultdict(int)
    for fact in group:
        rates[fact.rate] += 1
        forms[fact.form] += 1
    return {
        "files": len(group),
        "rates": dict(sorted(rates.items(), key=lambda item: -item[1])),
        "forms": dict(sorted(forms.items(), key=lambda item: -item[1])),
        "bandwidth": spread([fact.bandwidth for fact in group]),
        "loudness": spread([fact.loudness for fact in group if not fact.silent]),
        "leading": spread([fact.leading for fact in group]),
        "trailing": spread([fact.trailing for fact in group]),
        "seconds": spread([fact.seconds for fact in group]),
    }


def spread(values: list[float]) -> list[float] | None:
    """The 5th, 50th and 95th percentile; None of nothing."""
    return [float(value) for value in np.percentile(values, (5, 50, 95))] if values else None


def shortcut(usable: list[Facts], systems: list[str], number: Callable[[Facts], float]) -> dict | None:
    found = predictability(np.array([number(fact) for fact in usable]), systems)
    return asdict(found) | {"suspicious": found.suspicious} if found else None


def identical(tables: list[UtteranceList], facts: dict[str, Facts]) -> list[dict]:
    """Groups of different paths with the same samples: `places`, whether they `cross` lists, and their `systems`."""
    groups: dict[str, dict[str, tuple]] = defaultdict(dict)
    for number, table in enumerate(tables):
        for row, path in enumerate(table.paths):
            if facts[path].content and not facts[path].silent:
                groups[facts[path].content].setdefault(path, (number, row))
    found = []
    for members in (group.values() for group in groups.values() if len(group) > 1):
        found.append(
            {
                "places": [tables[number].place(row) for number, row in members],
                "cross": len({number for number, _ in members}) > 1,
                "systems": sorted({tables[number].systems[row] for number, row in members}),
            }
        )
    return sorted(found, key=lambda group: (len(group["systems"]) == 1, not group["cross"]))


def shared_paths(tables: list[UtteranceList]) -> list[str]:
    """Paths that several lists name: "path: list, list"."""
    where = defaultdict(list)
    for table in tables:
        for path in dict.fromkeys(table.paths):
            where[path].append(table.source)
    return [f"{path}: {', '.join(sources)}" for path, sources in where.items() if len(sources) > 1]
