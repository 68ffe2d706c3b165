"""Angular prototypical + softmax, voxceleb_trainer's `softmaxproto` (Heo et al., "Clova baseline system", 2020)."""

import torch
from torch import nn

from loss.angleproto import LossFunction as AngularPrototypical
from loss.softmax import LossFunction as Softmax


class LossFunction(nn.Module):
    """The sum of the two: softmax's cross-entropy over all utterances, and the angular prototypical loss of the groups.

    The accuracy is softmax's.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    init_w, init_b : float
        Where the prototypical loss's scale w and bias b start.
    """

    min_utterances = AngularPrototypical.min_utterances

    def __init__(self, nOut: int, nClasses: int, *, init_w: float = 10.0, init_b: float = -5.0):
        super().__init__()
        self.softmax = Softmax(nOut, nClasses)
        self.angleproto = AngularPrototypical(init_w=init_w, init_b=init_b)

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent.

        Raises ValueError where there are no groups to compare.
        """
        prototypical, _ = self.angleproto(x)
        classification, accuracy = self.softmax(x, label)
        return classification + prototypical, accuracy

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to softmax's Wx + b (B, C)."""
        return self.softmax.logits(x)
