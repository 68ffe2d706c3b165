"""GE2E: every utterance against the centroid of every system (Wan et al., 2018, eq. 5, 6, 8, 9)."""

import torch

from loss._groups import unit
from loss._similarity import ScaledSimilarity


class LossFunction(ScaledSimilarity):
    """S_ki,j = w · cos(x_ki, c_j) + b; c_j is the mean of system j's utterances, without x_ki itself where j = k.

    Cosines are clamped below at 1e-6 before scaling, as the paper's code base does; cross-entropy over j.
    """

    def compare(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, M, D) to cosines (K·M, K) and each utterance's system (K·M,)."""
        systems, utterances = x.shape[:2]
        without_self = (x.sum(dim=1, keepdim=True) - x) / (utterances - 1)
        to_others = unit(x) @ unit(x.mean(dim=1)).T  # (K, M, K)
        to_own = (unit(x) * unit(without_self)).sum(dim=-1, keepdim=True)
        is_own = torch.eye(systems, dtype=torch.bool, device=x.device)[:, None]
        cosine = torch.where(is_own, to_own, to_others).clamp(min=1e-6)
        return cosine.flatten(0, 1), torch.arange(systems, device=x.device).repeat_interleave(utterances)
