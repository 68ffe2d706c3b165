"""score.py started by torchrun: every process scores its share of the pairs, and process 0 writes and speaks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from scoring.passes import Shard


def process() -> int:
    """This process's number; 0 where torchrun is not in play."""
    return int(os.environ.get("RANK", 0)) if _processes() > 1 else 0


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def shared(threads: int | None, device: str) -> Iterator[dict]:
    """Join the other processes, where there are any: `threads`, `device` and `shard` as `scoring.evaluate` takes them.

    Parameters
    ----------
    threads : by default one for each core, of which the processes of a machine get equal shares
    device : "cpu", or a torch device; of "cuda" each process gets one of its own
    """
    if _processes() == 1:
        yield {"threads": threads, "device": device}
        return
    import torch  # which one process on the processor does not need

    from engine.devices import find_device
    from engine.distributed import cores_each, process_group, rank, sum_arrays, world

    own = find_device("cuda") if device == "cuda" else torch.device(device)
    with process_group(own):
        shard = Shard(rank(), world(), sum_arrays)
        yield {"threads": threads or cores_each(), "device": device if own.type == "cpu" else str(own), "shard": shard}
