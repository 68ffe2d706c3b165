"""A run that is killed, preempted, tampered with or started twice: nothing is lost, nothing is silent."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from engine import checkpoints
from engine.tensorboard_log import TensorboardLog
from tests import forked
from tests.conftest import command
from tests.killed_runs import run_killed
from tests.test_training import metrics, refused, said, same, weights
from trainSpeakerNet import main


def compare_killed_with_undisturbed(options, tmp_path, kills, most):
    options |= {"save_interval": 0}  # a checkpoint after every batch
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(command(options | {"save_path": whole})) == 0
    hits = run_killed(command(options | {"save_path": killed}), killed, kills, seed=1, most=most)
    first, second = checkpoints.read(whole / "model/last.model"), checkpoints.read(killed / "model/last.model")
    assert same(first["encoder"], second["encoder"]) and same(first["loss"], second["loss"])
    for name, value in first["optimizer"]["state"].items():
        assert same(value, second["optimizer"]["state"][name])
    assert metrics(whole) == metrics(killed)
    for name in ("dev", "test"):
        results = [
            (folder / f"result/eval_{name}.json").read_text().replace(str(folder), "") for folder in (whole, killed)
        ]
        assert results[0] == results[1]
    assert not list((killed / "model").glob(".*"))  # what a kill left half written is removed
    return hits


def test_a_run_killed_at_random_moments_ends_bit_for_bit_as_an_undisturbed_one(options, tmp_path):
    options |= {"max_epoch": 4, "test_interval": 2, "margin_epochs": 3, "ema": 0.9}
    assert compare_killed_with_undisturbed(options, tmp_path, kills=6, most=60) >= 4


@pytest.mark.slow
def test_a_run_killed_at_25_random_moments_ends_bit_for_bit_as_an_undisturbed_one(options, tmp_path):
    options |= {"max_epoch": 12, "test_interval": 4}
    assert compare_killed_with_undisturbed(options, tmp_path, kills=25, most=60) == 25


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_first_and_has_a_status_of_its_own(options, tmp_path, signum):
    options |= {"max_epoch": 200, "test_interval": 200, "save_interval": 60}
    log = tmp_path / "run.log"
    process = forked.start(log, main, command(options))
    forked.wait_for("epoch 2:", process, log)
    os.kill(process.pid, signum)
    assert forked.finish(process) == 128 + signum
    rest = log.read_text()
    assert "stopped by" in rest and "the same command resumes" in rest and "Traceback" not in rest
    assert checkpoints.read(options["save_path"] / "model/last.model")["progress"]["epoch"] >= 2


def test_a_run_saved_by_a_device_without_fused_optimisers_goes_on_here(options):
    options |= {"max_epoch": 1, "warmup_epochs": 0}
    assert main(command(options)) == 0
    last = options["save_path"] / "model/last.model"
    state = checkpoints.read(last)
    state["progress"] |= {"epoch": 0, "history": []}
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = None
    for path in last.parent.glob("*.model"):
        path.unlink()
    checkpoints.write(last, state)
    assert main(command(options)) == 0
    assert checkpoints.read(last)["progress"]["epoch"] == 1


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(options, capsys):
    assert main(command(options)) == 0
    last = options["save_path"] / "model/last.model"
    before = weights(options["save_path"])
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.unlink()
    last.write_bytes(content)
    said(capsys)
    assert main(command(options)) == 0
    text = said(capsys)
    assert "last.model: not a checkpoint, or damaged" in text and "checkpoint before it" in text
    assert "resuming from" in text and "previous.model" in text
    assert same(before, weights(options["save_path"]))


def test_a_damaged_best_checkpoint_is_stood_in_for_by_the_numbered_one(options, capsys):
    assert main(command(options)) == 0
    best = options["save_path"] / "model/best.model"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 0xFF
    best.unlink()
    best.write_bytes(content)
    said(capsys)
    assert main(command(options)) == 0
    assert "best.model is damaged" in said(capsys)


def test_only_damaged_checkpoints_are_never_overwritten_by_surprise(options, capsys):
    folder = options["save_path"] / "model"
    folder.mkdir(parents=True)
    (folder / "last.model").write_bytes(b"damaged")
    assert "--restart begins anew" in refused(capsys, options)
    assert (folder / "last.model").read_bytes() == b"damaged"
    assert main(command(options, "--restart")) == 0


def test_a_second_writer_is_refused_and_a_dead_ones_lock_does_not_block(options, capsys):
    options["save_path"].mkdir()
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); "
    holder += "f.write('process 7 on somewhere'); f.flush(); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", holder, options["save_path"] / ".lock"], stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        assert "in use by process 7 on somewhere" in refused(capsys, options)
        other.kill()
    assert main(command(options)) == 0


def test_resuming_with_options_that_change_what_is_learned_is_refused(options, corpus, capsys):
    assert main(command(options)) == 0
    text = refused(capsys, options | {"lr": 5e-4, "nOut": 8}, "--margin", 0.3)
    assert "lr: 0.001 in the checkpoint, 0.0005 now" in text and "margin: 0.2 in the checkpoint, 0.3 now" in text
    assert "--restart" in text
    assert main(command(options, "--nDataLoaderThread", 3)) == 0
    rows = (corpus / "train.csv").read_text().splitlines()
    (corpus / "train.csv").write_text("\n".join(rows[:-1]))
    assert "the utterances of the train list" in refused(capsys, options)


def test_numbered_checkpoints_are_pruned_and_best_and_last_stay(options):
    assert main(command(options | {"max_epoch": 4}, "--keep", 2)) == 0
    names = {path.name for path in (options["save_path"] / "model").glob("*.model")}
    assert names == {"last.model", "previous.model", "best.model", "model000000003.model", "model000000004.model"}


def test_batches_that_are_not_finite_can_be_left_out_with_a_count(options, capsys, monkeypatch):
    from SpeakerNet import ModelTrainer

    step, calls = ModelTrainer.step, []

    def poisoned(self, batch, *more):
        calls.append(1)
        if len(calls) == 2:
            batch.waveforms[0, 0] = torch.nan
        return step(self, batch, *more)

    monkeypatch.setattr(ModelTrainer, "step", poisoned)
    text = refused(capsys, options)
    saved = torch.load(options["save_path"] / "result/not_finite.pt", weights_only=True)
    assert "epoch 1, batch 2 of 2" in text and "not_finite.pt" in text and saved["waveforms"].isnan().any()
    calls.clear()
    assert main(command(options, "--skip_not_finite", 1, "--restart")) == 0
    assert metrics(options["save_path"])[-1]["batches_left_out"] == 1


def test_bad_audio_is_left_out_only_when_asked_and_recorded(options, corpus, capsys):
    (corpus / "fake/a/s0/u0.wav").write_bytes(b"")
    (corpus / "fake/b/s1/u5.wav").unlink()
    assert "--skip_bad_audio goes on without them" in refused(capsys, options)
    assert main(command(options, "--skip_bad_audio")) == 0
    folder = options["save_path"]
    assert "s0/u0.wav" in (folder / "result/scores.txt").read_text()
    assert "s1/u5.wav" in (folder / "result/eval_dev.json").read_text()
    assert (
        "15 of 15 utterances" in said(capsys).replace("8 of", "8 of")
        or metrics(folder)[0]["utterances_available"] == 15
    )


def small_disk(folder, megabytes):
    """Mount a file system of this size on `folder`; skip where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")


