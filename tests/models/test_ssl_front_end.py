"""The speech model as a front-end: what it is given, which hidden states it gives, what masks hide."""

import numpy as np
import pytest
import torch
import transformers

from models import _ssl
from models.Wav2Vec2AASIST import MainModel
from tests.models.speech_models import MAKES, waves, without_dropout


def test_pretrained_weights_are_the_saved_ones(folder):
    saved = transformers.AutoModel.from_pretrained(folder()).eval()
    wave = waves(2, 8000)
    model = MainModel(4, ssl_path=folder()).eval()
    expected = (wave - wave.mean(1, keepdim=True)) / (wave.var(1, unbiased=False, keepdim=True) + 1e-7).sqrt()
    torch.testing.assert_close(model.ssl_model(wave), saved(expected).last_hidden_state)


def test_normalisation_makes_loudness_and_offset_irrelevant(folder):
    wave = waves(2, 8000)
    model = MainModel(4, ssl_path=folder()).eval()
    torch.testing.assert_close(model(wave), model(0.1 * wave + 0.3), atol=1e-4, rtol=1e-3)
    raw = MainModel(4, ssl_path=folder(), ssl_normalize=False).eval()
    assert (raw(wave) - raw(0.1 * wave + 0.3)).abs().max() > 1e-3
    assert model(torch.zeros(1, 8000)).isfinite().all()


def test_normalisation_counts_valid_samples_only():
    wave, lengths = waves(2, 900), torch.tensor([900, 500])
    result = _ssl.standardised(wave, lengths).numpy()
    short = wave[1, :500].double().numpy()
    np.testing.assert_allclose(result[1, :500], (short - short.mean()) / np.sqrt(short.var() + 1e-7), atol=1e-5)
    assert not result[1, 500:].any()
    np.testing.assert_allclose(result[0], _ssl.standardised(wave)[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("family, make", MAKES)
def test_layers_are_those_of_transformers(folder, family, make):
    wave = waves(2, 8000)
    whole = transformers.AutoModel.from_pretrained(folder(family, make)).eval()
    output = whole(wave, output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    assert len(states) == 4
    mixes = {"weighted": sum(states) / 4, "1-2": sum(states[1:3]) / 2, "2-3": sum(states[2:]) / 2, "1-1": states[1]}
    for layers, expected in ({"last": states[3], "3": states[3], "2": states[2]} | mixes).items():
        model = MainModel(4, ssl_path=folder(family, make), ssl_layers=layers, ssl_normalize=False).eval()
        torch.testing.assert_close(model.ssl_model(wave), expected)
        assert len(model.ssl_model.model.encoder.layers) == {"2": 2, "1-2": 2, "1-1": 1}.get(layers, 3)


def test_masks_hide_their_share_in_training_and_nothing_in_evaluation(folder):
    mask = _ssl.span_mask((500, 400), 0.3, torch.device("cpu"))
    assert 0.24 < mask.float().mean() < 0.28  # 1 - (1 - 0.03) ** 10 = 0.263, less at the beginning
    model = without_dropout(MainModel(4, ssl_path=folder(), ssl_mask=0.5))
    wave = waves(2, 8000)
    model.ssl_model.eval()
    assert torch.equal(model.ssl_model(wave), model.ssl_model(wave))
    model.ssl_model.train()
    assert not torch.equal(model.ssl_model(wave), model.ssl_model(wave))
    off = without_dropout(MainModel(4, ssl_path=folder())).train()
    assert torch.equal(off.ssl_model(wave), off.ssl_model(wave))
    assert not off.ssl_model.model.masked_spec_embed.requires_grad
