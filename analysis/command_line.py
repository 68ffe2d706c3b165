"""The subcommands of analyse.py and their options."""

from analysis.choices import LEAST, METHODS, ProbeSettings
from settings.arguments import Parser, number, whole


def parser() -> Parser:
    """The parser; the sub-command's name is kept in the parsed options as `command`."""
    whole_parser = Parser(description="Look into embeddings.")
    commands = whole_parser.add_subparsers(required=True, metavar="COMMAND")

    def subcommand(name: str, help: str) -> Parser:
        made = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=name)
        seed = {"type": whole(), "metavar": "N", "default": 10}
        made.add_argument("--seed", **seed, help="of all that is drawn at random (default: 10)")
        return made

    add_probe(subcommand("probe", "how well one linear layer separates the systems (the paper's figure 1)"))
    add_umap(subcommand("umap", "a map of the embeddings: pictures and an interactive page (the paper's figure 2)"))
    add_source(subcommand("confusions", "which systems are mistaken for which: mean cosines, clustered"))
    add_neighbours(subcommand("neighbours", "the nearest neighbours of utterances, and of which systems they are"))
    add_report(subcommand("report", "one page on an experiment, or on several side by side"))
    return whole_parser


def add_source(parser: Parser) -> None:
    """What a subcommand looks into: an .npz file, or a checkpoint and a list."""
    parser.add_argument(
        "embeddings", nargs="?", metavar="EMBEDDINGS.npz", help="what --save_embeddings wrote, or instead:"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="a checkpoint that embeds the utterances of --list")
    parser.add_argument("--list", metavar="FILE", help="CSV with path,model_name")
    parser.add_argument("--path", metavar="FOLDER", default="data", help="where the list's paths start (default: data)")
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|mps", help="where to embed (default: auto)")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where results go (default: beside the .npz file or checkpoint)"
    )


def add_probe(parser: Parser) -> None:
    default = ProbeSettings()
    add_source(parser)
    sizes = "utterances kept of each system: as many as the smallest has (default), as most have, or N"
    parser.add_argument("--per_system", metavar="smallest|common|N", type=per_system, default="smallest", help=sizes)
    parser.add_argument("--leave_out", nargs="+", default=[], metavar="SYSTEM", help="systems to leave out")
    count = {"metavar": "N", "type": whole(1)}
    parser.add_argument("--epochs", **count, default=default.epochs, help="epochs of SGD (default: 50)")
    parser.add_argument(
        "--lr", type=number(above=0), metavar="X", default=default.lr, help="learning rate (default: 0.1)"
    )
    assumed = "of the SGD; the paper does not give it (default: 128, assumed)"
    parser.add_argument("--batch_size", **count, default=default.batch_size, help=assumed)
    parser.add_argument("--repeats", **count, default=1, help="random splits to repeat it over (default: 1)")


def add_umap(parser: Parser) -> None:
    add_source(parser)
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="umap",
        help="(default: umap, and PCA where it is not installed)",
    )
    looked = "UMAP: neighbours of a point that it looks at (default: 15)"
    parser.add_argument("--neighbours", type=whole(2), metavar="N", default=15, help=looked)
    parser.add_argument(
        "--min_dist", type=number(above=0), metavar="X", default=0.1, help="UMAP: least distance (default: 0.1)"
    )


def add_neighbours(parser: Parser) -> None:
    add_source(parser)
    which = "paths as in the list, their ends, or shell patterns (default: the summary only)"
    parser.add_argument("--of", nargs="+", metavar="PATH", default=[], help=which)
    parser.add_argument("--k", metavar="N", type=whole(1), default=5, help="neighbours of each (default: 5)")


def add_report(parser: Parser) -> None:
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help="folders that the trainer wrote")
    parser.add_argument("--out", metavar="FOLDER", default=".", help="where report.html goes (default: where you are)")
    parser.add_argument("--method", choices=METHODS, default="umap", help="of the map (default: umap)")
    without = "leave out what needs the lists' audio: conditions, DET, probe and map"
    parser.add_argument("--no_embeddings", action="store_true", help=without)


def per_system(text: str) -> int | str:
    return text if text in ("smallest", "common") else whole(LEAST)(text)
