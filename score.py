"""Score every pair of a list's embeddings, exactly. Run: python score.py embeddings.npz --out result

The file holds `embeddings` (N, D) and `labels` (N,), the system of each utterance, and may hold `paths`, `languages`
and `conditions` (N,). They may come from any encoder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from corpus.conditions import printed, resolve_conditions
from corpus.embedding_file import SavedEmbeddings, read_embeddings
from scoring.all_pairs import evaluate
from scoring.files import check_scores_path, write_results, write_scores
from scoring.score_norm import TOP
from scoring.table import table
from scoring.trial_list import evaluate_trials, read_trials, score_pairs
from settings.errors import ScoringError, UserError


def options() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="score.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument(
        "embeddings", metavar="E.npz", help="embeddings, labels and, where known, paths, languages, ..."
    )
    parser.add_argument("--out", metavar="DIR", help="folder for eval_E.json, det_E.png and scores_E.png")
    parser.add_argument(
        "--cost",
        nargs=3,
        type=float,
        action="append",
        metavar=("P_TARGET", "C_MISS", "C_FA"),
        help="operating point of the detection cost; may be given several times (default: 0.05 1 1)",
    )
    parser.add_argument("--threshold", type=float, help="one tuned on another list (dev): tell the rates at it")
    parser.add_argument("--dedup", action="store_true", help="drop utterances whose path occurred before")
    parser.add_argument(
        "--trial_list", metavar="F", help="score these trials only: lines `label path path`, or two paths"
    )
    parser.add_argument("--scores_out", metavar="F", help="write the scores of --trial_list (.npz or .txt)")
    parser.add_argument("--score_norm", choices=["none", "asnorm"], default="none", help="adaptive s-norm")
    parser.add_argument("--cohort", metavar="C.npz", help="embeddings that normalise the scores")
    parser.add_argument(
        "--top", type=int, default=TOP, help="how many of the cohort, the most alike (default: %(default)s)"
    )
    parser.add_argument(
        "--draws", type=int, default=1000, help="of the bootstrap; 0: no intervals (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--device", default="cpu", help="cpu, or a torch device such as cuda (default: %(default)s)")
    parser.add_argument("--no_progress", action="store_true", help="show no bar")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Score saved embeddings; 0, or 2 and one line on stderr for a user's mistake."""
    args = options().parse_args(argv)
    try:
        sys.stdout.write(_run(args) + "\n")
    except UserError as error:
        sys.stderr.write(f"score.py: {error}\n")
        return 2
    return 0


def _run(args: argparse.Namespace) -> str:
    """Score as the options say, write what they want written, and return the table."""
    name = Path(args.embeddings).stem
    if args.scores_out:
        check_scores_path(args.scores_out)
    if args.scores_out and not args.trial_list:
        raise ScoringError("--scores_out needs --trial_list: the pairs of a list are too many to write")
    if (args.score_norm == "asnorm") != (args.cohort is not None):
        raise ScoringError("--score_norm asnorm and --cohort belong together: give both or neither")
    if args.threads is not None and args.threads < 1:
        raise ScoringError(f"--threads must be 1 or more, not {args.threads}")
    saved = read_embeddings(args.embeddings)
    saved = saved.without_repeats() if args.dedup else saved
    costs = tuple(tuple(cost) for cost in args.cost) if args.cost else ((0.05, 1.0, 1.0),)
    norm = {"cohort": read_embeddings(args.cohort).embeddings if args.cohort else None, "top": args.top}
    if args.trial_list:
        return _run_trials(args, saved, costs, norm, name)
    if saved.labels is None:
        raise ScoringError(f"{args.embeddings} has no array `labels`: the system of each utterance")
    result = evaluate(
        saved.embeddings,
        saved.labels,
        languages=None if saved.languages is None else np.where(saved.languages == "", "unknown", saved.languages),
        conditions=resolve_conditions(saved.conditions, saved.labels, saved.languages),
        names=saved.paths,
        costs=costs,
        threshold=args.threshold,
        draws=args.draws,
        seed=args.seed,
        threads=args.threads,
        device=args.device,
        progress=not args.no_progress,
        **norm,
    )
    written = write_results(result, args.out, name, printed) if args.out else []
    return "\n".join([table(result, name, printed), *(f"wrote {path}" for path in written)])


def _run_trials(args: argparse.Namespace, saved: SavedEmbeddings, costs: tuple, norm: dict, name: str) -> str:
    """Score given trials, and tell their error rates where they have labels."""
    if saved.paths is None:
        raise ScoringError(f"{args.embeddings} has no array `paths`, by which a trial list names utterances")
    trials = read_trials(args.trial_list, saved.paths)
    scores = score_pairs(saved.embeddings, trials.first, trials.second, names=saved.paths, **norm)
    lines, name = [], f"{name}_{Path(args.trial_list).stem}"
    if trials.labels is not None:
        result = evaluate_trials(scores, trials.labels, costs=costs, threshold=args.threshold)
        lines.append(table(result, name))
        lines += [f"wrote {path}" for path in write_results(result, args.out, name)] if args.out else []
    elif not args.scores_out:
        raise ScoringError(
            f"{args.trial_list} has no labels, so there is nothing to tell: give --scores_out to have scores"
        )
    if args.scores_out:
        write_scores(args.scores_out, scores, trials, saved.paths)
        lines.append(f"wrote {args.scores_out}: {len(scores):,} scores")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
