"""What the losses share: utterances out of their groups, and the accuracy that training shows."""

import torch
import torch.nn.functional as F


def as_utterances(x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (K, D) or (K, M, D) and labels (K,) to (K·M, D) in full precision and (K·M,)."""
    if x.dim() == 3:
        label = label.repeat_interleave(x.shape[1])
        x = x.flatten(0, 1)
    return full_precision(x), label


def full_precision(x: torch.Tensor) -> torch.Tensor:
    """Half precision to float32; anything wider stays what it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def unit(x: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1 along the last dimension. A zero vector stays zero, with a gradient that is finite."""
    return F.normalize(x, dim=-1, eps=1e-6)


def percent_correct(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Scores (B, C) and labels (B,) to the percent of rows whose label has the highest score, a scalar."""
    return 100.0 * (scores.argmax(dim=1) == label).float().mean()
