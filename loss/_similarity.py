"""Learned scale and bias on cosines: what the metric losses share."""

import torch
import torch.nn.functional as F
from torch import nn

from loss._groups import full_precision, percent_correct


class ScaledSimilarity(nn.Module):
    """S = w · cos + b with learned w > 0 and b, and the cross-entropy of its rows against their own systems.

    Parameters
    ----------
    nOut, nClasses : int
        Not asked for: nothing here depends on them.
    init_w, init_b : float
        Where the scale w and the bias b start.
    """

    min_utterances = 2  # of a system, for there to be anything to compare

    def __init__(self, nOut: int = 0, nClasses: int = 0, *, init_w: float = 10.0, init_b: float = -5.0):  # noqa: ARG002
        super().__init__()
        self.w = nn.Parameter(torch.tensor(init_w))
        self.b = nn.Parameter(torch.tensor(init_b))

    def compare(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, M, D) to the cosines (rows, K) that the loss compares and each row's own system (rows,)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, label: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        """Embeddings (K, M, D) to the loss, a scalar, and the accuracy in percent; the groups are the labels.

        Raises ValueError where there are no groups to compare.
        """
        if x.dim() != 3 or x.shape[1] < self.min_utterances:
            raise ValueError(f"two or more utterances of each system are needed, (K, M, D), not {tuple(x.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            cosine, own = self.compare(full_precision(x))
            with torch.no_grad():
                self.w.clamp_(min=1e-6)  # a negative w would reward the wrong system; clamped here, it can grow again
            return F.cross_entropy(self.w * cosine + self.b, own), percent_correct(cosine, own)
