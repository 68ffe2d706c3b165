"""AAM-softmax: an additive margin on the target's angle (Deng et al., 2019, eq. 3)."""

import math

import torch

from loss._margin import MarginSoftmax, turned


class LossFunction(MarginSoftmax):
    """Cross-entropy of s · cos(θ_j + m · [j = y]).

    Where θ_y + m passes π, cos would rise again; cos θ_y − m · sin(π − m) takes over there and keeps falling.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    margin : float
        m, in radians. The paper's value is not known; 0.2 is the field's.
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
        m = self.margin
        within = cosine > math.cos(math.pi - m)
        return torch.where(within, turned(cosine, m), cosine - m * math.sin(math.pi - m))
