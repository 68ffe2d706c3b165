"""Scores of all pairs counted on a torch device: the same counts as `scoring.histograms` makes on the CPU.

The device rounds the products in its own way, so that its scores differ from the CPU's by about 1e-7; the answers are
exact for the scores as the device has them. They are products in float32, whatever precision training allows itself.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from tqdm import tqdm

from scoring.bins import BINS, Bins
from scoring.counts import Counts, FineCounts, Groups, Ranges, macro_weights
from scoring.embeddings import Utterances
from scoring.kernels_fine import Windows
from settings.errors import ScoringError

TILE = 4096  # rows and columns: 64 MiB of scores, some 1.5 GiB with all that is computed of them


class _List:
    """A list on the device."""

    def __init__(self, listed: Utterances, device: torch.device):
        self.device = device
        self.rows, self.codes = self.put(listed.rows, torch.float32), self.put(listed.codes, torch.int64)
        self.weights = self.put(macro_weights(listed.sizes), torch.float64)
        self.scale = None if listed.scale is None else self.put(listed.scale, torch.float32)
        self.shift = None if listed.scale is None else self.put(listed.shift, torch.float32)

    def put(self, values: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=self.device)

    def zeros(self, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=self.device)


def count_on_device(
    listed: Utterances, to: Bins, windows: Windows, cells: tuple[int, int], groups: Groups, *, device: str, **how
) -> Counts:
    """See `scoring.passes.count_trials`; `how` as in `_each_tile`. Raises ScoringError for a device that is missing."""
    data = _List(listed, _device(device))
    pooled, macro = data.zeros(2 * BINS), data.zeros(2 * BINS, dtype=torch.float64)
    fine, fine_macro = data.zeros(2, cells[0]), data.zeros(2, cells[1], dtype=torch.float64)
    grouped = data.zeros(groups.count * groups.bins, dtype=torch.float64)
    on_device = Windows(*(data.put(part, torch.int64) for part in windows))

    def consume(scores: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        nonlocal pooled, macro
        bins, same = _to_bins(scores, to), first == second
        between = data.weights[0]
        weight = torch.where(same, data.weights[1][first], between[first] * between[second])
        index = bins + BINS * same
        pooled += torch.bincount(index, minlength=2 * BINS)
        macro += torch.bincount(index, weights=weight, minlength=2 * BINS)
        if groups.bins:
            _count_groups(grouped, groups, bins >> groups.shift, first, second, weight)
        if cells[0]:
            _count_cells(fine, fine_macro, on_device, scores, bins, same, weight)

    _each_tile(data, consume, **how)
    return Counts(
        to,
        pooled.cpu().numpy().reshape(2, BINS),
        macro.cpu().numpy().reshape(2, BINS),
        grouped.cpu().numpy().reshape(groups.count, groups.bins),
        FineCounts(fine.cpu().numpy(), fine_macro.cpu().numpy()),
    )


def count_own_on_device(listed: Utterances, ranges: Ranges, *, device: str, **how) -> np.ndarray:
    """See `scoring.passes.count_ranges`; `how` as in `_each_tile`."""
    data = _List(listed, _device(device))
    begin, end, shift = (data.put(part, torch.int64) for part in ranges[:3])
    counts = data.zeros(len(listed.systems) * 2 * ranges.cells)

    def consume(scores: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        keys, same = _keys(scores), first == second
        for system, counted in ((first, torch.ones_like(same)), (second, ~same)):
            inside = torch.nonzero(counted & (keys >= begin[system]) & (keys <= end[system])).squeeze(1)
            system, key = system[inside], keys[inside]
            cell = (key - begin[system]) >> shift[system]
            index = (system * 2 + same[inside]) * ranges.cells + cell
            counts.index_add_(0, index, torch.ones_like(index))

    _each_tile(data, consume, **how)
    return counts.cpu().numpy().reshape(len(listed.systems), 2, ranges.cells)


def _device(name: str) -> torch.device:
    """The device of this name, or a ScoringError where there is none or it has no float64 (mps)."""
    try:
        torch.empty(1, dtype=torch.float64, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ScoringError(f"device {name} cannot be used: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def as_scoring_needs(device: torch.device) -> Iterator[None]:
    """Products in float32 although training may allow coarser ones, and sums of weights in any order."""
    precision, deterministic = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)  # else torch refuses to add weights; they differ in the 16th digit
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def _each_tile(
    data: _List,
    consume: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None],
    *,
    shard: tuple[int, int] = (0, 1),
    progress: bool = False,
    title: str = "scoring",
) -> None:
    """Score all tiles of a list, and hand `consume` the (T,) scores of the trials in each, and their two systems.

    `shard` is (rank, world): of the tiles every `world`-th, beginning with number `rank`.
    """
    corners = range(0, len(data.rows), TILE)
    tiles = [(row, column) for row in corners for column in corners if column >= row][shard[0] :: shard[1]]
    with torch.inference_mode(), as_scoring_needs(data.device):
        for corner in tqdm(tiles, desc=title, unit="tile", delay=1, leave=False, disable=not progress):
            consume(*_trials(data, *corner))


def _trials(data: _List, row: int, column: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(T,) scores of the trials of one tile, and their two systems."""
    left, right = slice(row, row + TILE), slice(column, column + TILE)
    scores = data.rows[left] @ data.rows[right].T
    if data.scale is not None:
        scores *= data.scale[left, None] + data.scale[right]
        scores -= data.shift[left, None] + data.shift[right]
    first = data.codes[left, None].expand(scores.shape)
    second = data.codes[right].expand(scores.shape)
    if row == column:
        above = torch.ones_like(scores, dtype=torch.bool).triu(1)
        return scores[above], first[above], second[above]
    return scores.flatten(), first.flatten(), second.flatten()


