"""A list embedded, its pairs scored, the results printed and written."""

import logging
import sys
from pathlib import Path

import numpy as np

import scoring
from corpus.conditions import printed, resolve_conditions
from corpus.embedding_file import SavedEmbeddings, write_embeddings
from corpus.lists import UtteranceList
from DatasetLoader import Dataset, open_list, open_trial_list
from engine import checkpoints, diagnostics
from engine.distributed import broadcast_object, cores_each, rank, sum_arrays, world
from engine.experiment import Experiment
from engine.run_folder import config_lists, result_names
from scoring.backends import Backend, check_same_model, read_backend
from scoring.passes import Shard
from scoring.table import table as table_of
from settings.errors import ScoringError
from settings.options import Config
from SpeakerNet import TracingModel, model_of

log = logging.getLogger(__name__)


def embed(model: TracingModel, data: Dataset) -> np.ndarray:
    """(N, D) float32 embeddings of a list, as --eval_frames and --num_eval have it."""
    return model.embed_list(data.audio, data.lengths, names=data.table.paths)


def quick_look(model: TracingModel, data: Dataset) -> dict:
    """What training asks of the dev list, the same on all processes, rates as fractions.

    Keys: `eer`, `macro_eer`, `threshold` at the pooled EER, and `mean_cosine` of the embeddings.
    """
    embeddings = embed(model, data)
    found = scoring.evaluate(embeddings, data.table.systems, names=data.table.paths, quick=True, **how(model))
    kept = {name: found[name] for name in ("eer", "macro_eer", "threshold")}
    return broadcast_object(kept | {"mean_cosine": diagnostics.mean_cosine(embeddings)})


def how(model: TracingModel) -> dict:
    """How a list's pairs are scored: operating points, the device (a GPU where there is one), a bar for who watches.

    Each of several processes scores its share.
    """
    costs = [(p_target, 1.0, 1.0) for p_target in model.config.dcf_p_target]
    device = str(model.device) if model.device.type == "cuda" else "cpu"  # mps has no float64
    shared = {"shard": Shard(rank(), world(), sum_arrays), "threads": cores_each()}
    return {"costs": costs, "device": device, "progress": sys.stderr.isatty() and not rank(), **shared}


def score(
    model: TracingModel,
    data: Dataset,
    name: str,
    experiment: Experiment,
    checkpoint: str,
    threshold: float | None = None,
) -> dict | None:
    """Score a list in full, print the table, write result/eval_<name>.json and its pictures; returns the results.

    Parameters
    ----------
    checkpoint : str
        Of which the results are; recorded in the file.
    threshold : float
        One tuned on the dev list, at which this one's rates are reported too.
    """
    embeddings = embed(model, data)
    if model.config.save_embeddings and not rank():
        save_embeddings(model.config.save_embeddings, embeddings, data, model)
    if data.trials and rank():  # process 0 alone scores a list of trials
        return broadcast_object(None)
    try:
        found = results(model, data, embeddings, threshold)
    except ScoringError as error:
        if not model.config.save_embeddings:
            raise
        log.warning("%s: no error rates: %s", data.table.source, error)
        return broadcast_object(None)
    if rank():
        return broadcast_object(None)
    audio = model.config.audio() | data.filters.settings()
    found = {"list": data.table.source, "checkpoint": checkpoint, "audio": audio} | found
    found |= {"backend": model.config.backend} if model.config.backend else {}
    scoring.write_results(found | {"skipped": data.skipped}, experiment.results, name, printed)
    log.info("\n%s", table_of(found, data.table.source, printed))
    return broadcast_object(found)


def results(model: TracingModel, data: Dataset, embeddings: np.ndarray, threshold: float | None) -> dict:
    """Everything about a list's pairs, or about its trials where it is a list of those."""
    given = {"threshold": threshold, "threshold_from": None if threshold is None else "dev"}
    backend = backend_of(model)
    if data.trials:
        first, second = data.trials.first, data.trials.second
        scores = scoring.score_pairs(embeddings, first, second, names=data.table.paths, backend=backend)
        return scoring.evaluate_trials(scores, data.trials.labels, costs=how(model)["costs"], **given)
    table = data.table
    return scoring.evaluate(
        embeddings,
        table.systems,
        languages=[language or "unknown" for language in table.languages] if any(table.languages) else None,
        conditions=conditions(table, model),
        names=table.paths,
        backend=backend,
        **given,
        **how(model),
    )


def backend_of(model: TracingModel) -> Backend | None:
    """The back-end of --backend. Raises ScoringError where it was learned from another model's embeddings."""
    path = model.config.backend
    if not path:
        return None
    found = read_backend(path)
    check_same_model(path, found.checkpoint, model.digest, model.config.initial_model)
    return found


def conditions(table: UtteranceList, model: TracingModel) -> list[str] | None:
    """The list's own column, or else what the train list's systems and languages say; None where neither is known."""
    return resolve_conditions(table.conditions, table.systems, table.languages, model.classes, model.languages)


def save_embeddings(path: str | Path, embeddings: np.ndarray, data: Dataset, model: TracingModel) -> None:
    """The file that analyses and `python score.py` read, with the conditions by which the list is reported."""
    table = data.table
    columns = (table.systems, table.paths, table.languages, conditions(table, model) or table.conditions)
    logits = model.logits(embeddings) if model.classes else None  # without classes, the loss is not the checkpoint's
    known = {"logits": logits, "checkpoint": model.digest}
    write_embeddings(path, SavedEmbeddings(embeddings, *map(np.array, columns), **known))


def score_trained(
    model: TracingModel, dev: Dataset | None, tests: list[Dataset], experiment: Experiment, checkpoint: str
) -> None:
    """Score dev and test lists in full when training has ended; the dev list's threshold is applied to the others."""
    lists = [data for data in (dev, *tests) if data]
    threshold = None
    names = result_names(data.table.source for data in lists)
    for data in lists:
        found = score(model, data, names[data.table.source], experiment, checkpoint, threshold)
        if data is dev and found:
            threshold = found["threshold"]


def score_lists(config: Config) -> None:
    """--eval: score the test lists with --initial_model, which says which systems and languages training has seen."""
    model = model_of(checkpoints.read(config.initial_model), config)
    backend = backend_of(model)  # before anything is embedded: a foreign one is refused at once
    experiment = Experiment(config.save_path)
    names = result_names(config_lists(config))
    for path in config.test_list:
        root = config.test_path or config.train_path
        data = open_trial_list(config, path, root) or open_list(config, path, root)
        if model.filters != data.filters:
            log.warning("%s: read with %s; the checkpoint was trained with %s", path, data.filters, model.filters)
        name = f"{names[path]}_{backend.name}" if backend else names[path]  # beside the cosine's results
        score(model, data, name, experiment, config.initial_model)
