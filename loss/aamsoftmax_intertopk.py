"""AAM-softmax with the inter-top-k penalty: a margin against the nearest other systems (Zhao et al., ICASSP 2022)."""

import math

import torch

from loss._margin import turned
from loss.aamsoftmax import LossFunction as AAMSoftmax


class LossFunction(AAMSoftmax):
    """AAM-softmax in which the k largest cosines of other systems are replaced by cos(θ_j − m').

    Where θ_j is below m' that would fall again; cos θ_j + 1 − cos m' takes over there and keeps rising. While m is on
    its way from margin_from to margin, m' is topk_margin · m / margin, as wespeaker has it.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    topk : int
        k, or all other systems where there are fewer; the field's 5.
    topk_margin : float
        m', in radians; the field's 0.06.
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
        topk: int = 5,
        topk_margin: float = 0.06,
    ):
        if topk < 1 or topk_margin < 0:
            raise ValueError(f"topk is {topk} (1 or more), topk_margin {topk_margin} (0 or more)")
        super().__init__(
            nOut, nClasses, margin=margin, scale=scale, margin_from=margin_from, margin_epochs=margin_epochs
        )
        self.topk = min(topk, nClasses - 1)
        self.topk_margin = topk_margin

    def penalised(self, cosine: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Cosines (B, C) with the margin on the target's and the penalty on its k nearest others'."""
        m = self.topk_margin * (self.margin / self.final_margin if self.final_margin else 1.0)
        nearest = cosine.scatter(1, label[:, None], -math.inf).topk(self.topk, dim=1).indices
        others = cosine.gather(1, nearest)
        raised = torch.where(others < math.cos(m), turned(others, -m), others + 1 - math.cos(m))
        return super().penalised(cosine, label).scatter(1, nearest, raised)
