"""Prepare data for training. Run: python dataprep.py protocol mlaad4sourcetracing.zip --out data_lists/mlaad_v5"""

import argparse
import sys
from pathlib import Path

from engine.parallel import usable_cores
from preparation import formats
from preparation.download.addresses import DEFAULT
from settings.arguments import Parser, whole
from settings.console import run_command


def parser() -> Parser:
    top = Parser(description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str) -> Parser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(command=name)
        return made

    made = command("protocol", "the organisers' protocol to train.csv, dev.csv, test.csv with conditions")
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

    made = command("lists", "other corpora's protocols, metadata or folders to lists")
    made.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="a protocol file, or a folder of audio")
    made.add_argument("--out", type=Path, required=True, help="folder for the lists")
    made.add_argument("--format", choices=tuple(formats.READERS), help="the sources' form (default: recognised)")
    made.add_argument("--bonafide", action="store_true", help="keep genuine speech, as a class of that name")
    made.add_argument("--split", action="store_true", help="make train, dev and test with seen and unseen systems")
    made.add_argument("--seed", type=int, default=10, help="of --split (default: 10)")

    made = command("audit", "read every file; report what breaks training and what gives systems away")
    made.add_argument("lists", nargs="+", metavar="LIST")
    add_audio_options(made)
    made.add_argument("--out", type=Path, help="folder for audit.md, audit.json and files.csv (a row for each file)")

    made = command("cache", "decode each list's audio once, into one file for the trainer's --cache")
    made.add_argument("lists", nargs="+", metavar="LIST")
    add_audio_options(made)
    made.add_argument("--out", type=Path, required=True, help="folder for the caches")
    made.add_argument("--lowpass", type=float, default=0.0, metavar="HZ", help="remove what is above (0: nothing)")
    made.add_argument("--trim_silence", action="store_true", help="remove silence before and after the speech")
    made.add_argument("--loudness_norm", action="store_true", help="bring every file to -23 LUFS")
    made.add_argument(
        "--copies",
        nargs="+",
        default=[],
        metavar="COPY",
        help="with a train list: every file once more through each of these, for --augment (docs/augmentation.md)",
    )

    made = command("download", "the organisers' archive and protocol: fetched, resumed, checked, unpacked")
    made.add_argument("--out", type=Path, required=True, help="folder for the downloads and the unpacked data")
    made.add_argument(
        "--addresses", type=Path, default=DEFAULT, help="your own table of addresses (default: %(default)s)"
    )
    made.add_argument("--keep_packed", action="store_true", help="fetch and check only")
    return top


def add_audio_options(made: Parser) -> None:
    made.add_argument("--path", type=Path, required=True, help="folder that the lists' paths start from")
    made.add_argument(
        "--threads", type=whole(1, 1024), default=usable_cores(), help="files read at once (default: the cores)"
    )


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, 1 where training would fail with the data, 2 on a user's mistake."""
    return run_command(lambda: run(parser().parse_args(argv)))


def run(options: argparse.Namespace) -> int:
    """The command's work, whose modules are imported only now: a help text needs none of them."""
    from preparation import commands

    return getattr(commands, options.command)(options)


if __name__ == "__main__":
    sys.exit(main())
