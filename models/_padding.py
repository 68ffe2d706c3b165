"""Utterances of several lengths in one zero-padded batch, each computed as if it were alone."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def by_size(function: Callable[..., Tensor], sizes: Tensor, *rows: Tensor) -> Tensor:
    """`function` of the rows, (B, ...) each, in groups of one size of `sizes` (B,). The order is kept."""
    groups = [(sizes == size).nonzero().squeeze(1) for size in sizes.unique()]
    results = [function(*(r[group] for r in rows)) for group in groups]
    return torch.cat(results)[torch.cat(groups).argsort()]


def reflected(x: Tensor, pad: int, lengths: Tensor | None = None) -> Tensor:
    """Waveforms (B, T) with `pad` samples more at either end, mirrored, as a centred Fourier transform has them.

    With `lengths` (B,) a row ends, and is mirrored, there; it is cut where the shortest one's mirror image ends.
    """
    if lengths is None:
        return F.pad(x, (pad, pad), mode="reflect")
    if int(lengths.min()) <= pad:
        raise RuntimeError(f"an utterance of {int(lengths.min())} samples is too short to mirror {pad} at its ends")
    place = torch.arange(-pad, int(lengths.min()) + pad, device=x.device).abs()
    last = lengths[:, None] - 1
    return x.gather(1, last - (last - place).abs())
