"""Prepare data for training. Run: python dataprep.py protocol mlaad4sourcetracing.zip --out data_lists/mlaad_v5"""

import argparse
import json
import logging
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from corpus.audio import SAMPLE_RATE
from corpus.build_cache import build_cache
from corpus.filters import AudioFilters
from corpus.lists import UtteranceList, read_list, write_list
from engine.atomic_files import write_text
from engine.parallel import usable_cores
from preparation import formats
from preparation.audit.findings import audit as audit_lists
from preparation.audit.findings import files_csv, measure_all
from preparation.audit.report import markdown
from preparation.download.addresses import DEFAULT, read_addresses
from preparation.download.everything import download as download_everything
from preparation.formats import mlaad_protocol, rows
from preparation.formats.observations import describe_counts, observe
from preparation.formats.split import split
from settings.errors import ConfigError, DataError, UserError
from settings.text import bulleted

WRONG, FAILED = 1, 2  # exit statuses: training would fail with this data; what was asked could not be done


def write_lists(tables: dict[str, UtteranceList], out: Path, official: bool = False) -> None:
    """Write each table to OUT/name.csv and print what it holds, compared with MLAADv5 where that is claimed."""
    make_folder(out)
    for name, table in tables.items():
        write_list(table, out / f"{name}.csv")
    print(describe_counts(tables, official))
    for remark in observe(tables):
        print(f"\nnote: {remark}")
    print(f"\nwritten: {', '.join(str(out / f'{name}.csv') for name in tables)}")


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
        tables = {name: mlaad_protocol.drop_repeats(table) for name, table in tables.items()}
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
        print(f"{table.source}: {len(table) - len(kept)} rows of genuine speech left out (--bonafide keeps them)")
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
    tables = [read_list(path) for path in options.lists]
    status = 0
    for table in tables:
        began = time.perf_counter()
        built = build_cache(options.out, table, options.path, options.threads, filters)
        print(
            f"{built.path}: {built.samples / SAMPLE_RATE / 3600:.2f} h; {built.decoded} files decoded, "
            f"{built.copied} kept, {built.resumed} resumed, in {time.perf_counter() - began:.1f} s"
        )
        if built.wrong:
            heading = f"{table.source}: {len(built.wrong)} files cannot be used"
            print(f"dataprep.py: {bulleted(heading, list(built.wrong.values()))}", file=sys.stderr)
            status = WRONG
    return status


def audit(options: argparse.Namespace) -> int:
    tables = [read_list(path) for path in options.lists]
    facts = measure_all(tables, options.path, options.threads)
    findings = audit_lists(tables, facts)
    text = markdown(findings)
    print(text)
    if options.out:
        make_folder(options.out)
        write_text(options.out / "audit.md", text)
        write_text(options.out / "audit.json", json.dumps(findings, indent=1, allow_nan=False) + "\n")
        write_text(options.out / "files.csv", files_csv(facts))
    return WRONG if findings["training_would_fail"] else 0


def download(options: argparse.Namespace) -> int:
    addresses = read_addresses(options.addresses)
    print(f"licence: {addresses.licence}", flush=True)
    for line in download_everything(addresses, options.out, unpacking=not options.keep_packed):
        print(line)
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    made = command("protocol", protocol, "the organisers' protocol to train.csv, dev.csv, test.csv with conditions")
    made.add_argument(
        "source", type=Path, help="mlaad4sourcetracing.zip, or a folder with train.csv, dev.csv, eval.csv"
    )
    made.add_argument("--out", type=Path, required=True, help="folder for the lists")
    made.add_argument(
        "--repair",
        nargs="+",
        default=[],
        choices=("repeats", "conditions"),
        help="repeats: drop rows listed before; conditions: take each from the train list (default: change nothing)",
    )

    made = command("lists", lists, "other corpora's protocols, metadata or folders to lists")
    made.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="a protocol file, or a folder of audio")
    made.add_argument("--out", type=Path, required=True, help="folder for the lists")
    made.add_argument("--format", choices=tuple(formats.READERS), help="the sources' form (default: recognised)")
    made.add_argument("--bonafide", action="store_true", help="keep genuine speech, as a class of that name")
    made.add_argument("--split", action="store_true", help="make train, dev and test with seen and unseen systems")
    made.add_argument("--seed", type=int, default=10, help="of --split (default: 10)")

    made = command("audit", audit, "read every file; tell what breaks training and what gives systems away")
    made.add_argument("lists", nargs="+", metavar="LIST")
    add_audio_options(made)
    made.add_argument("--out", type=Path, help="folder for audit.md, audit.json and files.csv (a row for each file)")

    made = command("cache", cache, "decode each list's audio once, into one file for the trainer's --cache")
    made.add_argument("lists", nargs="+", metavar="LIST")
    add_audio_options(made)
    made.add_argument("--out", type=Path, required=True, help="folder for the caches")
    made.add_argument("--lowpass", type=float, default=0.0, metavar="HZ", help="remove what is above (0: nothing)")
    made.add_argument("--trim_silence", action="store_true", help="remove silence before and after the speech")
    made.add_argument("--loudness_norm", action="store_true", help="bring every file to -23 LUFS")

    made = command("download", download, "the organisers' archive and protocol: fetched, resumed, checked, unpacked")
    made.add_argument("--out", type=Path, required=True, help="folder for the downloads and the unpacked data")
    made.add_argument(
        "--addresses", type=Path, default=DEFAULT, help="your own table of addresses (default: %(default)s)"
    )
    made.add_argument("--keep_packed", action="store_true", help="fetch and check only")
    return top


def add_audio_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--path", type=Path, required=True, help="folder that the lists' paths start from")
    made.add_argument(
        "--threads", type=positive, default=usable_cores(), help="files read at once (default: the cores)"
    )


def positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"{value} is not between 1 and 1024")
    return value


def main(argv: list[str] | None = None) -> int:
    """The exit status: 0, WRONG or FAILED."""
    logging.basicConfig(format="%(message)s")
    options = parser().parse_args(argv)
    try:
        return options.run(options)
    except UserError as error:
        print(f"dataprep.py: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("dataprep.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
