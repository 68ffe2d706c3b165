"""Several processes that share the tiles of a list get the results of one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from scoring import evaluate, exact
from scoring.bins import spanning
from scoring.embeddings import utterances
from scoring.passes import PassOptions, Shard, count_trials
from tests.conftest import ROOT

PROCESS = """
import datetime, json, sys
import numpy as np, torch, torch.distributed as dist
from scoring import evaluate, exact
from scoring.passes import Shard

folder, rank = sys.argv[1], int(sys.argv[2])
exact.FEW = int(sys.argv[3])
store = f"file://{folder}/rendezvous"
dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=120))

def total(own):
    both = torch.from_numpy(np.ascontiguousarray(own))
    dist.all_reduce(both)
    return both.numpy()

data = np.load(f"{folder}/e.npz")
options = {"languages": data["languages"], "threshold": 0.2, "draws": 20, "threads": 1}
result = evaluate(data["embeddings"], data["labels"], shard=Shard(rank, 2, total), **options)
json.dump(result, open(f"{folder}/{rank}.json", "w"))
"""


def example():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 9, 1700)
    embeddings = generator.standard_normal((1700, 8)) + generator.standard_normal((9, 8))[codes]
    return embeddings.astype(np.float32), codes, np.where(generator.random(1700) < 0.5, "en", "fi")


@pytest.mark.parametrize("few", [0, 10**7], ids=["sample", "range"])
def test_two_processes_of_torchrun_get_the_results_of_one(tmp_path, few, monkeypatch):
    monkeypatch.setattr(exact, "FEW", few)
    embeddings, labels, languages = example()
    np.savez(tmp_path / "e.npz", embeddings=embeddings, labels=labels, languages=languages)
    argv = [[sys.executable, "-c", PROCESS, str(tmp_path), str(rank), str(few)] for rank in range(2)]
    running = [subprocess.Popen(words, cwd=ROOT) for words in argv]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    alone = evaluate(embeddings, labels, languages=languages, threshold=0.2, draws=20, threads=1)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    for key in ("eer", "threshold", "macro_eer", "min_dcf", "at_dev_threshold", "by_system", "languages", "passes"):
        assert first[key] == alone[key], key


def test_the_shares_of_any_number_of_processes_make_up_the_whole():
    embeddings, labels, _ = example()
    listed, to = utterances(embeddings, labels), spanning(-1.0, 1.0)
    whole = count_trials(listed, to)
    shares = [count_trials(listed, to, options=PassOptions(shard=Shard(rank, 3))) for rank in range(3)]
    np.testing.assert_array_equal(sum(share.pooled for share in shares), whole.pooled)
    np.testing.assert_allclose(sum(share.macro for share in shares), whole.macro, rtol=1e-12)
    assert all(share.pooled.any() for share in shares)
