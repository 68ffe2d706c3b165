"""A sweep on a real Ray cluster of two nodes, one of which is killed in mid-sweep, gives the table of a local one."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, make_corpus

RAY = Path(sys.executable).with_name("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RAY.exists(), reason="Ray (requirements-ray.txt) is not installed"),
]
EPOCHS = 40


def write_sweep(folder: Path) -> Path:
    corpus = make_corpus(folder / "data")
    lists = {f"{part}_list": str(corpus / f"{part}.csv") for part in ("train", "dev", "test")}
    fixed = {"train_path": str(corpus), "batch_size": 8, "max_frames": 40, "max_epoch": EPOCHS, "warmup_epochs": 1}
    fixed |= lists | {"test_interval": 10, "lr": 0.001, "device": "cpu", "nDataLoaderThread": 1}
    part = {"fixed": fixed, "grid": {"trainfunc": ["softmax", "aamsoftmax"], "nOut": [4, 8], "seed": [1]}}
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"save_path": "set below", "parts": [part]}))
    return path


def sweep(path: Path, save_path: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "sweep.py"), str(path), "--save_path", str(save_path), "--cpus", "1", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def node(*words: str) -> subprocess.Popen:
    """A Ray node of one CPU, in a process group of its own."""
    command = [str(RAY), "start", "--block", "--num-cpus=1", "--num-gpus=0", "--disable-usage-stats", *words]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_node(process: subprocess.Popen, children: list[int]) -> None:
    """SIGKILL to a node: the process, and the tree below it as it was found to be."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def tree(pid: int) -> list[int]:
    """The processes below one, outermost first. A run's trainer is not among a node's: it must end by itself."""
    found = []
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else []:
        words = Path(f"/proc/{child}/cmdline").read_text() if Path(f"/proc/{child}").exists() else ""
        if "trainSpeakerNet.py" not in words:
            found += [int(child), *tree(int(child))]
    return found


def records(folder: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/sweep.json")}


def epochs(folder: Path) -> list[int]:
    """Finished epochs of every run that has begun."""
    return [len(path.read_text().splitlines()) for path in folder.glob("*/result/metrics.jsonl")]


@pytest.fixture
def cluster():
    """The address of a head node, and a second node that may be killed."""
    port, temporary = free_port(), Path(f"/tmp/ray_test_{os.getpid()}")  # a short path: sockets lie in it
    head = node("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={temporary}")
    address = f"127.0.0.1:{port}"
    time.sleep(8)
    second = node(f"--address={address}")
    time.sleep(5)
    yield address, second
    for process in (second, head):
        kill_node(process, tree(process.pid))
    shutil.rmtree(temporary, ignore_errors=True)


def test_a_node_killed_in_mid_sweep_costs_nothing(tmp_path, cluster):
    address, second = cluster
    path = write_sweep(tmp_path)
    running = sweep(path, tmp_path / "ray", "--engine", "ray", "--address", address)
    until = time.monotonic() + 240
    while len(found := epochs(tmp_path / "ray")) < 2 or min(found) < 2:
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < until, "no two runs at once"
        time.sleep(0.2)
    kill_node(second, tree(second.pid))
    out, _ = running.communicate(timeout=400)
    assert running.returncode == 0, out
    found = records(tmp_path / "ray")
    assert {record["status"] for record in found.values()} == {"done"}
    assert sorted(r["attempts"] for r in found.values()) == [1, 1, 1, 2]  # one lost its node
    for name in found:
        rows = (tmp_path / "ray" / name / "result" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    local = sweep(path, tmp_path / "local", "--parallel", "2")
    out, _ = local.communicate(timeout=400)
    assert local.returncode == 0, out
    assert (tmp_path / "ray" / "table.csv").read_text() == (tmp_path / "local" / "table.csv").read_text()
