"""Score a list with a network: embed it, score all pairs, tell and write what came out."""

import logging
import sys
from pathlib import Path

import numpy as np

import scoring
from DatasetLoader import Dataset, EvalLoader, open_list
from engine import checkpoints
from engine.atomic_files import atomic_write
from engine.devices import find_device
from engine.distributed import broadcast_object, rank
from engine.experiment import Experiment
from settings.options import Config
from SpeakerNet import ModelTrainer, SpeakerNet

log = logging.getLogger(__name__)


def embed(trainer: ModelTrainer, data: Dataset) -> np.ndarray:
    """(N, D) float32 embeddings of a list, as --eval_frames and --num_eval have it."""
    config = trainer.config
    frames, count, threads = config.eval_frames, config.num_eval, config.nDataLoaderThread
    return trainer.embed(EvalLoader(data.audio, data.lengths, frames, count, threads, trainer.takes_lengths))


def quick_look(trainer: ModelTrainer, data: Dataset, embeddings: np.ndarray) -> dict:
    """What training asks of the dev list: pooled and macro EER, thresholds, costs. The same on all processes."""
    if rank():
        return broadcast_object(None)
    options = {"costs": costs(trainer.config), "device": where(trainer), "progress": sys.stderr.isatty()}
    table = data.table
    return broadcast_object(scoring.evaluate(embeddings, table.systems, names=table.paths, quick=True, **options))


def where(trainer: ModelTrainer) -> str:
    """The device that scores: the GPU where there is one with float64, else the CPU."""
    return str(trainer.device) if trainer.device.type == "cuda" else "cpu"


def costs(config: Config) -> list[tuple[float, float, float]]:
    """The operating points of the detection cost."""
    return [(p_target, config.dcf_c_miss, config.dcf_c_fa) for p_target in config.dcf_p_target]


def score_and_tell(
    trainer: ModelTrainer, data: Dataset, name: str, experiment: Experiment, about: dict, threshold: float | None = None
) -> dict:
    """Score a list in full, show the table, write result/eval_<name>.json and its pictures; returns the results.

    Parameters
    ----------
    about : dict
        What goes into the file beside the results: `checkpoint`, and `classes` and `languages` of the train list, by
        which conditions are told where the list has no such column.
    threshold : float
        One tuned on another list, at which this one's rates are told too.
    """
    config, embeddings = trainer.config, embed(trainer, data)
    cohort = embed(trainer, open_list(config, config.cohort, eval_root(config))) if config.cohort else None
    if rank():
        return broadcast_object(None)
    if config.save_embeddings:
        save_embeddings(config.save_embeddings, embeddings, data)
    table = data.table
    if config.dedup:
        kept = scoring.first_of_each(table.paths)
        table, embeddings = table.take(kept.tolist()), embeddings[kept]
    norm = {"cohort": cohort, "top": config.cohort_top}
    results = {
        "list": table.source,
        "checkpoint": about["checkpoint"],
        "audio": how_read(config),
        "skipped": data.skipped,
    }
    results |= scoring.evaluate(
        embeddings,
        table.systems,
        languages=[language or "unknown" for language in table.languages] if any(table.languages) else None,
        conditions=conditions(table, about),
        names=table.paths,
        costs=costs(config),
        threshold=threshold,
        device=where(trainer),
        progress=sys.stderr.isatty(),
        **norm,
    )
    scoring.write_results(results, experiment.results, name)
    log.info("\n%s", scoring.table(results, table.source))
    if config.trial_list:
        score_trials(config, embeddings, table, experiment, norm)
    return broadcast_object(results)


def conditions(table, about: dict) -> list[str] | None:
    """The list's own column, or else what the train list's systems and languages say; None where neither is known."""
    if all(table.conditions):
        return table.conditions
    if all(table.languages) and about["languages"]:
        return scoring.conditions_of(table.systems, table.languages, about["classes"], about["languages"])
    return None


def score_trials(config: Config, embeddings: np.ndarray, table, experiment: Experiment, norm: dict) -> None:
    """--trial_list: the scores of given pairs, and their error rates where the trials have labels."""
    trials = scoring.read_trials(config.trial_list, table.paths)
    scores = scoring.score_pairs(embeddings, trials.first, trials.second, names=table.paths, **norm)
    if trials.labels is not None:
        results = scoring.evaluate_trials(scores, trials.labels, costs=costs(config))
        scoring.write_results({"list": config.trial_list} | results, experiment.results, Path(config.trial_list).stem)
        log.info("\n%s", scoring.table(results, config.trial_list))
    if config.scores_out:
        scoring.write_scores(config.scores_out, scores, trials, table.paths)
        log.info("%s scores in %s", f"{len(scores):,}", config.scores_out)


def how_read(config: Config) -> dict:
    """The options that decide which samples the encoder sees."""
    names = ("eval_frames", "num_eval", "lowpass", "trim_silence", "loudness_norm")
    return {name: getattr(config, name) for name in names}


def save_embeddings(path: str | Path, embeddings: np.ndarray, data: Dataset) -> None:
    """The arrays that analyses and `python scoring.py` read: no Python object among them."""
    table = data.table
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            embeddings=embeddings,
            labels=np.array(table.systems),
            paths=np.array(table.paths),
            languages=np.array(table.languages),
            conditions=np.array(table.conditions),
        )


def eval_root(config: Config) -> str:
    """The folder that test lists start from."""
    return config.test_path or config.train_path


def score_lists(config: Config) -> None:
    """--eval: score the test lists with --initial_model, which says which systems and languages training has seen."""
    state = checkpoints.read(config.initial_model)
    about = {
        "checkpoint": config.initial_model,
        "classes": state.get("classes", []),
        "languages": state.get("languages", []),
    }
    net = SpeakerNet(config, max(2, len(about["classes"])), weights_follow=True)
    trainer = ModelTrainer(net, config, find_device(config.device))
    trainer.loadParameters(config.initial_model)
    experiment = Experiment(config.save_path)
    for name, path in zip(result_names(config.test_list), config.test_list, strict=True):
        data = open_list(config, path, eval_root(config))
        score_and_tell(trainer, data, name, experiment, about)


def result_names(lists: list[str]) -> list[str]:
    """A short name for each list: its file's stem, with the folder before it where two would be called the same."""
    stems = [Path(path).stem for path in lists]
    names = [
        stem if stems.count(stem) == 1 else f"{Path(path).parent.name}_{stem}"
        for path, stem in zip(lists, stems, strict=True)
    ]
    return [name if names.count(name) == 1 else f"{i}_{name}" for i, name in enumerate(names, 1)]
