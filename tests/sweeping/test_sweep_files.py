"""Every sweep file of configs/sweeps can be planned as it stands, with plain AAM-softmax in every recipe's table."""

import pytest

from sweeping import grid, sweep_file
from tests.conftest import ROOT

FILES = sorted((ROOT / "configs/sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sweep_file_makes_runs(path):
    runs = grid.runs(sweep_file.read(str(path)), [])
    assert len(runs) > 1 and len({run.name for run in runs}) == len(runs)
    if path.stem.startswith("recipes_"):
        plain = [
            run for run in runs if run.config.trainfunc == "aamsoftmax" and run.config.loss_options["margin"] == 0.2
        ]
        assert plain and len({run.config.seed for run in plain}) >= 5
