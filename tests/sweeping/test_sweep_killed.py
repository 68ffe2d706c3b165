"""A sweep of the real trainer, killed ten times, ends as an undisturbed one does. Minutes long: pytest -m slow."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.sweeping.test_sweep_ray import EPOCHS, epochs, sweep, write_sweep
from tests.test_training import metrics, same, weights

pytestmark = pytest.mark.slow
KILLS = 10


def descendants(pid: int) -> list[int]:
    """The processes below one, trainers among them."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [process for child in map(int, listed) for process in (child, *descendants(child))]


def test_a_real_sweep_killed_ten_times_ends_as_an_undisturbed_one(tmp_path):
    path, dice, kills = write_sweep(tmp_path), random.Random(1), 0
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = sweep(path, whole, "--parallel", "2")
    out, _ = undisturbed.communicate(timeout=600)
    assert undisturbed.returncode == 0, out
    while kills < KILLS:
        running, before = sweep(path, killed, "--parallel", "2"), sum(epochs(killed))
        until = time.monotonic() + 300
        while sum(epochs(killed)) < before + 4:  # else no run would ever get beyond its start
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < until, "nothing is trained"
            time.sleep(0.05)
        time.sleep(dice.uniform(0, 0.5))
        trainers = descendants(running.pid)
        running.kill()
        for pid in trainers if kills % 2 else trainers[:1]:  # its trainers die with it, or one of them, or end later
            os.kill(pid, signal.SIGKILL)
        running.communicate()
        kills += 1
    last = sweep(path, killed, "--parallel", "2")
    out, _ = last.communicate(timeout=600)
    assert last.returncode == 0, out
    assert (whole / "table.csv").read_text() == (killed / "table.csv").read_text()
    names = sorted(folder.parent.name for folder in whole.glob("*/config.yaml"))
    assert len(names) == 4
    for name in names:
        assert same(weights(whole / name), weights(killed / name)) and metrics(whole / name) == metrics(killed / name)
        assert [row["epoch"] for row in metrics(killed / name)] == list(range(1, EPOCHS + 1))
