"""Short runs on data/demo: their lists, and whether two of them learned the same."""

from pathlib import Path

import torch

from engine import checkpoints

ROOT = Path(__file__).parent.parent


def thinned_lists(folder: Path, every: int = 6) -> None:
    """Write train.csv, dev.csv and test.csv: one of so many utterances of the demo's lists."""
    for name in ("train", "dev", "test"):
        header, *lines = (ROOT / f"data_lists/demo/{name}.csv").read_text(encoding="utf-8").splitlines()
        (folder / f"{name}.csv").write_text("\n".join([header, *lines[::every]]) + "\n", encoding="utf-8")


def different_weights(first: Path, second: Path) -> list[str]:
    """The tensors of encoder and loss in which two checkpoints differ by a bit or more."""
    one, other = checkpoints.read(first), checkpoints.read(second)
    return [
        f"{part} {key}"
        for part in ("encoder", "loss")
        for key, value in one[part].items()
        if not torch.equal(value, other[part][key])
    ]
