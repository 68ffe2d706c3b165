"""Score a list with a network: embed it, score all pairs, tell and write what came out."""

import json
import logging
from pathlib import Path

import numpy as np

import checkpoints
import scoring
from config import Config
from DatasetLoader import Dataset, EvalLoader, open_list
from devices import find_device
from experiment import Experiment
from files import write_text, written_whole
from SpeakerNet import ModelTrainer, SpeakerNet

log = logging.getLogger(__name__)


def embed(trainer: ModelTrainer, data: Dataset) -> np.ndarray:
    """(N, D) float32 embeddings of a list, as --eval_frames and --num_eval have it."""
    config = trainer.config
    loader = EvalLoader(data.audio, data.lengths, config.eval_frames, config.num_eval, config.nDataLoaderThread)
    return trainer.embed(loader)


def evaluate(trainer: ModelTrainer, data: Dataset, embeddings: np.ndarray | None = None) -> dict:
    """A list's results as plain data: see `scoring.evaluate`."""
    table, config = data.table, trainer.config
    embeddings = embed(trainer, data) if embeddings is None else embeddings
    costs = [(config.dcf_p_target, config.dcf_c_miss, config.dcf_c_fa)]
    return scoring.evaluate(embeddings, table.systems, names=table.paths, costs=costs, progress=True)


def save_embeddings(path: str | Path, embeddings: np.ndarray, data: Dataset) -> None:
    """The arrays that analyses and `python scoring.py` read: no Python object among them."""
    table = data.table
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            embeddings=embeddings,
            labels=np.array(table.systems),
            paths=np.array(table.paths),
            languages=np.array(table.languages),
            conditions=np.array(table.conditions),
        )


def score_and_tell(trainer: ModelTrainer, data: Dataset, name: str, experiment: Experiment, checkpoint: Path) -> dict:
    """Score a list in full, show the table, write result/eval_<name>.json; returns the results."""
    embeddings = embed(trainer, data)
    results = {"list": data.table.source, "checkpoint": str(checkpoint)} | evaluate(trainer, data, embeddings)
    results |= {"audio": how_read(trainer.config), "skipped": data.skipped}
    path = experiment.results / f"eval_{name}.json"
    write_text(path, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    log.info("%s", summary(results))
    if trainer.config.save_embeddings:
        save_embeddings(trainer.config.save_embeddings, embeddings, data)
    return results


def score_lists(config: Config) -> None:
    """--eval: score the test lists with --initial_model, which says which systems and languages training has seen."""
    state = checkpoints.read(config.initial_model)
    trainer = ModelTrainer(
        SpeakerNet(config, max(2, len(state.get("classes", [])))), config, find_device(config.device)
    )
    trainer.loadParameters(config.initial_model)
    experiment = Experiment(config.save_path)
    for name, path in zip(result_names(config.test_list), config.test_list, strict=True):
        data = open_list(config, path, config.test_path or config.train_path)
        score_and_tell(trainer, data, name, experiment, Path(config.initial_model))


def how_read(config: Config) -> dict:
    """The options that decide which samples the encoder sees."""
    names = ("eval_frames", "num_eval", "lowpass", "trim_silence", "loudness_norm")
    return {name: getattr(config, name) for name in names}


def summary(results: dict) -> str:
    """A list's results for people."""
    costs = results["min_dcf"][0]
    return (
        f"{results['list']}: EER {results['eer']:.2%} at threshold {results['threshold']:.4f} (macro "
        f"{results['macro_eer']:.2%}), minDCF({costs['p_target']:g}) {costs['min_dcf']:.4f}; "
        f"{results['utterances']:,} utterances of {results['systems']} systems, "
        f"{results['target_trials']:,} target and {results['nontarget_trials']:,} non-target trials"
    )


def result_names(lists: list[str]) -> list[str]:
    """A short name for each list: its file's stem, with the folder before it where two would be called the same."""
    stems = [Path(path).stem for path in lists]
    names = [
        stem if stems.count(stem) == 1 else f"{Path(path).parent.name}_{stem}"
        for path, stem in zip(lists, stems, strict=True)
    ]
    return [name if names.count(name) == 1 else f"{i}_{name}" for i, name in enumerate(names, 1)]
