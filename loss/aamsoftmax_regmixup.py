"""AAM-softmax with RegMixup: the loss on the batch, and on mixtures of its waveforms beside it (Pinto et al., 2022)."""

import torch
import torch.nn.functional as F

from loss._groups import full_precision
from loss.aamsoftmax import LossFunction as AAMSoftmax


class LossFunction(AAMSoftmax):
    """Mean of AAM(x_i, y_i) and of λ · AAM(x̃_i, y_i) + (1 − λ) · AAM(x̃_i, y_j) over the batch.

    x̃_i embeds λ · w_i + (1 − λ) · w_j, a mixture of two waveforms; λ is drawn once a batch from Beta(α, α), which keeps
    it near 1/2, and the j are a random order of the batch. As in the authors' code this is half of the paper's sum with
    η = 1, so that its size compares with plain AAM's. The paper mixes its inputs, images; ours are waveforms, which
    Zhu et al. (2019) and Thienpondt et al. (2023) mix for speakers. The encoder sees twice as many: a step costs two.

    Parameters
    ----------
    nOut, nClasses : int
        Dimension of the embedding; number of train systems.
    mix_alpha : float
        α; the authors' code has 20.
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
        mix_alpha: float = 20.0,
    ):
        if not mix_alpha > 0:
            raise ValueError(f"mix_alpha is {mix_alpha}, and it must be above 0")
        super().__init__(
            nOut, nClasses, margin=margin, scale=scale, margin_from=margin_from, margin_epochs=margin_epochs
        )
        self.mix_alpha = mix_alpha

    def mix(self, waveforms: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, T) and labels (B,) to these and their mixtures (2B, T), and shares of the systems (2B, C).

        Drawn from the generator that dropout uses. SpeakerNet calls it before the encoder.
        """
        order = torch.randperm(len(labels), device=labels.device)
        alpha = waveforms.new_full((), self.mix_alpha)
        share = torch.distributions.Beta(alpha, alpha, validate_args=False).sample()
        mixed = torch.lerp(waveforms[order], waveforms, share)
        whole = F.one_hot(labels, len(self.weight)).to(waveforms)
        return torch.cat([waveforms, mixed]), torch.cat([whole, torch.lerp(whole[order], whole, share)])

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (B, D) and shares of the systems (B, C), or what AAM-softmax takes, to loss and accuracy.

        The accuracy is that of the rows which are of one system.
        """
        if label.dim() == 1:
            return super().forward(x, label)
        with torch.autocast(x.device.type, enabled=False):
            cosine = self.cosines(full_precision(x))
            shares, systems = label.topk(2, dim=1)
            one, other = (
                F.cross_entropy(self.scale * self.penalised(cosine, target), target, reduction="none")
                for target in systems.T
            )
            loss = (shares[:, 0] * one + shares[:, 1] * other).mean()
            whole = shares[:, 0] == 1
            return loss, 100 * ((cosine.argmax(dim=1) == systems[:, 0]) & whole).sum() / whole.sum()
