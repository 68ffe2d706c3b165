"""Runs are run once, resumed, retried and tabulated. A stub stands in for the trainer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import sweep
from corpus.build_cache import build_cache
from corpus.filters import AudioFilters
from corpus.lists import read_list
from engine.locks import is_held
from settings.errors import ConfigError
from sweeping import grid, launch, run_status, sweep_file, table
from sweeping.progress_bar import ProgressBar
from tests.conftest import ROOT

STUB = ROOT / "tests" / "stub_trainer.py"


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    monkeypatch.setattr(launch, "TRAINER", STUB)


def write_sweep(tmp_path, dimensions=(10, 50), seeds=(1, 2), **options) -> Path:
    fixed = {"train_list": "t.csv", "test_list": "test.csv", "max_epoch": 3, "warmup_epochs": 1} | options
    content = {"save_path": str(tmp_path / "exps"), "paper": str(ROOT / "docs" / "paper_table1.csv")}
    content["parts"] = [{"fixed": fixed, "grid": {"nOut": list(dimensions), "seed": list(seeds)}}]
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def trained(tmp_path) -> dict[str, list[int]]:
    """Run to the epochs that it really trained, in their order."""
    files = sorted((tmp_path / "exps").glob("*/trained"))
    return {path.parent.name: [int(line) for line in path.read_text().split()] for path in files}


def cli(tmp_path, *words) -> list[str]:
    """A sweep in a process of its own, with the stub for its trainer."""
    code = f"import sys, pathlib; sys.path.insert(0, {str(ROOT)!r}); import sweep; from sweeping import launch; "
    code += f"launch.TRAINER = pathlib.Path({str(STUB)!r}); sys.exit(sweep.main(sys.argv[1:]))"
    return [sys.executable, "-c", code, str(tmp_path / "sweep.yaml"), *words]


def test_a_sweep_runs_every_cell_once_and_writes_its_table(tmp_path, capsys):
    path = write_sweep(tmp_path)
    assert sweep.main([str(path), "--parallel", "2"]) == 0
    assert sweep.main([str(path)]) == 0
    assert set(map(tuple, trained(tmp_path).values())) == {(1, 2, 3)}
    assert len(trained(tmp_path)) == 4
    rows = (tmp_path / "exps" / "table.csv").read_text().splitlines()
    # dev: 1 / (50 + 3 + seed) of seeds 1 and 2 in percent, mean and deviation by hand; the paper's 5.57 and 4.63
    assert rows[2].startswith("ThinResNet34,aamsoftmax,random,50,2,2,1.835,0.024,5.570,-3.735,")
    assert "4 of 4 done" in capsys.readouterr().out
    text = (tmp_path / "exps" / "table.md").read_text()
    assert "**1.84 ± 0.02** (paper 5.57, -3.73)" in text
    assert (tmp_path / "exps" / "table.png").stat().st_size > 5000


def test_one_failing_run_stops_no_other_and_is_tried_again(tmp_path, capsys):
    path = write_sweep(tmp_path, (13, 14, 15, 16), (1,))
    assert sweep.main([str(path), "--retries", "2"]) == 1
    tries = {p.parent.name.split("-")[3]: len(p.read_text()) for p in (tmp_path / "exps").glob("*/tries")}
    assert tries == {"nOut13": 3, "nOut14": 2, "nOut15": 1, "nOut16": 1}  # 15: a user's mistake would fail again
    assert len(trained(tmp_path)) == 2
    text = (tmp_path / "exps" / "table.md").read_text()
    assert "failed: ValueError: out of luck" in text
    assert "failed: no such thing" in text
    assert "2 of 4 done, 2 failed" in capsys.readouterr().out


def test_a_dry_run_lists_the_runs_and_makes_nothing(tmp_path, capsys):
    assert sweep.main([str(write_sweep(tmp_path)), "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert out.count("python trainSpeakerNet.py") == 4
    assert out.endswith("4 runs\n")
    assert not (tmp_path / "exps").exists()


def test_the_table_of_an_unfinished_sweep_says_what_is_missing(tmp_path):
    path = write_sweep(tmp_path)
    assert sweep.main([str(path), "--table_only"]) == 0
    assert "seed 1 not run; seed 2 not run" in (tmp_path / "exps" / "table.md").read_text()


def test_a_folder_of_another_configuration_is_refused(tmp_path, capsys):
    path = write_sweep(tmp_path)
    run = grid.runs(sweep_file.read(str(path)), [])[0]
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(run.config.flat() | {"max_epoch": 99, "device": "cuda"}))
    assert sweep.main([str(path)]) == 2
    assert "max_epoch: 99 there, 3 now" in capsys.readouterr().err


def test_a_folder_whose_audio_was_filtered_otherwise_is_refused(tmp_path, capsys, corpus):
    filters = AudioFilters(lowpass=4_000.0)
    build_cache(tmp_path / "cache", read_list(corpus / "train.csv"), corpus, 1, filters)
    path = write_sweep(tmp_path)
    words = ["--train_list", str(corpus / "train.csv"), "--cache", str(tmp_path / "cache")]
    run = grid.runs(sweep_file.read(str(path)), words)[0]
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(run.config.flat()))
    for before, other in ((filters.settings(), False), (AudioFilters().settings(), True), ({"lowpass": 300}, True)):
        (run.folder / "environment.json").write_text(json.dumps({"filters": before}))
        assert bool(run_status.other_filters(run)) == other
    assert sweep.main([str(path), *words]) == 2
    assert "filters: {'lowpass': 300} there, {'loudness_norm': False, 'lowpass': 4000.0" in capsys.readouterr().err


def test_the_progress_bar_shows_the_best_and_the_time_left(tmp_path):
    path = write_sweep(tmp_path, (10, 50), (1,))
    runs = grid.runs(sweep_file.read(str(path)), [])
    folder = runs[0].folder / "result"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "seconds": 60, "dev_eer": 0.05, "dev_macro_eer": 0.06}\n')
    bar = ProgressBar(runs)
    assert bar.seconds_left(1) == 5 * 60
    assert bar.line() == f"0 of 2 done, best dev EER 5.00% ({runs[0].name})"
    bar.close()


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_sweep_killed_again_and_again_trains_every_epoch_once(tmp_path, kills):
    write_sweep(tmp_path, (10, 20, 30), (1, 2), max_epoch=16)
    for _ in range(kills):
        process = subprocess.Popen(
            cli(tmp_path, "--parallel", "3"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = sum(map(len, trained(tmp_path).values()))
        until = time.monotonic() + 60
        while sum(map(len, trained(tmp_path).values())) < before + 8 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(cli(tmp_path, "--parallel", "3"), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert list(trained(tmp_path).values()) == [list(range(1, 17))] * 6


def test_a_stopped_sweep_stops_its_trainers_and_says_so(tmp_path):
    write_sweep(tmp_path, (10,), (1,), max_epoch=400)
    process = subprocess.Popen(cli(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not trained(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command resumes the sweep" in err
    run = next((tmp_path / "exps").glob("*/sweep.lock")).parent
    assert not is_held(run / run_status.LOCK)


def test_two_sweeps_of_one_folder_do_not_train_a_run_twice(tmp_path):
    write_sweep(tmp_path, (10,), (1,), max_epoch=30)
    both = [subprocess.Popen(cli(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(100) for process in both] == [0, 0]
    assert list(trained(tmp_path).values()) == [list(range(1, 31))]


def test_the_papers_figures_are_read_and_a_broken_file_is_named(tmp_path):
    paper = table.read_paper(str(ROOT / "docs" / "paper_table1.csv"))
    assert len(paper) == 48
    assert paper["ThinResNet34", "ge2e", "balanced", 50] == {"dev_eer_percent": 4.57, "test_eer_percent": 5.03}
    (tmp_path / "p.csv").write_text("model,nOut\na,b\n")
    with pytest.raises(ConfigError, match=r"p\.csv"):
        table.read_paper(str(tmp_path / "p.csv"))


def test_without_ray_the_requirement_file_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert sweep.main([str(write_sweep(tmp_path)), "--engine", "ray"]) == 2
    assert "pip install -r requirements-ray.txt" in capsys.readouterr().err


def test_runs_share_the_gpus_that_are_visible(monkeypatch):
    from sweeping.local import gpu

    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "2,5")
    assert [gpu(place)["CUDA_VISIBLE_DEVICES"] for place in range(3)] == ["2", "5", "2"]


def test_a_run_is_done_when_dev_and_test_lists_share_a_file_name(tmp_path):
    path = write_sweep(tmp_path, (10,), (1,), dev_list="dev/list.csv", test_list="test/list.csv")
    (run,) = grid.runs(sweep_file.read(str(path)), [])
    (run.folder / "result").mkdir(parents=True)
    (run.folder / "result" / "metrics.jsonl").write_text("".join(f'{{"epoch": {n}}}\n' for n in (1, 2, 3)))
    (run.folder / "result" / "eval_test_list.json").write_text('{"eer": 0.1}')  # as the trainer names it
    assert run_status.state(run).tests == {"test_list": {"eer": 0.1, "macro_eer": None}}
    assert run_status.finished(run)


@pytest.mark.parametrize("damage", ["[]", '{"attempts": "x"}', '{"status": 3}', "{", '{"attempts": NaN}'])
def test_a_damaged_note_of_the_sweep_is_named(tmp_path, capsys, damage):
    path = write_sweep(tmp_path, (10,), (1,))
    (run,) = grid.runs(sweep_file.read(str(path)), [])
    run.folder.mkdir(parents=True)
    (run.folder / "sweep.json").write_text(damage)
    assert sweep.main([str(path)]) == 2
    assert "sweep.json" in capsys.readouterr().err
