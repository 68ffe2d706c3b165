"""All-pairs scoring against the block matrix products alone. Run: python benchmarks/scoring.py

With --protocol ZIP the systems, languages and conditions are those of the organisers' dev and test lists, else 33,900
utterances of 64 systems are made up. Embeddings are random about a random mean of each system; --random leaves the
means out, so that the EER is 50 % and its threshold lies where floats are densest. Times are the least of --repeats.
"""

import argparse
import csv
import io
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import scoring
from benchmarks.machine import machine
from corpus.conditions import parse_condition, printed
from engine.parallel import usable_cores
from scoring.embeddings import utterances
from scoring.exact import solve
from scoring.histograms import TILE, score_tile, tiles
from scoring.operating_points import EqualError
from scoring.passes import PassOptions
from scoring.table import table as table_of


def official(archive: str, which: str) -> dict[str, np.ndarray]:
    """Systems, languages, paths and conditions of a list (dev or eval) in the organisers' zip."""

    def rows(file: str) -> list[dict]:
        return list(csv.DictReader(io.TextIOWrapper(zipped.open(file), encoding="utf-8")))

    with zipfile.ZipFile(archive) as zipped:
        condition = {}
        for name in zipped.namelist():
            if name.startswith(f"fine/{which}___"):
                spelling = Path(name).stem.removeprefix(f"{which}___")
                condition |= {row["path"]: parse_condition(spelling) for row in rows(name)}
        table = rows(f"{which}.csv")
    paths = np.array([row["path"] for row in table])
    return {
        "labels": np.array([row["model_name"] for row in table]),
        "languages": np.array([path.split("fake/")[1].split("/")[0] for path in paths]),
        "conditions": np.array([condition[path] for path in paths]),
        "names": paths,
    }


def made_up(count: int, systems: int) -> dict[str, np.ndarray]:
    """Systems of very different sizes, most of them small."""
    generator = np.random.default_rng(0)
    chosen = generator.choice(systems, count, p=generator.dirichlet(np.full(systems, 0.7)))
    return {"labels": np.array([f"system-{code:04d}" for code in chosen])}


def embeddings_for(labels: np.ndarray, size: int, means: float) -> np.ndarray:
    """(N, size) float32 about a random mean of each system."""
    generator = np.random.default_rng(1)
    names, codes = np.unique(labels, return_inverse=True)
    centres = means * generator.standard_normal((len(names), size), dtype=np.float32)
    return generator.standard_normal((len(labels), size), dtype=np.float32) + centres[codes]


def products(listed, threads: int) -> None:
    """The block matrix products alone: the same tiles, by the same number of threads, thrown away."""
    work, lock = iter(tiles(len(listed.rows))), threading.Lock()

    def share() -> None:
        memory = np.empty(TILE[0] * TILE[1], np.float32)
        while True:
            with lock:
                corner = next(work, None)
            if corner is None:
                return
            score_tile(listed, *corner, memory)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for job in [pool.submit(share) for _ in range(threads)]:
            job.result()


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_beyond(folder: Path) -> float:
    """MB that a process of its own takes to find the EERs, beyond its imports and the embeddings."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import numpy as np, scoring\n"
        "from scoring.embeddings import utterances\nfrom scoring.exact import solve\n"
        "from scoring.operating_points import EqualError\n"
        "def peak():\n"
        "    return int([l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1])\n"
        "questions = [EqualError(), EqualError('macro')]\n"
        "embeddings, labels = np.load(sys.argv[1] + '/e.npy'), np.load(sys.argv[1] + '/l.npy')\n"
        "solve(utterances(embeddings[:2500], np.arange(2500) % 7), questions)\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = peak(); solve(utterances(embeddings, labels), questions); print((peak() - before) / 1000)\n"
    )
    root = str(Path(__file__).resolve().parent.parent)
    printed = subprocess.run(
        [sys.executable, "-c", code, str(folder), root], capture_output=True, text=True, check=True
    )
    return float(printed.stdout)


def report(name: str, columns: dict[str, np.ndarray], size: int, args: argparse.Namespace, folder: Path) -> None:
    """Measure one list at one embedding size, and print the row."""
    embeddings, labels = embeddings_for(columns["labels"], size, 0 if args.random else args.means), columns["labels"]
    threads = args.threads or usable_cores()
    listed = utterances(embeddings, labels)
    how = {"threads": threads, "device": args.device}
    questions = [EqualError("pooled"), EqualError("macro")]
    options = PassOptions(threads, args.device)
    found = {}
    alone, eer, quick = [], [], []
    products(listed, threads)
    for _ in range(args.repeats):
        alone.append(timed(lambda: products(listed, threads)))
        eer.append(timed(lambda: found.update(eer=solve(utterances(embeddings, labels), questions, options=options))))
        quick.append(timed(lambda: found.update(quick=scoring.evaluate(embeddings, labels, quick=True, **how))))
    np.save(folder / "e.npy", embeddings)
    np.save(folder / "l.npy", labels)
    targets, nontargets = listed.trials()
    print(f"{name}: {len(labels):,} x {size}, {len(listed.systems)} systems, {targets + nontargets:,} trials")
    print(f"  block products alone      {min(alone):8.3f} s")
    passes = found["eer"].passes, found["quick"]["passes"]
    print(f"  EER, pooled and macro     {min(eer):8.3f} s   {min(eer) / min(alone):.2f} x   passes: {passes[0]}")
    print(f"  quick, with minDCF        {min(quick):8.3f} s   {min(quick) / min(alone):.2f} x   passes: {passes[1]}")
    if Path("/proc/self/clear_refs").exists() and args.device == "cpu":
        print(f"  memory beyond embeddings  {peak_beyond(folder):8.0f} MB")
    if args.whole:
        result = {}
        seconds = timed(lambda: result.update(scoring.evaluate(embeddings, **columns, **how)))
        print(f"  whole evaluation          {seconds:8.3f} s")
        print(table_of(result) if args.table else f"  EER {100 * result['eer']:.4f} %")
        for condition, cell in (result["conditions"] or {}).items():
            trials = cell["target_trials"] + cell["nontarget_trials"]
            print(f"    {printed(condition):32} {cell['utterances']:7,} utterances {trials:13,} trials")


def main() -> None:
    """Measure what the options ask for."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--protocol", metavar="ZIP", help="the organisers' zip")
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 512], help="embedding sizes")
    parser.add_argument("--count", type=int, default=33900, help="utterances of a made-up list")
    parser.add_argument("--systems", type=int, default=64, help="systems of a made-up list")
    parser.add_argument("--means", type=float, default=0.5, help="spread of the systems' means")
    parser.add_argument("--random", action="store_true", help="no means: random embeddings")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whole", action="store_true", help="time the whole evaluation, too")
    parser.add_argument("--table", action="store_true", help="print its table")
    args = parser.parse_args()
    lists = {"made up": made_up(args.count, args.systems)}
    if args.protocol:
        lists = {which: official(args.protocol, which) for which in ("dev", "eval")}
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name, columns in lists.items():
            for size in args.sizes:
                report(name, columns, size, args, Path(folder))


if __name__ == "__main__":
    main()
