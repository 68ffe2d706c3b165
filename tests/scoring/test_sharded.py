"""Several processes that share the pairs of a list get the results of one, to the last digit."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import score
from scoring import evaluate, exact
from scoring.bins import spanning
from scoring.embeddings import utterances
from scoring.histograms import tiles
from scoring.passes import PassOptions, Shard, count_trials
from tests.conftest import ROOT


def example(count=1300, systems=9):
    """Many equal scores: embeddings of small whole numbers, some of them twice."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, systems, count)
    embeddings = np.round(generator.standard_normal((count, 6)) + generator.standard_normal((systems, 6))[codes]) + 0.25
    return embeddings.astype(np.float32), codes, np.where(generator.random(count) < 0.5, "en", "fi")


class Threads:
    """A process group of threads: `total` waits for all, and adds in their order."""

    def __init__(self, world: int):
        self.world, self.parts, self.calls = world, [None] * world, 0
        self.barrier = threading.Barrier(world, timeout=60)

    def shard(self, rank: int) -> Shard:
        def total(own: np.ndarray) -> np.ndarray:
            self.parts[rank] = own
            self.barrier.wait()
            whole = sum(self.parts[1:], self.parts[0])
            self.calls += rank == 0
            self.barrier.wait()
            return whole

        return Shard(rank, self.world, total)

    def run(self, work) -> list:
        """work(shard) of every thread, each as if it were a process of its own."""
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(self.world) as pool:
            return list(pool.map(lambda rank: work(self.shard(rank)), range(self.world)))


def results(shard=Shard(), **more):  # noqa: B008 it cannot be changed
    embeddings, labels, languages = example()
    options = {"languages": languages, "threshold": 0.2, "draws": 5, "threads": 1, "shard": shard} | more
    return evaluate(embeddings, labels, **options)


@pytest.mark.parametrize("path, worlds", [("range", (2, 3, 7)), ("sample", (3,)), ("cells", (7,))])
def test_any_number_of_processes_gets_the_results_of_one(monkeypatch, path, worlds):
    """Seven are more than there are tiles, so that some score nothing."""
    monkeypatch.setattr(exact, "FEW", 10**7 if path == "range" else 0)
    monkeypatch.setattr(exact, "KEPT", 0 if path == "cells" else exact.KEPT)
    alone = results()
    assert len(tiles(1300)) == 5
    for world in worlds:
        group = Threads(world)
        assert group.run(results) == [alone] * world
        assert group.calls > 0


def test_processes_whose_samples_differ_follow_the_first(monkeypatch):
    """As on machines that round otherwise: all must count into the same bins, or the sum means nothing."""
    monkeypatch.setattr(exact, "FEW", 0)
    alone = results(quick=True)
    ranks, sample = threading.local(), exact.sample

    def other(listed, draws):
        return {
            curve: tuple(kind + ranks.number / 100 for kind in pair) for curve, pair in sample(listed, draws).items()
        }

    def work(shard):
        ranks.number = shard.rank
        return results(shard, quick=True)

    monkeypatch.setattr(exact, "sample", other)
    assert Threads(3).run(work) == [alone] * 3


def test_the_shares_of_any_number_of_processes_make_up_the_whole():
    embeddings, labels, _ = example()
    listed, to = utterances(embeddings, labels), spanning(-1.0, 1.0)
    whole = count_trials(listed, to)
    shares = [count_trials(listed, to, options=PassOptions(shard=Shard(rank, 3))) for rank in range(3)]
    np.testing.assert_array_equal(sum(share.pooled for share in shares), whole.pooled)
    np.testing.assert_allclose(sum(share.macro for share in shares), whole.macro, rtol=1e-12)
    assert all(share.pooled.any() for share in shares)


def test_score_by_torchrun_writes_once_what_one_process_writes(tmp_path, capsys):
    """As torchrun starts them, without waiting for torchrun itself."""
    embeddings, labels, languages = example()
    np.savez(tmp_path / "e.npz", embeddings=embeddings, labels=labels, languages=languages)
    words = [str(tmp_path / "e.npz"), "--draws", "20", "--no_progress", "--out"]
    assert score.main([*words, str(tmp_path / "alone")]) == 0
    said = capsys.readouterr().out.replace("/alone/", "/shared/")
    running = []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 29500 + os.getpid() % 5000}
        here = "lo0" if sys.platform == "darwin" else "lo"  # gloo need not look up the name of the machine
        quick = {"OMP_NUM_THREADS": 1, "GLOO_SOCKET_IFNAME": here}
        environment = os.environ | {name: str(value) for name, value in (place | group | quick).items()}
        argv = [sys.executable, "score.py", *words, str(tmp_path / "shared")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(argv, cwd=ROOT, env=environment, **pipes))
    spoken = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], spoken
    assert [out for out, _ in spoken] == [said, ""]
    first, second = (json.loads((tmp_path / who / "eval_e.json").read_text()) for who in ("alone", "shared"))
    assert first == second
