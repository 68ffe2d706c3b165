"""What a large bank costs in memory, and in time for a recording. Run: python -m benchmarks.identification

Embeddings are made up. With faiss installed, an exact and an approximate index answer the same question beside it.
`--files N` identifies a recording N times through a real checkpoint, and prints memory as it goes.
"""

import argparse
import resource
import statistics
import time

import numpy as np

from benchmarks.machine import machine
from identification.bank import Bank
from identification.scores import against, prepare
from scoring.backends import Backend


def bank_of(systems: int, files: int, dimensions: int, scorer: str) -> Bank:
    """A bank of made-up systems: directions, each with utterances around it."""
    random = np.random.default_rng(0)
    rows = np.repeat(random.standard_normal((systems, dimensions), dtype=np.float32), files, axis=0)
    for start in range(0, len(rows), 65536):
        part = rows[start : start + 65536]
        part += random.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return Bank(
        systems=[f"system {number}" for number in range(systems)],
        counts=np.full(systems, files, np.int64),
        sums=rows.reshape(systems, files, dimensions).sum(axis=1, dtype=np.float64),
        rows=rows,
        owners=np.repeat(np.arange(systems), files),
        paths=["x.wav"] * len(rows),
        dates=[""] * systems,
        checkpoint="",
        model="",
        backend=Backend("cosine", np.zeros(dimensions), np.eye(dimensions)),
        scorer=scorer,
    )


def timed(work, repeats: int = 7) -> float:
    """Median seconds of a call, after one that warms up."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def with_faiss(rows: np.ndarray, queries: np.ndarray) -> list[tuple[str, float]]:
    """Milliseconds a query for the 100 nearest rows, by an exact index and by an inverted one; none without faiss."""
    try:
        import faiss
    except ImportError:
        return []
    exact = faiss.IndexFlatIP(rows.shape[1])
    exact.add(rows)
    inverted = faiss.index_factory(rows.shape[1], f"IVF{int(4 * len(rows) ** 0.5)},Flat", faiss.METRIC_INNER_PRODUCT)
    inverted.train(rows[:: max(1, len(rows) // 200_000)])
    inverted.add(rows)
    inverted.nprobe = 16
    found = [("faiss, exact", exact), ("faiss, inverted lists", inverted)]
    times = [(name, timed(lambda index=index: index.search(queries, 100))) for name, index in found]
    return [(name, 1000 * seconds / len(queries)) for name, seconds in times]


def stream(checkpoint: str, path: str, count: int) -> None:
    """Embed one file `count` times, as identify.py does, and print the memory at each tenth."""
    from identification.recordings import embed_files
    from SpeakerNet import load_model

    model = load_model(checkpoint)
    began = time.perf_counter()
    for number, _ in enumerate(embed_files(model, [path] * count), 1):
        if number % max(1, count // 10) == 0:
            rate = number / (time.perf_counter() - began)
            print(f"{number:>8,} files  {rate:8.1f} files/s  {megabytes():8.0f} MB at most so far")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--per_system", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=192)
    parser.add_argument("--files", type=int, default=0, help="identify so many, with --checkpoint and --audio")
    parser.add_argument("--checkpoint")
    parser.add_argument("--audio")
    options = parser.parse_args()
    print(machine())
    if options.files:
        stream(options.checkpoint, options.audio, options.files)
        return
    queries = np.random.default_rng(1).standard_normal((16, options.dimensions), dtype=np.float32)
    for systems in options.systems:
        for scorer in ("centroid", "knn"):
            bank = bank_of(systems, options.per_system, options.dimensions, scorer)
            prepared = prepare(bank)
            one = timed(lambda prepared=prepared: against(prepared, queries[:1]))
            many = timed(lambda prepared=prepared: against(prepared, queries)) / len(queries)
            size = (bank.rows.nbytes + bank.sums.nbytes) / 2**20
            print(
                f"{systems:>7,} systems × {options.per_system}, {scorer:<8}: {1000 * one:8.2f} ms alone,"
                f" {1000 * many:8.2f} ms in a batch of 16, bank {size:7.0f} MB, process {megabytes():6.0f} MB at most"
            )
        for name, milliseconds in with_faiss(bank.rows, queries):
            print(f"{'':>34}{name}: {milliseconds:8.2f} ms in a batch of 16")


if __name__ == "__main__":
    main()
