"""Look into embeddings: linear probe, UMAP, look-alike systems, neighbours, and a report of whole experiments.

Run: python analyse.py probe dev.npz (or umap, confusions, neighbours), on what trainSpeakerNet.py --eval
--save_embeddings dev.npz wrote, or on --checkpoint M --list L --path P; python analyse.py report exps/a exps/b
"""

import argparse
import sys

from analysis.command_line import parser
from settings.console import run_command, show


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when what was asked was done, 2 on a user's mistake."""
    return run_command(lambda: run(parser().parse_args(argv)))


def run(options: argparse.Namespace) -> None:
    """The command's work, whose modules are imported only now: a help text needs none of them."""
    from analysis import commands

    for line in getattr(commands, f"run_{options.command}")(options):
        show(line)


if __name__ == "__main__":
    sys.exit(main())
