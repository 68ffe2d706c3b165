"""Checkpoints to export, made once: an untrained network on mel bands, and one that has learned three demo systems."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import export
from corpus.lists import read_list
from engine import checkpoints
from settings.resolve import for_embedding
from SpeakerNet import SpeakerNet
from tests.conftest import ROOT, command
from trainSpeakerNet import main

DEMO = ROOT / "data/demo"
SYSTEMS = ["espeak-ng", "kokoro", "openjtalk_nitech"]


def saved(path: Path, classes: tuple[str, ...] = ("a", "b, c", "d"), **options: object) -> str:
    """A checkpoint of a network with random weights whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    options = {"nOut": 12, "nDataLoaderThread": 1, **options}
    config = for_embedding({}, options)
    net = SpeakerNet(config, len(classes))
    for _ in range(2):
        net.encoder(0.1 * torch.randn(4, 16_000))
    state = {"encoder": net.encoder.state_dict(), "loss": net.loss.state_dict(), "config": config.flat()}
    checkpoints.write(path, state | {"classes": list(classes), "languages": ["de", "en"]})
    return str(path)


def demo_files(name: str) -> dict[str, list[Path]]:
    """System to files of one of the demo's lists."""
    table, found = read_list(str(ROOT / f"data_lists/demo/{name}.csv"), False), defaultdict(list)
    for path, system in zip(table.paths, table.systems, strict=True):
        found[system].append(DEMO / path)
    return found


def speech(seconds: float, start: int = 0) -> np.ndarray:
    """(T,) float32 at 16 kHz of the demo's test list, of many systems, repeated to length."""
    files = [files[0] for files in demo_files("test").values()]
    whole = np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])
    return np.resize(whole[start:], int(seconds * 16_000))


@pytest.fixture(scope="session")
def thin(tmp_path_factory) -> str:
    """A ThinResNet34 on mel bands with class weights."""
    return saved(tmp_path_factory.mktemp("thin") / "model.model")


@pytest.fixture(scope="session")
def folder(thin, tmp_path_factory) -> Path:
    """model.onnx and model.int8.onnx of the untrained network."""
    out, lists = tmp_path_factory.mktemp("onnx") / "thin", ROOT / "data_lists/demo"
    int8 = ["--quantize", "int8", "--calibration_list", str(lists / "train.csv"), "--path", str(DEMO)]
    assert export.main([thin, "--out", str(out), *int8]) == 0
    return out


@pytest.fixture(scope="session")
def learned(tmp_path_factory) -> str:
    """A ThinResNet34 on fbank80 that has learned to separate SYSTEMS."""
    folder = tmp_path_factory.mktemp("learned")
    rows = [f"{file.relative_to(DEMO)},{system}" for system in SYSTEMS for file in demo_files("train")[system][:16]]
    (folder / "train.csv").write_text("\n".join(["path,model_name", *rows, ""]))
    options = {
        "features": "fbank80",
        "train_list": folder / "train.csv",
        "train_path": DEMO,
        "save_path": folder / "exp",
        "nOut": 16,
        "trainfunc": "softmax",
        "batch_size": 12,
        "max_frames": 60,
        "max_epoch": 12,
        "warmup_epochs": 1,
        "lr": 2e-3,
        "device": "cpu",
    }
    assert main(command(options)) == 0
    return str(folder / "exp/model/last.model")
