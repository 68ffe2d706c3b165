"""Several processes (gloo, on the CPU) learn what one learns; one that dies ends the others with a message, soon."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models import ThinResNet34
from tests import distributed_steps, forked
from tests.conftest import ROOT, command
from tests.test_training import metrics
from trainSpeakerNet import main

# a machine whose own name does not resolve would wait for itself: hence the address
TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--local_addr",
    "127.0.0.1",
    "--nproc_per_node",
]


def start(processes: int, *argv: object) -> subprocess.Popen:
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([str(word) for word in [*TORCHRUN, processes, *argv]], cwd=ROOT, env=settings, **pipes)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    return steps(1, tmp_path_factory.mktemp("alone") / "logs")


def steps(processes: int, folder: Path) -> dict:
    assert not any(forked.run_group(folder, processes, distributed_steps.main, folder / "losses.json")), logs(folder)
    return json.loads((folder / "losses.json").read_text())


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("*.log")))


@pytest.mark.parametrize("processes", [2, 4])
def test_losses_of_several_processes_equal_those_of_one_for_every_loss_and_sampler(alone, tmp_path, processes):
    shared = steps(processes, tmp_path / "logs")
    assert shared.keys() == alone.keys() and len(alone) == 16
    for name, losses in alone.items():
        assert len(losses) >= 3
        assert shared[name] == pytest.approx(losses, rel=1e-7), name


def test_a_run_by_torchrun_writes_one_experiment_and_resumes(options, tmp_path):
    options |= {"trainfunc": "aamsoftmax_regmixup", "ema": 0.9, "average": 2}  # each process mixes its own part
    with start(2, "trainSpeakerNet.py", *command(options)) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count("epoch 2: loss") == 1 and "test.csv" in out and "average.model" in out
    assert [row["epoch"] for row in metrics(options["save_path"])] == [1, 2]
    assert forked.run_group(tmp_path / "logs", 2, full_size_main, command(options)) == [0, 0]
    assert logs(tmp_path / "logs").count("resuming from") == 1


def full_size_main(argv: list[str]) -> int:
    ThinResNet34.BLOCKS = (3, 4, 6, 3)
    return main(argv)


def test_a_batch_that_cannot_be_shared_equally_is_an_error(options, tmp_path):
    statuses = forked.run_group(tmp_path / "logs", 2, main, command(options | {"batch_size": 7}))
    assert 0 not in statuses and "cannot be shared equally by 2 processes" in logs(tmp_path / "logs")


def test_a_process_that_dies_ends_the_others_with_a_message_in_seconds(options):
    with start(2, "trainSpeakerNet.py", *command(options | {"max_epoch": 500, "test_interval": 500})) as process:
        next(line for line in process.stdout if line.startswith("epoch 1:"))
        workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        began = time.perf_counter()
        subprocess.run(["kill", "-9", workers[-1]], check=True)
        _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert time.perf_counter() - began < 25  # torchrun itself looks every few seconds
    assert "another process ended" in err


def main_in_own_folder(folder: Path, argv: list[str]) -> int:
    os.chdir(folder / os.environ["RANK"])
    return main(argv)


def test_processes_with_another_list_or_option_are_refused_before_training(options, corpus, tmp_path):
    """Each process has its own working folder, and so its own list and configuration of one name."""
    rows = (corpus / "train.csv").read_text().splitlines()
    for rank, kept in ((0, rows), (1, rows[:-1])):
        (tmp_path / f"{rank}").mkdir()
        (tmp_path / f"{rank}" / "train.csv").write_text("\n".join(kept) + "\n")
    argv = command(options | {"train_list": "train.csv"})
    assert 0 not in forked.run_group(tmp_path / "logs", 2, main_in_own_folder, tmp_path, argv)
    said = logs(tmp_path / "logs")
    assert "differ from process 0" in said and "process 1: the train list" in said and "the configuration" not in said
