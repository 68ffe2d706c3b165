"""Softmax over scaled cosines with a margin on the target's: what AM- and AAM-softmax share."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from loss._groups import as_utterances, full_precision, percent_correct, unit


def turned(cosine: torch.Tensor, angle: float) -> torch.Tensor:
    """cos(θ + angle) of cos θ, of any shape."""
    tiny = torch.finfo(cosine.dtype).eps  # the root's slope is infinite at 0: keep off it
    sine = (1 - cosine.square()).clamp(min=tiny).sqrt()
    return cosine * math.cos(angle) - sine * math.sin(angle)


class MarginSoftmax(nn.Module):
    """Cross-entropy of scale · cos θ_j, the target's cosine made smaller by `with_margin` first.

    The accuracy is that of the plain cosines: with the margin it would look as if the loss did not converge.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    margin : float
        m.
    scale : float
        s.
    margin_from : float
        m in the first epoch, where margin_epochs is not 0.
    margin_epochs : int
        Epochs over which m goes from margin_from to margin, in equal steps; 0: it is margin from the start.
    """

    def __init__(
        self, nOut: int, nClasses: int, *, margin: float, scale: float, margin_from: float, margin_epochs: int
    ):
        if margin_epochs < 0:
            raise ValueError(f"margin_epochs is {margin_epochs}: 0 or more epochs")
        super().__init__()
        self.final_margin, self.scale = margin, scale
        self.margin_from, self.margin_epochs = margin_from, margin_epochs
        self.on_epoch(0)
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(nClasses, nOut)))

    def on_epoch(self, epoch: int) -> None:
        """Called before training epoch `epoch`, counted from 0: sets the margin, a function of the epoch alone."""
        done = min(1.0, epoch / self.margin_epochs) if self.margin_epochs else 1.0
        self.margin = (1 - done) * self.margin_from + done * self.final_margin

    def cosines(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to cosines with every class (B, C)."""
        return unit(x) @ unit(self.weight).T

    def with_margin(self, cosine: torch.Tensor) -> torch.Tensor:
        """Cosines of the target, of any shape, to what replaces them."""
        raise NotImplementedError

    def penalised(self, cosine: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Cosines (B, C) with the margin on the target's, which `label` (B,) names."""
        return cosine.scatter(1, label[:, None], self.with_margin(cosine.gather(1, label[:, None])))

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, D) or (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent."""
        x, label = as_utterances(x, label)
        with torch.autocast(x.device.type, enabled=False):
            cosine = self.cosines(x)
            logits = self.scale * self.penalised(cosine, label)
            return F.cross_entropy(logits, label), percent_correct(cosine, label)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to scale · cos θ_j (B, C), without any margin."""
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * self.cosines(full_precision(x))
