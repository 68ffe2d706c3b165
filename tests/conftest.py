"""Small data that tests make for themselves: systems as tones, a list of them, an experiment in a temporary folder."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

ROOT = Path(__file__).parent.parent
SMALL = (1, 1, 1, 1)  # blocks of each stage of ThinResNet34 in tests of other things
torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


def tone(system: int, utterance: int, seconds: float = 0.6, rate: int = 16_000) -> np.ndarray:
    """(T,) float32: a chord by system, in noise by utterance."""
    random = np.random.default_rng([system, utterance])
    t = np.arange(int(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * t + random.uniform(0, 6)) for f in (200 * (system + 1), 900 + 350 * system))
    return (0.2 * chord + 0.02 * random.standard_normal(t.size)).astype(np.float32)


@pytest.fixture
def corpus(tmp_path):
    """A folder with wav files of 4 systems × 6 utterances, and train.csv, dev.csv, test.csv of them."""
    return make_corpus(tmp_path / "data")


def make_corpus(folder: Path, systems: int = 4, utterances: int = 6) -> Path:
    rows = {"train": [], "dev": [], "test": []}
    for system in range(systems):
        for utterance in range(utterances):
            path = f"fake/{'ab'[system % 2]}/s{system}/u{utterance}.wav"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, tone(system, utterance, 0.5 + 0.1 * (utterance % 3)), 16_000)
            rows["train" if utterance < utterances - 2 else "dev"].append(f"{path},system {system}")
    rows["test"] = rows["dev"]
    for name, lines in rows.items():
        (folder / f"{name}.csv").write_text("\n".join(["path,model_name", *lines, ""]))
    return folder


@pytest.fixture
def small():
    """A ThinResNet34 of one block a stage and blank pictures: enough for tests of all that surrounds them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.ThinResNet34.BLOCKS", SMALL)
        for picture in ("draw_det", "draw_scores"):
            patch.setattr(f"scoring.files.{picture}", lambda _, path, *__: Path(path).write_bytes(b""))
        yield patch


@pytest.fixture
def full_size(small):
    """The network and the pictures that users get, where `options` makes both small."""
    small.undo()


@pytest.fixture
def options(corpus, tmp_path, small):  # noqa: ARG001 for its effect
    """Command-line options of a run that takes a second: 2 epochs, dev and test scored."""
    return {
        "train_list": corpus / "train.csv",
        "dev_list": corpus / "dev.csv",
        "test_list": corpus / "test.csv",
        "train_path": corpus,
        "save_path": tmp_path / "exp",
        "nOut": 8,
        "batch_size": 8,
        "max_frames": 40,
        "max_epoch": 2,
        "warmup_epochs": 1,
        "test_interval": 1,
        "lr": 1e-3,
        "device": "cpu",
    }


def command(options: dict, *more: object) -> list[str]:
    """Options as a command line."""
    return [str(word) for name, value in options.items() for word in (f"--{name}", value)] + [
        str(word) for word in more
    ]
