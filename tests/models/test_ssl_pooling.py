"""SSLPooling: mean and deviation over time of a frozen speech model's layers."""

import numpy as np
import pytest
import torch
import transformers

from models.SSLPooling import MainModel
from settings.errors import ConfigError, DataError
from tests.models.speech_models import MAKES, waves


@pytest.mark.parametrize("family, make", MAKES)
def test_an_embedding_is_the_head_of_mean_and_deviation_of_the_mixed_layers(folder, family, make):
    wave = waves(1, 8000)
    whole = transformers.AutoModel.from_pretrained(folder(family, make)).eval()
    states = [s[0].double().detach().numpy() for s in whole(wave, output_hidden_states=True).hidden_states]
    model = MainModel(5, ssl_path=folder(family, make), ssl_layers="1-2", ssl_normalize=False).eval()
    with torch.no_grad():
        model.ssl_model.layer_weights.copy_(torch.tensor([0.0, 1.0]))
        model.bn.running_mean.normal_()
        model.bn.running_var.uniform_(0.5, 2)
    mixed = (states[1] + np.e * states[2]) / (1 + np.e)
    pooled = np.concatenate([mixed.mean(axis=0), mixed.std(axis=0)])
    bn, head = model.bn, model.head
    normed = (pooled - bn.running_mean.numpy()) / np.sqrt(bn.running_var.numpy() + bn.eps)
    expected = head.weight.detach().double().numpy() @ normed + head.bias.detach().double().numpy()
    np.testing.assert_allclose(model(wave)[0].detach(), expected, atol=1e-4)


def test_nothing_of_the_speech_model_is_trained_or_kept_above_the_chosen_layers(folder):
    model = MainModel(5, ssl_path=folder(), ssl_layers="1-2").train()
    assert not model.ssl_model.model.training and len(model.ssl_model.model.encoder.layers) == 2
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learns == {"ssl_model.layer_weights", "bn.weight", "bn.bias", "head.weight", "head.bias"}
    assert {id(p) for p in model.parameter_groups()[0]["params"]} == {
        id(p) for name, p in model.named_parameters() if name in learns
    }


@pytest.mark.parametrize("family, make", MAKES)
def test_padded_batches_of_very_different_lengths_give_what_one_at_a_time_gives(folder, family, make):
    model = MainModel(7, ssl_path=folder(family, make), ssl_layers="1-3").eval()
    lengths = torch.tensor([16_000, 9000, 400, 9100, 16_000])
    batch = waves(5, 16_000) * (torch.arange(16_000) < lengths[:, None])
    one_at_a_time = torch.cat([model(batch[i : i + 1, :n]) for i, n in enumerate(lengths)])
    torch.testing.assert_close(model(batch, lengths), one_at_a_time, atol=1e-5, rtol=0)


def test_one_frame_is_enough_and_less_is_refused_by_name(folder):
    model = MainModel(4, ssl_path=folder(), ssl_layers="1").eval()
    assert model(waves(2, 400)).isfinite().all()
    with pytest.raises(DataError, match=r"399 samples \(0.025 s\) is too short for SSLPooling, which needs 400"):
        model(waves(2, 399))


def test_five_layers_of_xls_r_300m_by_default():
    with torch.device("meta"):
        model = MainModel(50, ssl_init="random")
    assert len(model.ssl_model.model.encoder.layers) == 5 and len(model.ssl_model.layer_weights) == 5
    assert model.head.in_features == 2048


def test_hidden_units_below_zero_are_refused(folder):
    with pytest.raises(ConfigError, match="--hidden -1"):
        MainModel(4, ssl_path=folder(), hidden=-1)
