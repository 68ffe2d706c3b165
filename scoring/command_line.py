"""The options of score.py. Nothing of what scores is imported: a help text needs none of it."""

from scoring.choices import BACKENDS, OPENSET_SCORES, TOP
from settings.arguments import Parser, number, whole

OTHERS = "Open-set metrics: score.py openset --help. One recipe against another, over seeds: score.py paired --help."
SCORES = f"{', '.join(OPENSET_SCORES)} (default: all that the files have logits for)"


def options() -> Parser:
    """The options of `score.py`."""
    parser = Parser(prog="score.py", description="Score every pair of a list's embeddings, exactly.", epilog=OTHERS)
    parser.add_argument(
        "embeddings", metavar="E.npz", help="embeddings, labels and, where known, paths, languages, ..."
    )
    parser.add_argument("--out", metavar="DIR", help="folder for eval_E.json, det_E.png and scores_E.png")
    parser.add_argument(
        "--cost",
        nargs=3,
        type=number(),
        action="append",
        metavar=("P_TARGET", "C_MISS", "C_FA"),
        help="operating point of the detection cost; may be given several times (default: 0.05 1 1)",
    )
    parser.add_argument("--threshold", type=number(), help="one tuned on another list (dev): report the rates at it")
    parser.add_argument("--threshold_from", metavar="NAME", help="what that list is called, for the results")
    parser.add_argument("--dedup", action="store_true", help="drop utterances whose path occurred before")
    parser.add_argument(
        "--trial_list", metavar="F", help="score these trials only: lines `label path path`, or two paths"
    )
    parser.add_argument("--scores_out", metavar="F", help="write the scores of --trial_list (.npz or .txt)")
    parser.add_argument("--backend", choices=BACKENDS, default="cosine", help="(default: %(default)s)")
    learned = "embeddings with labels that it is learned from, or what --backend_out wrote"
    parser.add_argument("--backend_from", metavar="B.npz", help=learned)
    parser.add_argument(
        "--backend_out", metavar="F.npz", help="write the back-end, for later and for --eval --backend F.npz"
    )
    parser.add_argument("--score_norm", choices=["none", "asnorm"], default="none", help="adaptive s-norm")
    parser.add_argument("--cohort", metavar="C.npz", help="embeddings that normalise the scores")
    said = "how many of the cohort, the most alike (default: %(default)s)"
    parser.add_argument("--top", "--cohort_top", type=whole(2), default=TOP, metavar="N", help=said)
    parser.add_argument(
        "--draws", type=whole(), default=1000, help="of the bootstrap; 0: no intervals (default: %(default)s)"
    )
    parser.add_argument("--seed", type=whole(), default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--threads", type=whole(1), help="default: one for each core")
    parser.add_argument("--device", default="cpu", help="cpu, or a torch device such as cuda (default: %(default)s)")
    parser.add_argument("--no_progress", action="store_true", help="show no bar")
    return parser


def openset_options() -> Parser:
    """The options of `score.py openset`."""
    said = "Known systems (those of the train list) against unknown ones: scores and metrics of the field."
    parser = Parser(prog="score.py openset", description=said)
    parser.add_argument("train", metavar="TRAIN.npz", help="the train list, saved with --save_embeddings")
    parser.add_argument("test", metavar="TEST.npz", help="a list of known and unknown systems")
    parser.add_argument("--dev", metavar="DEV.npz", help="another such list, which gives thresholds")
    parser.add_argument("--scores", nargs="+", choices=OPENSET_SCORES, default=[], metavar="NAME", help=SCORES)
    parser.add_argument(
        "--temperature", type=number(above=0), default=1.0, help="of energy and sme (default: %(default)s)"
    )
    parser.add_argument("--neighbours", type=whole(1), default=10, metavar="K", help="of knn (default: %(default)s)")
    parser.add_argument("--draws", type=whole(), default=300, help="of the bootstrap; 0: no intervals (default: 300)")
    parser.add_argument("--seed", type=whole(), default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--as-published", action="store_true", help="the official MLAADv5 baseline's convention, too")
    parser.add_argument("--out", metavar="DIR", help="folder for openset_TEST.json")
    return parser


def paired_options() -> Parser:
    """The options of `score.py paired`."""
    said = "One recipe against another on one list: models of the same seeds, a bootstrap over seeds and systems."
    parser = Parser(prog="score.py paired", description=said)
    files = {"nargs": "+", "required": True, "metavar": "E.npz"}
    parser.add_argument("--before", **files, help="the list as the first recipe embeds it, a file for each seed")
    parser.add_argument("--after", **files, help="the same of the second recipe, in the same order of seeds")
    parser.add_argument("--backend", choices=BACKENDS, default="cosine", help="of both (default: %(default)s)")
    for which in ("before", "after"):
        said = f"embeddings with labels that the back-end of each file of --{which} is learned from"
        parser.add_argument(f"--{which}_backend_from", nargs="+", default=[], metavar="B.npz", help=said)
    parser.add_argument("--draws", type=whole(1), default=1000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=whole(), default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--json", metavar="F", help="write the figures, too; rates are fractions")
    return parser
