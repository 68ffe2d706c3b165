"""Which known system made a recording, or is it none of them? Enrol, calibrate, identify, compare, validate, serve.

Run: python identify.py enrol LIST --checkpoint M --out bank.npz; python identify.py calibrate bank.npz DEV_LIST;
python identify.py identify bank.npz recording.wav. docs/identify.md has a worked example.

Exit status of `identify`: 0 every recording named, 3 some unknown, 1 some not readable, 2 a mistake in what was asked.
"""

import argparse
import sys

from identification.command_line import parser
from settings.console import run_command


def main(argv: list[str] | None = None) -> int:
    """Exit status as above; of the other sub-commands 0 when what was asked was done, 2 on a user's mistake."""
    return run_command(lambda: run(parser().parse_args(argv)))


def run(options: argparse.Namespace) -> int:
    """The command's work, whose modules are imported only now: a help text needs none of them."""
    from identification import commands

    return getattr(commands, f"run_{options.command}")(options)


if __name__ == "__main__":
    sys.exit(main())
