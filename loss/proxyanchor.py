"""Proxy-Anchor: each system's proxy against all utterances of the batch (Kim et al., CVPR 2020, eq. 4)."""

import torch
import torch.nn.functional as F
from torch import nn

from loss._groups import as_utterances, full_precision, percent_correct, unit


class LossFunction(nn.Module):
    """Mean over the batch's systems p of log(1 + Σ_{x of p} exp(−α (cos(x, W_p) − δ))), which pulls, plus mean over all
    systems p of log(1 + Σ_{x not of p} exp(α (cos(x, W_p) + δ))), which pushes.

    The sums let the hardest utterances of the batch weigh most. The accuracy is that of the nearest proxy.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    margin : float
        δ; the paper's 0.1.
    scale : float
        α; the paper's 32.
    """

    def __init__(self, nOut: int, nClasses: int, *, margin: float = 0.1, scale: float = 32.0):
        super().__init__()
        self.margin, self.scale = margin, scale
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(nClasses, nOut)))

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, D) or (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent."""
        x, label = as_utterances(x, label)
        with torch.autocast(x.device.type, enabled=False):
            cosine = unit(x) @ unit(self.weight).T
            own = F.one_hot(label, len(self.weight)).bool()  # (B, C)
            pull = log_one_plus_sum_exp(-self.scale * (cosine - self.margin), own)
            push = log_one_plus_sum_exp(self.scale * (cosine + self.margin), ~own)
            return pull.sum() / own.any(dim=0).sum() + push.mean(), percent_correct(cosine, label)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to α · cos(x, W_j) (B, C), without any margin."""
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * unit(full_precision(x)) @ unit(self.weight).T


def log_one_plus_sum_exp(x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """log(1 + Σ_b exp x_bc) over those b that count, (B, C) to (C,); 0 where none does."""
    return F.pad(x.masked_fill(~counts, -torch.inf), (0, 0, 1, 0)).logsumexp(dim=0)  # exp(0) in front is the 1
