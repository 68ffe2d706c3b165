"""Several processes (gloo, on the CPU) learn what one learns; one that dies ends the others with a message, soon."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, command
from tests.test_training import metrics

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


def start(processes: int, *argv: object, **environment: str) -> subprocess.Popen:
    words = [*TORCHRUN, processes, *argv] if processes > 1 else [sys.executable, *argv]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([str(word) for word in words], cwd=ROOT, env=settings, **pipes)


@pytest.fixture(scope="module")
def alone() -> dict:
    return steps(1)


def steps(processes: int) -> dict:
    with start(processes, "-m", "tests.distributed_steps") as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("processes", [2, 4])
def test_losses_of_several_processes_equal_those_of_one_for_every_loss_and_sampler(alone, processes):
    shared = steps(processes)
    assert shared.keys() == alone.keys() and len(alone) == 16
    for name, losses in alone.items():
        assert len(losses) >= 3
        assert shared[name] == pytest.approx(losses, rel=1e-7), name


def test_a_run_by_torchrun_writes_one_experiment_and_resumes(options):
    options |= {"trainfunc": "aamsoftmax_regmixup", "ema": 0.9, "average": 2}  # each process mixes its own part
    with start(2, "trainSpeakerNet.py", *command(options)) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count("epoch 2: loss") == 1 and "test.csv" in out and "average.model" in out
    assert [row["epoch"] for row in metrics(options["save_path"])] == [1, 2]
    with start(2, "trainSpeakerNet.py", *command(options)) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and "resuming from" in out, err


def test_a_batch_that_cannot_be_shared_equally_is_an_error(options):
    with start(2, "trainSpeakerNet.py", *command(options | {"batch_size": 7})) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode != 0 and "cannot be shared equally by 2 processes" in err


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


def test_processes_with_another_list_or_option_are_refused_before_training(options, corpus, tmp_path):
    """Each process has its own working folder, and so its own list and configuration of one name."""
    argv = [str(word).replace(str(corpus / "train.csv"), "train.csv") for word in command(options)]
    script = tmp_path / "each.py"
    lines = ["import os, runpy, sys", "os.chdir(sys.argv.pop(1) + os.environ['RANK'])"]
    script.write_text("\n".join([*lines, f"runpy.run_path({str(ROOT / 'trainSpeakerNet.py')!r}, run_name='__main__')"]))
    rows = (corpus / "train.csv").read_text().splitlines()
    for rank, kept in ((0, rows), (1, rows[:-1])):
        (tmp_path / f"own{rank}").mkdir()
        (tmp_path / f"own{rank}" / "train.csv").write_text("\n".join(kept) + "\n")
    with start(2, script, tmp_path / "own", *argv) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "differ from process 0" in err and "process 1: the train list" in err and "the configuration" not in err
