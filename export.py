"""Give a trained model to other programs: ONNX, sherpa-onnx and wespeaker, a Hugging Face folder, voxceleb_trainer.

Run: python export.py exps/demo/model/best.model --out exports/demo, with --format onnx (the default), wespeaker, hf or
voxceleb_trainer. ONNX needs `pip install -r requirements-export.txt`.
"""

import argparse
import sys

from exporting.command_line import parser
from settings.console import run_command, show


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when the folder is written, 2 on a user's mistake."""
    return run_command(lambda: run(parser().parse_args(argv)))


def run(options: argparse.Namespace) -> None:
    """The command's work, whose modules are imported only now: a help text needs none of them."""
    from exporting.commands import export

    for line in export(options):
        show(line)


if __name__ == "__main__":
    sys.exit(main())
