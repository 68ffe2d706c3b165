"""An encoder whose features a runtime computes: without complex numbers."""

import copy

from torch import nn

from models._real_features import real_features


def with_real_features(encoder: nn.Module) -> nn.Module:
    """A copy of an encoder, in evaluation mode, whose spectrograms are convolutions."""
    encoder = copy.deepcopy(encoder).eval()
    for name, module in list(encoder.named_modules()):
        if real := real_features(module):
            parent, _, child = name.rpartition(".")
            setattr(encoder.get_submodule(parent), child, real)
    return encoder
