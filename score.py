"""Score every pair of a list's embeddings, exactly. Run: python score.py embeddings.npz --out result

Open-set metrics of systems in a train list or not: python score.py openset train.npz test.npz --dev dev.npz

The file holds `embeddings` (N, D) and `labels` (N,), the system of each utterance, and may hold `paths`, `languages`
and `conditions` (N,). They may come from any encoder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from corpus.conditions import printed, resolve_conditions
from corpus.embedding_file import SavedEmbeddings, read_embeddings
from engine.atomic_files import write_text
from scoring import backends, openset_report, openset_scores
from scoring.all_pairs import evaluate
from scoring.files import check_scores_path, write_results, write_scores
from scoring.score_norm import TOP
from scoring.table import table
from scoring.trial_list import TrialList, evaluate_trials, read_trials, score_pairs
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
    parser.add_argument("--backend", choices=backends.NAMES, default="cosine", help="(default: %(default)s)")
    parser.add_argument("--backend_from", metavar="B.npz", help="embeddings with labels that it is learned from")
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
    words = sys.argv[1:] if argv is None else argv
    openset = words[:1] == ["openset"]
    args = openset_options().parse_args(words[1:]) if openset else options().parse_args(words)
    try:
        sys.stdout.write((_run_openset if openset else _run)(args) + "\n")
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
    backend = _backend(args, saved)
    costs = tuple(tuple(cost) for cost in args.cost) if args.cost else ((0.05, 1.0, 1.0),)
    norm = {"cohort": _of_same_model(args.cohort, saved, args).embeddings if args.cohort else None, "top": args.top}
    norm["backend"] = backend
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
    scores = _pair_scores(saved, trials, **norm)
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


def _pair_scores(
    saved: SavedEmbeddings, trials: TrialList, *, backend: backends.Backend | None, cohort: np.ndarray | None, top: int
) -> np.ndarray:
    """(T,) float32 scores of given trials, by a back-end where there is one."""
    rows = saved.embeddings
    if backend is not None:
        rows = backends.mapped(backend, rows, saved.paths)
        cohort = None if cohort is None else backends.mapped(backend, cohort)
    if backend is None or backend.between is None:
        return score_pairs(rows, trials.first, trials.second, names=saved.paths, cohort=cohort, top=top)
    if cohort is not None:
        raise ScoringError("score normalisation is of cosines, and plda gives likelihood ratios: choose one of them")
    points = np.array_split(np.stack([trials.first, trials.second]), 1 + len(trials.first) // 8192, axis=1)
    return np.concatenate([backends.score_rows(backend, rows[first], rows[second]) for first, second in points])


def _of_same_model(path: str, saved: SavedEmbeddings, args: argparse.Namespace) -> SavedEmbeddings:
    """Other embeddings. Raises ScoringError where they are known to be of another model than the scored ones."""
    other = read_embeddings(path)
    backends.check_same_model(path, other.checkpoint or "", saved.checkpoint or "", args.embeddings)
    return other


def _backend(args: argparse.Namespace, saved: SavedEmbeddings) -> backends.Backend | None:
    """What --backend and --backend_from ask for."""
    if (args.backend == "cosine") != (args.backend_from is None):
        raise ScoringError("--backend (wccn, lda, plda) and --backend_from belong together: give both or neither")
    if args.backend_from is None:
        return None
    other = _of_same_model(args.backend_from, saved, args)
    if other.labels is None:
        raise ScoringError(f"{args.backend_from} has no array `labels`: a back-end is learned from known systems")
    return backends.learn(args.backend, other.embeddings, other.labels)


def openset_options() -> argparse.ArgumentParser:
    """The options of `score.py openset`."""
    said = "Known systems (those of the train list) told from unknown ones: scores and metrics of the field."
    parser = argparse.ArgumentParser(prog="score.py openset", description=said, allow_abbrev=False)
    parser.add_argument("train", metavar="TRAIN.npz", help="the train list, saved with --save_embeddings")
    parser.add_argument("test", metavar="TEST.npz", help="a list of known and unknown systems")
    parser.add_argument("--dev", metavar="DEV.npz", help="another such list, which gives thresholds")
    parser.add_argument("--scores", nargs="+", choices=openset_scores.NAMES, default=[], metavar="NAME", help=SCORES)
    parser.add_argument("--temperature", type=float, default=1.0, help="of energy and sme (default: %(default)s)")
    parser.add_argument("--neighbours", type=int, default=10, metavar="K", help="of knn (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=300, help="of the bootstrap; 0: no intervals (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--as-published", action="store_true", help="the official MLAADv5 baseline's convention, too")
    parser.add_argument("--out", metavar="DIR", help="folder for openset_TEST.json")
    return parser


SCORES = f"{', '.join(openset_scores.NAMES)} (default: all that the files have logits for)"


def _run_openset(args: argparse.Namespace) -> str:
    """The table of an open-set report; with --out, its JSON too."""
    train = read_embeddings(args.train)
    tables = []
    for path in (args.train, args.test, args.dev):
        if path is None:
            tables.append(None)
            continue
        saved = read_embeddings(path)
        backends.check_same_model(path, saved.checkpoint or "", train.checkpoint or "", args.train)
        if saved.labels is None:
            raise ScoringError(f"{path} has no array `labels`: the system of each utterance")
        tables.append((saved.embeddings, saved.labels, saved.logits))
    result = openset_report.report(
        *tables,
        names=args.scores,
        settings=openset_scores.Settings(args.temperature, args.neighbours),
        draws=args.draws,
        seed=args.seed,
        published=args.as_published,
    )
    lines = [openset_report.table(result, Path(args.test).stem)]
    if args.out:
        path = Path(args.out) / f"openset_{Path(args.test).stem}.json"
        write_text(path, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        lines.append(f"wrote {path}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
