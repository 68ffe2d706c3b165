"""Score every pair of a list's embeddings, exactly. Run: python score.py embeddings.npz --out result

Open-set metrics of systems in a train list or not: python score.py openset train.npz test.npz --dev dev.npz
One recipe against another over seeds: python score.py paired --before a10.npz a11.npz --after b10.npz b11.npz

The file holds `embeddings` (N, D) and `labels` (N,), the system of each utterance, and may hold `paths`, `languages`
and `conditions` (N,). They may come from any encoder.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.command_line import openset_options, options, paired_options
from settings.console import run_command, show
from settings.errors import ScoringError

if TYPE_CHECKING:  # imported where they are needed: a help text needs none of them
    from corpus.embedding_file import SavedEmbeddings
    from scoring.backends import Backend
    from scoring.embeddings import Utterances


def main(argv: list[str] | None = None) -> int:
    """Score saved embeddings; exit status 0, or 2 and one line on stderr for a user's mistake."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["openset"]:
        return run_command(lambda: report(_run_openset(openset_options().parse_args(words[1:]))))
    if words[:1] == ["paired"]:
        return run_command(lambda: report(_run_paired(paired_options().parse_args(words[1:]))))
    return run_command(lambda: report(_run(options().parse_args(words))))


def report(text: str) -> None:
    """A table on the standard output; '' is that of torchrun's other processes, which print none."""
    if text:
        show(text)


def _run(args: argparse.Namespace) -> str:
    """Score as the options say, write what they want written, and return the table."""
    import numpy as np

    from corpus.conditions import printed, resolve_conditions
    from corpus.embedding_file import read_embeddings
    from scoring.all_pairs import evaluate
    from scoring.backends import write_backend
    from scoring.files import check_scores_path, write_results
    from scoring.table import table
    from scoring.torchrun import process, shared

    name = Path(args.embeddings).stem
    if args.scores_out:
        check_scores_path(args.scores_out)
    if args.scores_out and not args.trial_list:
        raise ScoringError("--scores_out needs --trial_list: the pairs of a list are too many to write")
    if (args.score_norm == "asnorm") != (args.cohort is not None):
        raise ScoringError("--score_norm asnorm and --cohort belong together: give both or neither")
    if args.threshold_from and args.threshold is None:
        raise ScoringError("--threshold_from says what list --threshold is of: give both or neither")
    saved = read_embeddings(args.embeddings)
    saved = saved.without_repeats() if args.dedup else saved
    backend = _backend(args, saved)
    if args.backend_out and not process():
        if backend is None:
            raise ScoringError("--backend_out writes what --backend and --backend_from ask for: give both")
        write_backend(backend, args.backend_out)
    costs = tuple(tuple(cost) for cost in args.cost) if args.cost else ((0.05, 1.0, 1.0),)
    norm = {"cohort": _of_same_model(args.cohort, saved, args).embeddings if args.cohort else None, "top": args.top}
    norm["backend"] = backend
    if args.trial_list:
        if process():
            return ""
        return _run_trials(args, saved, costs, norm, name)
    if saved.labels is None:
        raise ScoringError(f"{args.embeddings} has no array `labels`: the system of each utterance")
    with shared(args.threads, args.device) as how:
        result = evaluate(
            saved.embeddings,
            saved.labels,
            languages=None if saved.languages is None else np.where(saved.languages == "", "unknown", saved.languages),
            conditions=resolve_conditions(saved.conditions, saved.labels, saved.languages),
            names=saved.paths,
            costs=costs,
            threshold=args.threshold,
            threshold_from=args.threshold_from,
            draws=args.draws,
            seed=args.seed,
            progress=not args.no_progress and not process(),
            **how,
            **norm,
        )
    if process():
        return ""
    written = write_results(result, args.out, name, printed) if args.out else []
    written += [args.backend_out] if args.backend_out else []
    return "\n".join([table(result, name, printed), *(f"wrote {path}" for path in written)])


def _run_trials(args: argparse.Namespace, saved: "SavedEmbeddings", costs: tuple, norm: dict, name: str) -> str:
    """Score given trials, and report their error rates where they have labels."""
    from scoring.files import write_results, write_scores
    from scoring.table import table
    from scoring.trial_list import evaluate_trials, read_trials, score_pairs

    if saved.paths is None:
        raise ScoringError(f"{args.embeddings} has no array `paths`, by which a trial list names utterances")
    trials = read_trials(args.trial_list, saved.paths)
    scores = score_pairs(saved.embeddings, trials.first, trials.second, names=saved.paths, **norm)
    lines, name = [], f"{name}_{Path(args.trial_list).stem}"
    if trials.labels is not None:
        given = {"threshold": args.threshold, "threshold_from": args.threshold_from}
        result = evaluate_trials(scores, trials.labels, costs=costs, **given)
        lines.append(table(result, name))
        lines += [f"wrote {path}" for path in write_results(result, args.out, name)] if args.out else []
    elif not args.scores_out:
        raise ScoringError(
            f"{args.trial_list} has no labels, so there is nothing to report: give --scores_out to have scores"
        )
    if args.scores_out:
        write_scores(args.scores_out, scores, trials, saved.paths)
        lines.append(f"wrote {args.scores_out}: {len(scores):,} scores")
    return "\n".join(lines)


