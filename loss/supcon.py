"""Supervised contrastive loss: every utterance against all others of the batch (Khosla et al., NeurIPS 2020, eq. 2)."""

import torch
from torch import nn

from loss._groups import as_utterances, unit


class LossFunction(nn.Module):
    """Mean over utterances i of −1/|P(i)| Σ_{p ∈ P(i)} log(exp(cos(x_i, x_p)/τ) / Σ_{a ≠ i} exp(cos(x_i, x_a)/τ)).

    P(i) are the batch's other utterances of i's system; an i without any is not in the mean. The paper sees each
    utterance twice, as two views; here, two utterances of a system take their place, and any sampler will do. There are
    no class weights; the accuracy is how often the nearest other utterance is of the same system.

    Parameters
    ----------
    nOut, nClasses : int
        Not asked for: nothing here depends on them.
    temperature : float
        τ; the paper's 0.1.
    """

    def __init__(self, nOut: int = 0, nClasses: int = 0, *, temperature: float = 0.1):  # noqa: ARG002
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}, and it must be above 0")
        super().__init__()
        self.temperature = temperature

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (K, D) or (K, M, D) and labels (K,) to the loss, a scalar, and the accuracy in percent."""
        x, label = as_utterances(x, label)
        with torch.autocast(x.device.type, enabled=False):
            x = unit(x)
            itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
            scaled = (x @ x.T / self.temperature).masked_fill(
                itself, torch.finfo(x.dtype).min
            )  # -inf: NaN, were x alone
            same = (label[:, None] == label) & ~itself
            partners = same.sum(dim=1)
            loss = -scaled.log_softmax(dim=1).masked_fill(~same, 0.0).sum(dim=1) / partners.clamp(min=1)
            right = (label[scaled.argmax(dim=1)] == label) & (partners > 0)
            counted = (partners > 0).sum().clamp(min=1)
            return loss.sum() / counted, 100.0 * right.sum() / counted
