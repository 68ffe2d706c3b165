"""What each command of dataprep.py does with its parsed options; all return an exit status."""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from corpus.audio import SAMPLE_RATE
from corpus.build_cache import build_cache
from corpus.copies import check_copy, with_copies
from corpus.filters import AudioFilters
from corpus.lists import UtteranceList, read_list, write_list
from engine.atomic_files import write_text
from preparation import formats
from preparation.audit.findings import audit as audit_lists
from preparation.audit.findings import files_csv, measure_all
from preparation.audit.report import markdown
from preparation.download.addresses import read_addresses
from preparation.download.everything import download as download_everything
from preparation.formats import mlaad_protocol, rows
from preparation.formats.observations import describe_counts, observe
from preparation.formats.split import split
from settings.console import say, show
from settings.errors import ConfigError, DataError
from settings.text import bulleted, harmless

WRONG = 1  # exit status: training would fail with this data


def write_lists(tables: dict[str, UtteranceList], out: Path, official: bool = False) -> None:
    """Write each table to OUT/name.csv and print what it holds, compared with MLAADv5 where that is claimed."""
    make_folder(out)
    for name, table in tables.items():
        write_list(table, out / f"{name}.csv")
    show(describe_counts(tables, official))
    for remark in observe(tables):
        show(f"\nnote: {remark}")
    show(f"\nwritten: {', '.join(str(out / f'{name}.csv') for name in tables)}")


def make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be made: {error.strerror}") from None


def protocol(options: argparse.Namespace) -> int:
    tables = mlaad_protocol.read_protocol(options.source)
    if "conditions" in options.repair:
        tables = {
            name: replace(table, conditions=mlaad_protocol.conditions_by_train(table, tables["train"]))
            if name != "train"
            else table
            for name, table in tables.items()
        }
    if "repeats" in options.repair:
        tables = {name: table.without_repeats() for name, table in tables.items()}
    write_lists(tables, options.out, official=True)
    return 0


def lists(options: argparse.Namespace) -> int:
    if options.split and len(options.sources) > 1:
        raise ConfigError("--split takes one source: what has lists of its own is not split again")
    tables = {}
    for source in options.sources:
        table = formats.read(source, options.format)
        name = rows.split_of(source) if source.is_file() else "all"
        if name in tables:
            raise ConfigError(f"two sources would be {name}.csv: convert them one at a time")
        tables[name] = table if options.bonafide else without_bonafide(table)
    if options.split:
        tables = split(next(iter(tables.values())), options.seed)
    write_lists(with_conditions(tables), options.out)
    return 0


def without_bonafide(table: UtteranceList) -> UtteranceList:
    kept = [row for row, system in enumerate(table.systems) if system != formats.BONAFIDE]
    if len(kept) < len(table):
        show(f"{table.source}: {len(table) - len(kept)} rows of genuine speech skipped (--bonafide keeps them)")
    if not kept:
        raise DataError(f"{table.source}: nothing but genuine speech")
    return table.take(kept)


def with_conditions(tables: dict[str, UtteranceList]) -> dict[str, UtteranceList]:
    """Conditions by the train list, where there is one and a list has none of its own."""
    if "train" not in tables:
        return tables
    train = tables["train"]
    filled = {"train": replace(train, conditions=[mlaad_protocol.TRAIN] * len(train))}
    for name, table in tables.items():
        if name != "train" and not any(table.conditions):
            filled[name] = replace(table, conditions=mlaad_protocol.conditions_by_train(table, train))
    return tables | filled


def cache(options: argparse.Namespace) -> int:
    repeated = [name for name, n in Counter(Path(path).stem for path in options.lists).items() if n > 1]
    if repeated:
        raise ConfigError(f"several lists would be {repeated[0]}.cache: give each its own --out")
    filters = AudioFilters(options.lowpass, options.trim_silence, options.loudness_norm)
    for name in options.copies:
        check_copy(name)
    tables = [with_copies(read_list(path), options.copies) for path in options.lists]
    status = 0
    for table in tables:
        began = time.perf_counter()
        built = build_cache(options.out, table, options.path, options.threads, filters)
        show(
            f"{built.path}: {built.samples / SAMPLE_RATE / 3600:.2f} h; {built.decoded} files decoded, "
            f"{built.copied} kept, {built.resumed} resumed, in {time.perf_counter() - began:.1f} s"
        )
        if built.wrong:
            heading = f"{table.source}: {len(built.wrong)} files cannot be used"
            say(f"error: {harmless(bulleted(heading, list(built.wrong.values())))}", WRONG)
            status = WRONG
    return status


def audit(options: argparse.Namespace) -> int:
    tables = [read_list(path) for path in options.lists]
    facts = measure_all(tables, options.path, options.threads)
    findings = audit_lists(tables, facts)
    text = markdown(findings)
    show(text)
    if options.out:
        make_folder(options.out)
        write_text(options.out / "audit.md", text)
        write_text(options.out / "audit.json", json.dumps(findings, indent=1, allow_nan=False) + "\n")
        write_text(options.out / "files.csv", files_csv(tables, facts))
    return WRONG if findings["training_would_fail"] else 0


def download(options: argparse.Namespace) -> int:
    addresses = read_addresses(options.addresses)
    show(f"licence: {addresses.licence}")
    sys.stdout.flush()
    for line in download_everything(addresses, options.out, unpacking=not options.keep_packed):
        show(line)
    return 0