@pytest.mark.parametrize("free", [0, 4_096, 16_384, 1_000_000])
def test_a_disk_that_is_full_from_the_start_is_one_message(options, tmp_path, capsys, free):
    """Whatever meets it first: a folder, the lock, the log, TensorBoard, the configuration, a checkpoint."""
    disk = tmp_path / "disk"
    small_disk(disk, 3)
    try:
        with (disk / "filling").open("wb") as file:
            file.write(bytes(shutil.disk_usage(disk).free - free))
        text = refused(capsys, options | {"save_path": disk / "exp"})
        assert "No space left on device" in text and "Traceback" not in text and "Logging error" not in text
        (disk / "filling").unlink()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_board_without_room_warns_once_and_the_run_goes_on(tmp_path, caplog):
    disk = tmp_path / "disk"
    small_disk(disk, 1)
    try:
        board = TensorboardLog(disk / "tensorboard", 1)
        board.add({"epoch": 1, "loss": 0.5})
        with suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
            file.write(bytes(1 << 20))
        for epoch in range(2, 400):
            board.add({"epoch": epoch, "loss": 0.5, "accuracy": 1.0})
        board.close()
        assert caplog.text.count("goes on without TensorBoard") == 1
        found = next((disk / "tensorboard").iterdir())
        steps = [event.step for event in EventFileLoader(str(found)).Load() if event.HasField("summary")]
        assert steps[:1] == [1] and steps == sorted(steps)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.usefixtures("full_size")
def test_a_full_disk_is_told_and_what_was_kept_is_sound(options, tmp_path, capsys):
    disk = tmp_path / "disk"
    small_disk(disk, 40)  # two checkpoints of 17 MB and not a third
    try:
        full = options | {"save_path": disk / "exp", "max_epoch": 4}
        text = refused(capsys, full)
        assert "No space left on device" in text and "model" in text
        kept = checkpoints.read(disk / "exp/model/last.model")
        assert kept["progress"]["epoch"] >= 1
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", disk], check=True)
