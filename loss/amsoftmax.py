"""AM-softmax: an additive margin on the target's cosine (Wang et al., 2018, eq. 6)."""

import torch

from loss._margin import MarginSoftmax


class LossFunction(MarginSoftmax):
    """Cross-entropy of s · (cos θ_j − m · [j = y]).

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    margin : float
        m. The paper's value is not known; 0.2 is the field's.
    scale : float
        s. The paper's value is not known; 30 is the field's.
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
        super().__init__(
            nOut, nClasses, margin=margin, scale=scale, margin_from=margin_from, margin_epochs=margin_epochs
        )

    def with_margin(self, cosine: torch.Tensor) -> torch.Tensor:
        return cosine - self.margin
