"""Runs as SLURM jobs: options reach sbatch, a warned job saves, is requeued and resumes; with submitit's imitation."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import sweep
from settings.errors import ConfigError
from sweeping import grid, sweep_file
from sweeping.progress_bar import ProgressBar
from sweeping.scheduler import run_all
from sweeping.slurm_engine import SlurmEngine, split_options
from tests.conftest import ROOT, make_corpus

submitit = pytest.importorskip("submitit", reason="submitit (requirements-slurm.txt) is not installed")
EPOCHS = 60


def write_sweep(folder: Path, dimensions=(4,)) -> Path:
    corpus = make_corpus(folder / "data")
    fixed = {"train_path": str(corpus), "batch_size": 8, "max_frames": 40, "max_epoch": EPOCHS, "warmup_epochs": 1}
    fixed |= {f"{part}_list": str(corpus / f"{part}.csv") for part in ("train", "dev", "test")}
    fixed |= {"test_interval": EPOCHS, "lr": 0.001, "device": "cpu", "nDataLoaderThread": 1}
    part = {"fixed": fixed, "grid": {"nOut": list(dimensions)}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"save_path": str(folder / "exps"), "parts": [part]}))
    return folder / "sweep.yaml"


def epochs(folder: Path) -> list[int]:
    return [len(path.read_text().splitlines()) for path in folder.glob("exps/*/result/metrics.jsonl")]


def wait_for(condition, seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_slurm_s_options_are_separated_from_the_trainer_s():
    words = ["--lr", "0.1", "--slurm_partition", "gpu", "--slurm_time=60", "--nOut", "4"]
    assert split_options(words) == ({"partition": "gpu", "time": "60"}, ["--lr", "0.1", "--nOut", "4"])
    with pytest.raises(ConfigError, match="--slurm_qos needs a value"):
        split_options(["--slurm_qos", "--lr", "1"])


def test_options_reach_sbatch_and_time_is_in_minutes(tmp_path):
    options = {"partition": "gpu", "time": "90", "mem": "8G", "licenses": "x"}
    engine = SlurmEngine(tmp_path, 2, 1, 3, options, cluster="local")
    given = engine.parameters(options, 3)
    assert given["timeout_min"] == 90 and given["slurm_partition"] == "gpu" and given["slurm_mem"] == "8G"
    assert given["slurm_additional_parameters"] == {"licenses": "x"} and given["slurm_array_parallelism"] == 3
    with pytest.raises(ConfigError, match="--slurm_time soon: a number of minutes"):
        engine.parameters({"time": "soon"}, 0)


def test_without_slurm_or_submitit_the_word_is_clear(tmp_path, monkeypatch, capsys):
    path = write_sweep(tmp_path)
    assert sweep.main([str(path), "--slurm_partition", "gpu"]) == 2
    assert "--slurm_partition is for --engine slurm" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sweep.main([str(path), "--engine", "slurm"]) == 2
    assert "no sbatch on this machine" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert sweep.main([str(path), "--engine", "slurm"]) == 2
    assert "pip install -r requirements-slurm.txt" in capsys.readouterr().err


@pytest.mark.slow
def test_a_warned_job_saves_is_requeued_and_resumes(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = grid.runs(sweep_file.read(str(write_sweep(tmp_path))), [])
    engine = SlurmEngine(tmp_path / "logs", 1, 0, 0, {}, cluster="local")
    engine.start(runs[0])
    assert engine.finished(0) == []
    (job,) = engine.at_work
    wait_for(lambda: max(epochs(tmp_path), default=0) > 2)
    children = subprocess.run(["pgrep", "-P", str(job.job_id)], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[0]), signal.SIGUSR2)  # what SLURM sends before the time limit
    ended = []
    wait_for(lambda: ended.extend(engine.finished(1)) or ended)
    assert ended[0][1].status == "done", job.stderr()
    log = (runs[0].folder / "sweep.log").read_text()
    assert "stopped by SIGTERM" in log and log.count("resuming from") == 1
    assert epochs(tmp_path) == [EPOCHS]
    assert run_all(runs, engine, 0, ProgressBar(runs)) == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("sinfo"), reason="no SLURM here")
def test_a_real_cluster_runs_a_sweep_and_survives_a_cancelled_and_requeued_job(tmp_path):
    up = subprocess.run(["sinfo", "-h", "-t", "idle,mix,alloc"], capture_output=True, text=True, check=False).stdout
    if not up.strip():
        pytest.skip("no SLURM node is up")
    words = [sys.executable, "sweep.py", str(write_sweep(tmp_path, (4, 8))), "--engine", "slurm", "--retries", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    with subprocess.Popen(words, **pipes) as process:
        wait_for(lambda: len(epochs(tmp_path)) == 2 and min(epochs(tmp_path)) > 2)
        listed = subprocess.run(["squeue", "-h", "-r", "-o", "%i"], capture_output=True, text=True, check=True).stdout
        first, second = listed.split()[:2]
        subprocess.run(["scancel", first], check=True)
        subprocess.run(["scancel", "--signal=USR2", second], check=True)
        out, _ = process.communicate(timeout=500)
    assert process.returncode == 0, out
    assert epochs(tmp_path) == [EPOCHS, EPOCHS]
    assert (tmp_path / "exps" / "table.csv").exists()
