"""Angular prototypical: one query of each system against the mean of each one's others (Chung et al., 2020)."""

import torch

from loss._groups import unit
from loss._similarity import ScaledSimilarity


class LossFunction(ScaledSimilarity):
    """S_k,j = w · cos(x_k1, c_j) + b, with c_j the mean of system j's utterances but its first; cross-entropy."""

    def compare(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, M, D) to cosines (K, K) and each query's system (K,)."""
        return unit(x[:, 0]) @ unit(x[:, 1:].mean(dim=1)).T, torch.arange(len(x), device=x.device)
