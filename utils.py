"""What plug-ins of the wider voxceleb_trainer family import or count on, so that they drop in unchanged."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode


def accuracy(output: torch.Tensor, target: torch.Tensor, topk: tuple[int, ...] = (1,)) -> list[torch.Tensor]:
    """Percent of rows whose target is among the k highest scores, for each k.

    Parameters
    ----------
    output : (B, C) float
    target : (B,) int64

    Returns
    -------
    list of (1,) float32
    """
    ranked = output.topk(max(topk), dim=1).indices
    hits = (ranked == target[:, None]).float()
    return [100.0 * hits[:, :k].sum(dim=1).mean().reshape(1) for k in topk]


class PreEmphasis(nn.Module):
    """y[t] = x[t] − coef · x[t−1] along the last dimension of (B, T), reflecting at the start."""

    def __init__(self, coef: float = 0.97):
        super().__init__()
        self.register_buffer(
            "flipped_filter", torch.tensor([[[-coef, 1.0]]])
        )  # the name under which checkpoints hold it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T) to (B, T)."""
        padded = F.pad(x[:, None], (1, 0), mode="reflect")
        return F.conv1d(padded, self.flipped_filter)[:, 0]


class LegacyTorchSemantics(TorchFunctionMode):
    """The torch that voxceleb_trainer's losses were written for.

    Their `F.pairwise_distance` of (K, D, 1) and (1, D, K) means the distance over dimension 1, (K, K); in today's
    torch it is over the last, (K, D), which would train something else without a word. Their `.cuda()` means the
    device in use.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.Tensor.cuda:
            return args[0].to(self.device)
        if function is F.pairwise_distance and args[0].dim() == 3:
            return function(args[0].transpose(1, 2), args[1].transpose(1, 2), *args[2:], **kwargs)
        return function(*args, **kwargs)