def _of_same_model(path: str, saved: "SavedEmbeddings", args: argparse.Namespace) -> "SavedEmbeddings":
    """Other embeddings. Raises ScoringError where they are known to be of another model than the scored ones."""
    from corpus.embedding_file import read_embeddings
    from scoring.backends import check_same_model

    other = read_embeddings(path)
    check_same_model(path, other.checkpoint or "", saved.checkpoint or "", args.embeddings)
    return other


def _backend(args: argparse.Namespace, saved: "SavedEmbeddings") -> "Backend | None":
    """What --backend and --backend_from ask for: one saved before, or one learned now."""
    from scoring.backends import check_same_model, learn, saved_backend

    known = saved_backend(args.backend_from) if args.backend_from else None
    if known is not None:
        check_same_model(args.backend_from, known.checkpoint, saved.checkpoint or "", args.embeddings)
        if args.backend not in ("cosine", known.name):
            raise ScoringError(
                f"{args.backend_from} is a back-end {known.name}, not {args.backend}: leave --backend away"
            )
        return known
    if (args.backend == "cosine") != (args.backend_from is None):
        raise ScoringError("--backend (wccn, lda, plda) and --backend_from belong together: give both or neither")
    if args.backend_from is None:
        return None
    other = _of_same_model(args.backend_from, saved, args)
    if other.labels is None:
        raise ScoringError(f"{args.backend_from} has no array `labels`: a back-end is learned from known systems")
    return learn(args.backend, other.embeddings, other.labels, checkpoint=other.checkpoint or "")


def _run_openset(args: argparse.Namespace) -> str:
    """The table of an open-set report; with --out, its JSON too."""
    import json

    from corpus.embedding_file import read_embeddings
    from engine.atomic_files import write_text
    from scoring import backends, openset_report, openset_scores

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


def _run_paired(args: argparse.Namespace) -> str:
    """The table of two recipes, for the whole list and for each part of it; with --json, its figures too."""
    import json

    from engine.atomic_files import write_text
    from scoring import paired

    before, after = ([_parts(args, *pair) for pair in _with_backends(args, which)] for which in ("before", "after"))
    found = {
        name: paired.compare(
            *([file[name] for file in files] for files in (before, after)), draws=args.draws, seed=args.seed
        )
        for name in before[0]
        if all(name in file for file in (*before, *after))
    }
    if args.json:
        write_text(args.json, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return "\n".join([paired.table(found), *([f"wrote {args.json}"] if args.json else [])])


def _with_backends(args: argparse.Namespace, which: str) -> list[tuple[str, str | None]]:
    """The files of a recipe, each with the one that its back-end is learned from."""
    paths, others = getattr(args, which), getattr(args, f"{which}_backend_from")
    if len(others) != (0 if args.backend == "cosine" else len(paths)):
        raise ScoringError(
            f"--{which}_backend_from: {len(others)} files; a back-end other than cosine needs one for each of --{which}"
            f" ({len(paths)}), cosine none"
        )
    return list(zip(paths, others or [None] * len(paths), strict=True))


def _parts(args: argparse.Namespace, path: str, other: str | None) -> "dict[str, Utterances]":
    """The list of a file ready to be scored, and the parts of it that have target and non-target trials."""
    import numpy as np

    from corpus.conditions import printed, resolve_conditions
    from corpus.embedding_file import read_embeddings
    from scoring.backends import as_utterances
    from scoring.embeddings import utterances

    saved = read_embeddings(path)
    if saved.labels is None:
        raise ScoringError(f"{path} has no array `labels`: the system of each utterance")
    backend = _backend(argparse.Namespace(embeddings=path, backend=args.backend, backend_from=other), saved)
    known = (saved.embeddings, saved.labels, saved.paths)
    listed = utterances(*known) if backend is None else as_utterances(backend, *known)
    conditions = np.array(resolve_conditions(saved.conditions, saved.labels, saved.languages) or [""] * len(saved))
    parts = {f"{seen} systems": np.char.startswith(conditions, f"{seen}_system") for seen in ("seen", "unseen")}
    parts |= {printed(str(condition)): conditions == condition for condition in np.unique(conditions) if condition}
    return {"all": listed} | {
        name: part for name, mask in parts.items() if all((part := listed.subset(mask[listed.order])).trials())
    }


if __name__ == "__main__":
    sys.exit(main())
