"""AAM-softmax with frozen class weights at right angles to each other: only the encoder learns.

That a classifier need not learn: Hoffer et al., "Fix your classifier", ICLR 2018; Pernici et al., "Regular polytope
networks", 2021.
"""

import torch
from torch import nn

from loss.aamsoftmax import LossFunction as AAMSoftmax


class LossFunction(AAMSoftmax):
    """AAM-softmax with W Wᵀ = I, drawn at random and kept in the checkpoint: no two systems are meant to be alike.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems, at most nOut.
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
    ):
        if nClasses > nOut:
            raise ValueError(f"{nClasses} systems at right angles need --nOut {nClasses} or more")
        super().__init__(
            nOut, nClasses, margin=margin, scale=scale, margin_from=margin_from, margin_epochs=margin_epochs
        )
        del self.weight
        self.register_buffer("weight", nn.init.orthogonal_(torch.empty(nClasses, nOut)))
