"""Scores of all pairs counted into bins on a torch device: the same counts as `scoring.histograms` makes on the CPU.

The device rounds the products in its own way, so that its scores differ from the CPU's by about 1e-7; the answers are
exact for the scores as the device has them. They are products in float32, whatever precision training allows itself.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from scoring.bins import BINS, Bins
from scoring.counts import Counts, Groups, macro_weights
from scoring.embeddings import Utterances
from scoring.kernels import Wanted
from settings.errors import ScoringError

TILE = 4096  # rows and columns: 64 MiB of scores, some 1.5 GiB with all that is computed of them


class _Memory:
    """The list and the counts, on the device."""

    def __init__(self, listed: Utterances, wanted: Wanted | None, groups: Groups, device: torch.device):
        def put(values, dtype):
            return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

        self.rows, self.codes = put(listed.rows, torch.float32), put(listed.codes, torch.int64)
        self.weights = put(macro_weights(listed.sizes), torch.float64)
        self.scale = None if listed.scale is None else put(listed.scale, torch.float32)
        self.shift = None if listed.scale is None else put(listed.shift, torch.float32)
        self.wanted = None if wanted is None else put(wanted.bins, torch.bool)
        self.own = None if wanted is None else (put(wanted.first, torch.int64), put(wanted.last, torch.int64))
        self.groups = groups
        self.pooled = torch.zeros(2 * BINS, dtype=torch.int64, device=device)
        self.macro = torch.zeros(2 * BINS, dtype=torch.float64, device=device)
        self.grouped = torch.zeros(groups.count * groups.bins, dtype=torch.float64, device=device)


def count_on_device(
    listed: Utterances,
    to: Bins,
    *,
    wanted: Wanted | None,
    room: int,
    groups: Groups,
    device: str,
    progress: bool = False,
    title: str = "scoring",
) -> Counts:
    """See `scoring.passes.count_trials`.

    Raises
    ------
    ScoringError
        For a device that is not there.
    """
    memory = _Memory(listed, wanted, groups, _device(device))
    corners = range(0, len(listed.rows), TILE)
    tiles = [(row, column) for row in corners for column in corners if column >= row]
    kept, runs, complete = [], [], True
    with torch.inference_mode(), _as_scoring_needs(memory.rows.device):
        for row, column in tqdm(tiles, desc=title, unit="tile", delay=1, leave=False, disable=not progress):
            scores, bins, first, second = _trials(memory, to, row, column)
            _count(memory, bins, first, second)
            if wanted is None or not complete:
                continue
            places = torch.nonzero(_is_wanted(memory, bins, first, second)).squeeze(1)
            complete = sum(map(len, kept)) + len(places) <= room
            if complete:
                kept.append(scores[places].cpu().numpy())
                ends = torch.stack([torch.ones_like(places), first[places], second[places]], dim=1)
                runs.append(ends.to(torch.int32).cpu().numpy())
    return Counts(
        to,
        memory.pooled.cpu().numpy().reshape(2, BINS),
        memory.macro.cpu().numpy().reshape(2, BINS),
        memory.grouped.cpu().numpy().reshape(groups.count, groups.bins),
        scores=np.concatenate(kept) if kept else np.empty(0, np.float32),
        runs=np.concatenate(runs) if runs else np.empty((0, 3), np.int32),
        complete=complete,
    )


def _device(name: str) -> torch.device:
    """The device of this name, or a ScoringError where there is none or it has no float64 (mps)."""
    try:
        torch.empty(1, dtype=torch.float64, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ScoringError(f"device {name} cannot be used: {str(error).splitlines()[0]}") from error


@contextlib.contextmanager
def _as_scoring_needs(device: torch.device) -> Iterator[None]:
    """Products in float32 although training may allow coarser ones, and sums of weights in any order."""
    precision, deterministic = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)  # else torch refuses to add weights; they differ in the 16th digit
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)


def _trials(
    memory: _Memory, to: Bins, row: int, column: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(T,) scores of the trials of one tile, their bins, and their two systems."""
    left, right = slice(row, row + TILE), slice(column, column + TILE)
    scores = memory.rows[left] @ memory.rows[right].T
    if memory.scale is not None:
        scores *= memory.scale[left, None] + memory.scale[right]
        scores -= memory.shift[left, None] + memory.shift[right]
    first = memory.codes[left, None].expand(scores.shape)
    second = memory.codes[right].expand(scores.shape)
    if row == column:
        above = torch.ones_like(scores, dtype=torch.bool).triu(1)
        scores, first, second = scores[above], first[above], second[above]
    else:
        scores, first, second = scores.flatten(), first.flatten(), second.flatten()
    return scores, _to_bins(scores, to), first, second


def _to_bins(scores: torch.Tensor, to: Bins) -> torch.Tensor:
    """As `scoring.bins.to_bins`, in the same steps and so with the same rounding."""
    if to.shift < 0:
        return ((scores - float(to.low)) * float(to.scale)).clamp(0, BINS - 1).to(torch.int64)
    keys = scores.view(torch.int32).to(torch.int64)
    keys = torch.where(keys >= 0, keys, -(keys & 0x7FFFFFFF))
    return ((keys - to.first) >> to.shift).clamp(0, BINS - 1)


def _count(memory: _Memory, bins: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
    """Add the trials of one tile to all histograms."""
    same = first == second
    index = bins + BINS * same
    between = memory.weights[0]
    weight = torch.where(same, memory.weights[1][first], between[first] * between[second])
    memory.pooled += torch.bincount(index, minlength=2 * BINS)
    memory.macro += torch.bincount(index, weights=weight, minlength=2 * BINS)
    groups = memory.groups
    if not groups.bins:
        return
    coarse = bins // (BINS // groups.bins)

    def add(group: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor | None = None) -> None:
        index = group * groups.bins + coarse[chosen]
        memory.grouped += torch.bincount(index, weights=weights, minlength=len(memory.grouped))

    if groups.pairs:
        add(first * groups.systems - first * (first - 1) // 2 + second - first, slice(None))
        return
    add(first[same], same)
    for end in (first, second):
        add(groups.systems + end[~same], ~same)
        add(2 * groups.systems + end[~same], ~same, weight[~same])


def _is_wanted(memory: _Memory, bins: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(T,) bool, which trials fall into bins whose scores are kept."""
    lowest, highest = memory.own
    wanted = memory.wanted[bins]
    for end in (first, second):
        wanted |= (bins >= lowest[end]) & (bins <= highest[end])
    return wanted
