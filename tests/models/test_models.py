"""Every encoder keeps the contract."""

import inspect

import pytest
import torch

from settings import plugins

QUICK = {"Wav2Vec2AASIST": {}}  # options that make a large model small enough for a test; see its own tests
NAMES = [name for name in plugins.names("models") if name not in QUICK]


@pytest.mark.parametrize("name", plugins.names("models"))
def test_options_are_keyword_only_typed_and_explained(name):
    entry = plugins.load("models", name)
    assert all(o.help for o in plugins.options(entry, name))
    own = [p for p in inspect.signature(entry).parameters.values() if p.name != "nOut"]
    assert all(p.kind is p.KEYWORD_ONLY for p in own)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("samples", [1_600, 32_240, 50_001])
def test_waveforms_of_any_length_become_embeddings(name, samples):
    torch.manual_seed(0)
    encoder = plugins.load("models", name)(nOut=7).eval()
    x = 0.1 * torch.randn(2, samples)
    with torch.inference_mode():
        embeddings = encoder(x)
        alone = torch.cat([encoder(x[:1]), encoder(x[1:])])
    assert embeddings.shape == (2, 7) and embeddings.dtype == torch.float32 and embeddings.isfinite().all()
    torch.testing.assert_close(embeddings, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_and_silence_gives_finite_embeddings(name):
    encoder = plugins.load("models", name)(nOut=7)
    encoder(0.1 * torch.randn(3, 16_000)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    assert encoder.eval()(torch.zeros(1, 16_000)).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_is_close_to_full(name):
    torch.manual_seed(0)
    encoder = plugins.load("models", name)(nOut=7).eval()
    x = 0.1 * torch.randn(2, 32_240)
    with torch.inference_mode():
        full = encoder(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(x).float()
    assert torch.cosine_similarity(full, half).min() > 0.99
