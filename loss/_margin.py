"""Softmax over scaled cosines with a margin on the target's: what AM- and AAM-softmax share."""

import torch
import torch.nn.functional as F
from torch import nn

from loss._groups import as_utterances, percent_correct, unit


class MarginSoftmax(nn.Module):
    """Cross-entropy of scale · cos θ_j, the target's cosine made smaller by `with_margin` first.

    The accuracy is that of the plain cosines: with the margin it would look as if the loss did not converge.
    """

    def __init__(self, nOut: int, nClasses: int, *, margin: float, scale: float):
        super().__init__()
        self.margin, self.scale = margin, scale
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(nClasses, nOut)))

    def with_margin(self, cosine: torch.Tensor) -> torch.Tensor:
        """Cosines of the target (B,) to what replaces them."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, D) or (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent."""
        x, label = as_utterances(x, label)
        with torch.autocast(x.device.type, enabled=False):
            cosine = unit(x) @ unit(self.weight).T
            target = self.with_margin(cosine.gather(1, label[:, None]))
            logits = self.scale * cosine.scatter(1, label[:, None], target)
            return F.cross_entropy(logits, label), percent_correct(cosine, label)
