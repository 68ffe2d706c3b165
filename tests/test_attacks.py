"""The attacks of `benchmarks.attacks`: a few of each kind in the suite, and that a fault is seen as one."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.attacks import audio, caches, worker
from benchmarks.attacks import checkpoints as damaged_checkpoints
from benchmarks.attacks.worker import EQUAL, FAULT, OTHER, REFUSED, Attack, Fault, by_command, run
from corpus.embedding_file import SavedEmbeddings, read_embeddings, write_embeddings
from engine import checkpoints
from settings.errors import DataError
from tests.conftest import ROOT


def attack_parts(*words: str) -> str:
    """The benchmark's output, in a process of its own: autograd does not survive a fork once it has threads."""
    argv = [sys.executable, "-m", "benchmarks.attacks", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("part", ["audio", "checkpoints", "caches", "yaml", "values", "kills"])
def test_a_few_attacks_of_each_kind_find_nothing(part):
    assert "| all | 40 |" in attack_parts(part, "--count", "40", "--seed", "7")


def test_two_hundred_damaged_files_are_refused_or_as_they_were(tmp_path):
    model, npz, work = tmp_path / "a.model", tmp_path / "a.npz", tmp_path / "work"
    weights = {f"layer{n}": torch.randn(5, n + 1) for n in range(9)}
    checkpoints.write(model, {"encoder": weights, "config": {"nOut": 3}, "classes": ["a", "b"]})
    write_embeddings(npz, SavedEmbeddings(np.eye(9, dtype=np.float32), labels=np.array(list("abcabcabc"))))
    work.mkdir()
    attacks = [
        *audio.attacks(None)[::3],
        *[Attack("a checkpoint", partial(damaged_checkpoints.attempt, model, [npz], True))] * 4,
        *[Attack("embeddings", partial(caches.attempt, npz, [model], read_embeddings, True))] * 4,
        *[Attack("hidden states", caches.attempt_states)] * 4,
    ]
    cases = list(run(attacks, range(200), 7, work))
    assert len(cases) == 200 and not [case for case in cases if case.ended == FAULT]
    assert {case.ended for case in cases} == {REFUSED, EQUAL, OTHER}


def raising(error: BaseException):
    def attempt(*_: object) -> str:
        raise error

    return attempt


def full(*_: object) -> str:
    return EQUAL if len(np.ones(20_000_000)) else ""


def printing(text: str, status: int):
    def main(_: list[str]) -> int:
        sys.stdout.write(text)
        return status

    return lambda *_: by_command(main, [])


ATTEMPTS = {
    "a refusal": (raising(DataError("no")), REFUSED),
    "a refusal by a command": (printing("error: no\n", 2), REFUSED),
    "a success": (lambda *_: EQUAL, EQUAL),
    "an exception": (raising(KeyError("x")), FAULT),
    "an exit": (raising(SystemExit(2)), FAULT),
    "something silent": (raising(Fault("damage taken for the original")), FAULT),
    "a signal": (lambda *_: os.kill(os.getpid(), signal.SIGKILL), FAULT),
    "a refusal without a word": (raising(DataError("")), FAULT),
    "a status without a message": (printing("", 2), FAULT),
    "a traceback": (printing("Traceback (most recent call last):", 2), FAULT),
    "much memory": (full, FAULT),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux has it")
def test_every_kind_of_fault_is_seen_and_the_cases_after_it_are_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "ADDRESS_SPACE", 1 << 30)
    attacks = [Attack(name, attempt, memory=50 << 20) for name, (attempt, _) in ATTEMPTS.items()]
    cases = list(run(attacks, range(len(attacks)), 0, tmp_path))
    ended = {attacks[case.number].name: case.ended for case in cases}
    assert ended == {name: expected for name, (_, expected) in ATTEMPTS.items()}
    assert "SIGKILL" in cases[list(ATTEMPTS).index("a signal")].why
