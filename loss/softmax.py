"""Softmax: cross-entropy of a linear layer on the embedding."""

import torch
import torch.nn.functional as F
from torch import nn

from loss._groups import as_utterances, full_precision, percent_correct


class LossFunction(nn.Module):
    """Cross-entropy of Wx + b over the train systems.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    """

    def __init__(self, nOut: int, nClasses: int):
        super().__init__()
        self.fc = nn.Linear(nOut, nClasses)

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, D) or (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent."""
        x, label = as_utterances(x, label)
        with torch.autocast(x.device.type, enabled=False):
            logits = self.fc(x)
            return F.cross_entropy(logits, label), percent_correct(logits, label)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to Wx + b (B, C)."""
        with torch.autocast(x.device.type, enabled=False):
            return self.fc(full_precision(x))
