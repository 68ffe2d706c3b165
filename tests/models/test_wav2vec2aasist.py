"""Wav2Vec2AASIST as an encoder, over tiny speech models saved by transformers and loaded as a user's would be."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.Wav2Vec2AASIST import MainModel
from settings import plugins
from settings.errors import ConfigError, DataError
from tests.models.speech_models import MAKES, waves, without_dropout


@pytest.mark.parametrize("family, make", MAKES)
def test_any_family_and_width_makes_embeddings_and_learns(folder, family, make):
    model = MainModel(7, ssl_path=folder(family, make)).train()
    embeddings = model(waves(3, 8000))
    assert embeddings.shape == (3, 7) and embeddings.dtype == torch.float32
    embeddings.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_xls_r_300m_has_the_published_size_and_asks_no_network():
    with torch.device("meta"):
        model = MainModel(50, ssl_init="random")
    assert sum(p.numel() for p in model.ssl_model.model.parameters()) == 315_438_720
    back_end = [p.numel() for name, p in model.named_parameters() if not name.startswith(("ssl_model.", "out_layer."))]
    assert sum(back_end) == 446_920
    assert model.ssl_model.frames(200 * 160 + 240) == 100 and model.ssl_model.frames(32_000) == 99


def test_a_checkpoint_with_all_weights_needs_the_configuration_only(folder, tmp_path):
    trained = MainModel(4, ssl_path=folder()).eval()
    (tmp_path / "config.json").write_text((Path(folder()) / "config.json").read_text())
    bare = MainModel(4, ssl_path=str(tmp_path), **MainModel.weights_follow).eval()
    wave = waves(2, 8000)
    assert not torch.allclose(bare(wave), trained(wave))
    bare.load_state_dict(bare.convert_state_dict(trained.state_dict()))
    assert torch.equal(bare(wave), trained(wave))


@pytest.mark.parametrize("family, make", MAKES)
@pytest.mark.parametrize("layers", ["last", "weighted", "2"])
def test_a_padded_batch_gives_what_one_at_a_time_gives(folder, family, make, layers):
    model = MainModel(7, ssl_path=folder(family, make), ssl_layers=layers).eval()
    lengths = torch.tensor([16_000, 9000, 1040, 9100, 16_000])
    batch = waves(5, 16_000) * (torch.arange(16_000) < lengths[:, None])
    one_at_a_time = torch.cat([model(batch[i : i + 1, :n]) for i, n in enumerate(lengths)])
    torch.testing.assert_close(model(batch, lengths), one_at_a_time, atol=1e-5, rtol=0)


def test_the_shortest_audio_works_and_shorter_is_refused_by_name(folder):
    model = MainModel(4, ssl_path=folder()).eval()
    assert model(waves(2, 1040)).isfinite().all()
    for call in (lambda: model(waves(2, 1039)), lambda: model(waves(2, 4000), torch.tensor([4000, 1039]))):
        with pytest.raises(DataError, match=r"1039 samples \(0.065 s\) is too short.*needs 1040"):
            call()


def test_bfloat16_trains_and_agrees_with_float32(folder):
    model = without_dropout(MainModel(4, ssl_path=folder())).eval()
    wave = waves(4, 8000)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(wave)
    torch.testing.assert_close(half, model(wave), atol=0.02, rtol=0.05)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        model(wave).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_tiny_model_learns_to_tell_two_tones(folder):
    model = MainModel(2, ssl_path=folder()).train()
    optimizer = torch.optim.Adam([{"params": g["params"]} for g in model.parameter_groups()], lr=1e-3)
    seconds = torch.arange(8000) / 16000
    losses = []
    for _ in range(25):
        labels = torch.randint(2, (8,))
        tones = torch.sin(2 * torch.pi * (300 + 900 * labels[:, None]) * seconds + torch.rand(8, 1))
        loss = torch.nn.functional.cross_entropy(model(tones + 0.1 * torch.randn(8, 8000)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_options_out_of_range_are_all_named():
    with pytest.raises(ConfigError) as caught:
        MainModel(4, ssl_mask=1.5, ssl_freeze_epochs=-1, ssl_lr_scale=0.0, ssl_layer_decay=2.0)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "--ssl_mask",
        "--ssl_freeze_epochs",
        "--ssl_lr_scale",
        "--ssl_layer_decay",
    ]


@pytest.mark.parametrize("layers", ["0", "4", "-1", "first", "2.0", "0-2", "2-4", "3-2", "1-", "-", "1-2-3"])
def test_layers_that_the_model_has_not_are_refused(folder, layers):
    with pytest.raises(
        ConfigError, match=r"--ssl_layers .*: last, weighted, or a layer of .* from 1 to 3, or several, as 1-3"
    ):
        MainModel(4, ssl_path=folder(), ssl_layers=layers)


def test_every_option_has_a_type_and_a_help_text():
    options = plugins.declared("models", "Wav2Vec2AASIST").options
    assert {"ssl_path", "ssl_init", "ssl_layers", "freeze_cnn", "ssl_layer_decay"} <= {o.name for o in options}
    assert all(o.help for o in options)


def test_the_cache_tells_precisions_apart(folder, tmp_path):
    model = MainModel(4, ssl_path=folder(), freeze_ssl=True, ssl_cache=str(tmp_path)).eval()
    wave = waves(1, 8_000)
    with torch.no_grad():
        model(wave)
        with torch.autocast("cpu", torch.bfloat16):
            model(wave)
        model(wave)
    assert len(list(tmp_path.glob("*/*.npy"))) == 2