def _to_bins(scores: torch.Tensor, to: Bins) -> torch.Tensor:
    """As `scoring.bins.to_bins`, in the same steps and so with the same rounding."""
    return ((scores - float(to.low)) * float(to.scale)).clamp(0, BINS - 1).to(torch.int64)


def _keys(scores: torch.Tensor) -> torch.Tensor:
    """As `scoring.bins.keys_of`."""
    bits = scores.view(torch.int32).to(torch.int64)
    return torch.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def _count_groups(
    grouped: torch.Tensor,
    groups: Groups,
    coarse: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    weight: torch.Tensor,
) -> None:
    """Add the trials of one tile to the histograms of systems."""

    def add(group: torch.Tensor, chosen: torch.Tensor | slice, weights: torch.Tensor | None = None) -> None:
        grouped.add_(torch.bincount(group * groups.bins + coarse[chosen], weights=weights, minlength=len(grouped)))

    if groups.pairs:
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        add(low * groups.systems - low * (low - 1) // 2 + high - low, slice(None))
        return
    same = first == second
    add(first[same], same)
    for end in (first, second):
        add(groups.systems + end[~same], ~same)
        add(2 * groups.systems + end[~same], ~same, weight[~same])


def _count_cells(
    fine: torch.Tensor,
    fine_macro: torch.Tensor,
    windows: Windows,
    scores: torch.Tensor,
    bins: torch.Tensor,
    same: torch.Tensor,
    weight: torch.Tensor,
) -> None:
    """Add the trials of one tile that lie in windows to their cells."""
    inside = torch.nonzero(windows.marks[bins]).squeeze(1)
    bins, keys, target, weight = bins[inside], _keys(scores[inside]), same[inside].to(torch.int64), weight[inside]
    slot, end = windows.slots[bins], windows.slots[bins + 1]
    while len(slot):  # a bin has one window, but where one score is asked for twice
        key = (keys >= windows.first[slot]) & (keys <= windows.last[slot])
        window = slot[key]
        cell = windows.offset[window] + ((keys[key] - windows.first[window]) >> windows.shift[window])
        fine.view(-1).index_add_(0, target[key] * fine.shape[1] + cell, torch.ones_like(cell))
        weighed = cell < fine_macro.shape[1]
        index = (target[key] * fine_macro.shape[1] + cell)[weighed]
        fine_macro.view(-1).index_add_(0, index, weight[key][weighed])
        more = slot + 1 < end
        slot, end, keys, target, weight = (part[more] for part in (slot + 1, end, keys, target, weight))
