"""What export.py does for each format; every `write_` fills a folder and returns the lines to print."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from DatasetLoader import Dataset, open_list
from engine.atomic_files import atomic_folder
from exporting import ancestor, graph
from exporting.card import Card
from exporting.graph import FromFilterBanks, FromWaveform
from exporting.int8 import UTTERANCES, is_convolutional, write_int8
from exporting.session import Session, error_rate, largest_difference
from settings.errors import ConfigError
from SpeakerNet import TracingModel, load_model

TOLERANCE = 1e-4  # of the largest value: more than rounding, so the graph is another model


def export(options: argparse.Namespace) -> list[str]:
    """Write the folder; returns what to print. Raises ConfigError, and leaves nothing, where it cannot."""
    check(options)
    model = load_model(options.checkpoint, "cpu")
    with atomic_folder(options.out) as folder:
        lines = list(WRITERS[options.format](model, folder, options))
        sizes = [f"{size(file)}  {file.relative_to(folder)}" for file in sorted(folder.rglob("*")) if file.is_file()]
    return [*lines, f"{options.out}:", *sizes]


def check(options: argparse.Namespace) -> None:
    """ConfigError that names every option which the chosen format does not have."""
    given = {
        "quantize": bool(options.quantize),
        "test_list": bool(options.test_list),
        "calibration_list": bool(options.calibration_list),
        "path": bool(options.path),
        "license": options.license != "other",
        "dataset": bool(options.dataset),
        "data_terms": bool(options.data_terms),
    }
    card = {"license", "dataset", "data_terms"}
    own = {"hf": card, "voxceleb_trainer": set()}.get(options.format, given.keys() - card)
    wrong = [
        f"--{name} does not go with --format {options.format}" for name in given if given[name] and name not in own
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    if options.calibration_list and not options.quantize:
        raise ConfigError("--calibration_list goes with --quantize int8")


def size(file: Path) -> str:
    """Megabytes, for people."""
    return f"{file.stat().st_size / 1e6:8.2f} MB"


def write_onnx(model: TracingModel, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """model.onnx of waveforms, and model.int8.onnx."""
    graph.write_graph(FromWaveform(model), folder / "model.onnx", graph.described(model))
    yield from checked_graphs(model, folder, options)


def write_wespeaker(model: TracingModel, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """model.onnx of filter banks, and model.int8.onnx."""
    graph.write_graph(FromFilterBanks(model), folder / "model.onnx", graph.described_for_runtimes(model))
    yield from checked_graphs(model, folder, options)


def checked_graphs(model: TracingModel, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """Compare model.onnx with the model, quantise it, compare the error rates. Raises ConfigError if they differ."""
    whole = Session(folder / "model.onnx", model)
    difference = largest_difference(whole, model)
    if not difference <= TOLERANCE:
        raise ConfigError(f"the graph's embeddings differ from the model's by {difference:.1e} of the largest value")
    yield f"largest difference between PyTorch and ONNX: {difference:.1e} of the largest value"
    sessions = {"ONNX": whole}
    if options.quantize:
        path = folder / "model.int8.onnx"
        write_int8(whole, folder / "model.onnx", path, calibration(model, folder / "model.onnx", options))
        sessions["int8"] = Session(path, model)
    if not options.test_list:
        return
    data = listed(model, options.test_list, options)
    rates = {"PyTorch": error_rate(model.embed_list(data.audio, data.lengths), data)}
    rates |= {name: error_rate(session.embed_list(data), data) for name, session in sessions.items()}
    found = ", ".join(f"{name} {rate:.3%}" for name, rate in rates.items())
    yield f"EER of {data.table.source}, {len(data.table):,} utterances: {found}"


def calibration(model: TracingModel, path: Path, options: argparse.Namespace) -> list:
    """Waveforms (T,) spread over the calibration list; none for a graph that needs none."""
    if not is_convolutional(path):
        return []
    name = options.calibration_list or model.config.train_list
    if not name:
        raise ConfigError("--quantize int8 needs --calibration_list: this checkpoint does not say what it learned from")
    data = listed(model, name, options)
    return [data.audio.read(row) for row in range(0, len(data.table), -(-len(data.table) // UTTERANCES))]


def listed(model: TracingModel, name: str, options: argparse.Namespace) -> Dataset:
    """A list with its audio."""
    return open_list(model.config, name, options.path or model.config.train_path)


def write_hf(model: TracingModel, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """A folder for the hub, and for `load_model`."""
    from exporting.hub import HubModel

    hub = HubModel(model)
    name = Path(options.out).name
    hub.card = Card(model, options.checkpoint, name, options.license, options.dataset, options.data_terms)
    hub.save_pretrained(folder)
    if not options.data_terms:
        yield "the card does not say what the training data is and under which licence: --data_terms does"


def write_voxceleb_trainer(model: TracingModel, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """A state for ResNetSE34L."""
    ancestor.write_state(model, folder / "ResNetSE34L.model")
    yield f"in voxceleb_trainer: {ancestor.options_for_it(model)} --initial_model {options.out}/ResNetSE34L.model"


WRITERS = {
    "onnx": write_onnx,
    "wespeaker": write_wespeaker,
    "hf": write_hf,
    "voxceleb_trainer": write_voxceleb_trainer,
}
