"""Work spread over threads, with its results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def usable_cores() -> int:
    """Cores that this process may use: the scheduler's set where it has one, else the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable,
    items: Iterable,
    threads: int,
    ahead: int = 4,
    weigh: Callable[[object], int] = lambda item: 0,  # noqa: ARG005
    most: int = 0,
) -> Iterator:
    """function(item) for each item, in order, by threads that run at most `ahead` items each before the reader.

    Memory stays bounded by that; what is still waiting is cancelled when the reader stops.

    Parameters
    ----------
    weigh : function of an item to a number
        What it holds from its beginning until the reader asks for the next one, in whatever unit.
    most : int
        Of all those together. What weighs more waits until it is alone.
    """
    pending, weights = deque(), deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                weight = weigh(item)
                while pending and (len(pending) >= threads * ahead or sum(weights) + weight > most):
                    yield pending.popleft().result()
                    weights.popleft()
                pending.append(pool.submit(function, item))
                weights.append(weight)
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
