"""The sub-commands of identify.py and their options."""

from identification.words import SCORERS
from settings.arguments import Parser, number, whole

BACKENDS = ("cosine", "wccn", "lda", "plda")


def parser() -> Parser:
    """The parser; the sub-command's name is kept in the parsed options as `command`."""
    everything = Parser(description="Which known system made a recording, or none of them?")
    commands = everything.add_subparsers(required=True, metavar="COMMAND")

    def subcommand(name: str, help: str) -> Parser:
        made = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=name)
        return made

    add_enrol(subcommand("enrol", "make a bank of known systems, or add some to one; nothing is trained"))
    add_remove(subcommand("remove", "take systems out of a bank"))
    add_calibrate(subcommand("calibrate", "learn likelihood ratios and the threshold for unknown systems"))
    add_identify(subcommand("identify", "rank the bank's systems for recordings, or answer that it is none of them"))
    add_compare(subcommand("compare", "are two recordings of the same system?"))
    add_validate(subcommand("validate", "how far the answers can be trusted: one page of figures, from a test list"))
    add_serve(subcommand("serve", "a page on this machine to drop recordings on"))
    return everything


def add_model(parser: Parser, required: bool = False) -> None:
    where = "the checkpoint that embeds" + ("" if required else " (default: where the bank says it was)")
    parser.add_argument("--checkpoint", metavar="FILE", required=required, help=where)
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps", help="where to embed (default: auto)")
    parser.add_argument("--threads", type=whole(1), metavar="N", help="that read audio (default: one for each core)")


def add_source(parser: Parser, what: str) -> None:
    parser.add_argument("source", metavar="LIST", help=f"{what}: a list (CSV with path,model_name) or saved embeddings")
    parser.add_argument("--path", metavar="FOLDER", default=".", help="where the list's paths start (default: here)")
    parser.add_argument("--skip_bad_audio", action="store_true", help="go on without files that cannot be read")


def add_enrol(parser: Parser) -> None:
    what = "utterances of known systems: a folder with a folder for each, a list (CSV with path,model_name), or .npz"
    parser.add_argument("source", metavar="FOLDER|LIST|E.npz", help=what)
    parser.add_argument("--path", metavar="FOLDER", default=".", help="where a list's paths start (default: here)")
    parser.add_argument("--skip_bad_audio", action="store_true", help="go on without files that cannot be read")
    parser.add_argument("--into", metavar="BANK.npz", help="add to this bank, which then needs to be calibrated again")
    parser.add_argument("--out", metavar="BANK.npz", help="the bank to write (default: that of --into)")
    parser.add_argument("--backend", choices=BACKENDS, default="cosine", help="(default: cosine)")
    learned = "embeddings with labels to learn the back-end from, or a saved one (default: the enrolled ones)"
    parser.add_argument("--backend_from", metavar="E.npz", help=learned)
    scores = "cosine to a system's mean, to its nearest utterances, or PLDA's ratio (default: centroid; plda of plda)"
    parser.add_argument("--scorer", choices=SCORERS, help=scores)
    keep = "utterances kept of a system; of one with more, --prototypes of them (default: 200)"
    parser.add_argument("--keep", type=whole(1), metavar="N", default=200, help=keep)
    parser.add_argument("--prototypes", type=whole(1), metavar="K", default=50, help="(default: 50)")
    add_model(parser)


def add_remove(parser: Parser) -> None:
    parser.add_argument("bank", metavar="BANK.npz")
    parser.add_argument("systems", nargs="+", metavar="SYSTEM")
    parser.add_argument("--out", metavar="BANK.npz", help="the bank to write (default: the same file)")


def add_calibrate(parser: Parser) -> None:
    parser.add_argument("bank", metavar="BANK.npz")
    add_source(parser, "a development list with enrolled systems and, better, others")
    rate = "of unknown systems that may be named, which sets the threshold (default: the equal error rate's)"
    parser.add_argument("--false_alarm", type=number(above=0, maximum=0.5), metavar="RATE", help=rate)
    parser.add_argument("--draws", type=whole(), default=200, metavar="N", help="of the bootstrap (default: 200)")
    parser.add_argument("--seed", type=whole(), default=0, metavar="N", help="of the bootstrap (default: 0)")
    parser.add_argument("--out", metavar="BANK.npz", help="the bank to write (default: the same file)")
    add_model(parser)


def add_identify(parser: Parser) -> None:
    parser.add_argument("bank", metavar="BANK.npz")
    parser.add_argument("files", nargs="+", metavar="FILE|FOLDER|-", help="recordings; -: paths on standard input")
    parser.add_argument("--top", type=whole(1), default=5, metavar="N", help="systems to rank (default: 5)")
    prior = "uniform, over the bank's systems and none of them, or a CSV file system,prior (default: uniform)"
    parser.add_argument("--prior", default="uniform", metavar="uniform|FILE", help=prior)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line: the limits, then every recording")
    form.add_argument("--csv", action="store_true", help="a row for each system ranked")
    parser.add_argument("--segments", type=number(0.2), metavar="SECONDS", help="score windows of this length, too")
    parser.add_argument("--picture", metavar="FILE.png", help="of --segments, of one recording")
    parser.add_argument("--against", nargs=2, metavar=("A", "B"), help="the ratio of system A against system B, too")
    parser.add_argument("--why", type=whole(1), metavar="K", help="the K nearest files of the bank, too")
    parser.add_argument("--language", default="", metavar="L", help="that is spoken, as the calibration list calls it")
    parser.add_argument(
        "--scale", metavar="FILE.csv", help="words for ratios (default: identification/verbal_scale.csv)"
    )
    add_model(parser)


def add_compare(parser: Parser) -> None:
    parser.add_argument("first", metavar="A.wav")
    parser.add_argument("second", metavar="B.wav")
    parser.add_argument("--bank", metavar="BANK.npz", required=True, help="whose model and calibration compare them")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--scale", metavar="FILE.csv", help="words for ratios (default: identification/verbal_scale.csv)"
    )
    add_model(parser)


def add_validate(parser: Parser) -> None:
    parser.add_argument("bank", metavar="BANK.npz")
    add_source(parser, "a test list with enrolled systems and, better, others")
    parser.add_argument("--out", metavar="FOLDER", default="validation", help="for the page and its figures as JSON")
    parser.add_argument("--draws", type=whole(), default=500, metavar="N", help="of the bootstrap (default: 500)")
    parser.add_argument("--seed", type=whole(), default=0, metavar="N", help="of the bootstrap (default: 0)")
    add_model(parser)


def add_serve(parser: Parser) -> None:
    parser.add_argument("bank", metavar="BANK.npz")
    parser.add_argument("--port", type=whole(1, 65535), default=7860, metavar="N", help="of 127.0.0.1 (default: 7860)")
    seconds = "of a recording that is taken (default: 120)"
    parser.add_argument("--most_seconds", type=number(1, maximum=3600), default=120.0, metavar="S", help=seconds)
    parser.add_argument("--audio", metavar="FOLDER", help="where the bank's files are, to listen to the nearest")
    parser.add_argument(
        "--scale", metavar="FILE.csv", help="words for ratios (default: identification/verbal_scale.csv)"
    )
    add_model(parser)
