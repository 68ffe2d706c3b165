"""The pictures of a list are drawn whatever its scores are: separate, alike, reversed, of one condition alone."""

import numpy as np
import pytest
from matplotlib.image import imread

from scoring import evaluate, write_results

RANDOM = np.random.default_rng(0)
SYSTEMS = np.repeat(np.arange(4), 5)
CASES = {
    "separate": np.eye(4, dtype=np.float32)[SYSTEMS],
    "all alike": np.ones((20, 4), np.float32),
    "reversed": np.eye(5, dtype=np.float32)[np.arange(20) % 5],
    "random": RANDOM.standard_normal((20, 4)).astype(np.float32),
}


@pytest.mark.parametrize("conditions", [None, np.repeat(["seen", "$un_seen$"], 10)], ids=["", "conditions"])
@pytest.mark.parametrize("case", CASES)
def test_both_pictures_are_drawn_of_any_scores(case, conditions, tmp_path):
    result = evaluate(CASES[case], SYSTEMS.astype(str), conditions=conditions)
    write_results(result, tmp_path, "dev")
    for name, (height, width) in {"det": (832, 832), "scores": (546, 936)}.items():
        picture = imread(tmp_path / f"{name}_dev.png")
        assert picture.shape == (height, width, 4)
        assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 50  # curves in colour, and text
