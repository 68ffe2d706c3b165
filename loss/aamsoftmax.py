"""AAM-softmax: an additive margin on the target's angle (Deng et al., 2019, eq. 3)."""

import math

import torch

from loss._margin import MarginSoftmax


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

    def __init__(self, nOut: int, nClasses: int, *, margin: float = 0.2, scale: float = 30.0):
        super().__init__(nOut, nClasses, margin=margin, scale=scale)

    def with_margin(self, cosine: torch.Tensor) -> torch.Tensor:
        m = self.margin
        tiny = torch.finfo(cosine.dtype).eps  # the root's slope is infinite at 0: keep off it
        sine = (1 - cosine.square()).clamp(min=tiny).sqrt()
        within = cosine > math.cos(math.pi - m)
        return torch.where(within, cosine * math.cos(m) - sine * math.sin(m), cosine - m * math.sin(math.pi - m))
