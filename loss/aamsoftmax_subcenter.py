"""Sub-centre AAM-softmax: several centres a system, of which the nearest counts (Deng et al., ECCV 2020)."""

import torch
from torch import nn

from loss._groups import unit
from loss.aamsoftmax import LossFunction as AAMSoftmax


class LossFunction(AAMSoftmax):
    """AAM-softmax with cos θ_j = max_k cos(x, W_jk): a system may make speech of several kinds.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    subcenters : int
        Centres of each system; the paper's 3.
    """

    def __init__(
        self,
        nOut: int,
        nClasses: int,
        *,
        margin: float = 0.2,
        scale: float = 30.0,
        margin_from: float = 0.0,
        margin_epochs: int = 0,
        subcenters: int = 3,
    ):
        if subcenters < 1:
            raise ValueError(f"subcenters is {subcenters}, and a system needs at least 1")
        super().__init__(
            nOut, nClasses, margin=margin, scale=scale, margin_from=margin_from, margin_epochs=margin_epochs
        )
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(nClasses * subcenters, nOut)))
        self.subcenters = subcenters

    def cosines(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) to the cosines (B, C) with each class's nearest centre."""
        return (unit(x) @ unit(self.weight).T).unflatten(1, (-1, self.subcenters)).amax(dim=2)
