"""Hidden states of a frozen speech model, kept on disk."""

import pytest
import torch

from models.Wav2Vec2AASIST import MainModel
from settings.errors import ConfigError
from tests.models.speech_models import waves


def test_the_cache_gives_what_the_frozen_model_gives_and_hears_nothing_twice(folder, tmp_path):
    options = {"ssl_path": folder(), "freeze_ssl": True}
    plain = MainModel(4, **options).eval()
    cached = MainModel(4, **options, ssl_cache=str(tmp_path / "cache")).eval()
    cached.load_state_dict(plain.state_dict())
    heard = []
    cached.ssl_model.register_forward_hook(lambda *call: heard.append(len(call[2])))
    wave, lengths = waves(3, 8000), torch.tensor([8000, 5000, 1040])
    wave *= torch.arange(8000) < lengths[:, None]
    for _ in range(2):
        torch.testing.assert_close(cached(wave, lengths), plain(wave, lengths), atol=2e-3, rtol=0)
        torch.testing.assert_close(cached(wave[:1]), plain(wave[:1]), atol=2e-3, rtol=0)
    torch.testing.assert_close(cached.hidden(wave[1:2, :5000]), plain.hidden(wave[1:2, :5000]), atol=2e-3, rtol=0)
    assert heard == [3] and len(list((tmp_path / "cache").glob("*/*.npy"))) == 3
    cached.train()(wave).sum().backward()
    assert cached.LL.weight.grad is not None


def test_the_cache_knows_other_weights(folder, tmp_path):
    model = MainModel(4, ssl_path=folder(), freeze_ssl=True, ssl_cache=str(tmp_path)).eval()
    wave = waves(1, 8000)
    before = model.hidden(wave)
    other = MainModel(4, ssl_path=folder(), ssl_init="random")
    model.load_state_dict(other.state_dict())
    assert not torch.allclose(model.hidden(wave), before)


def test_a_cache_that_cannot_be_is_refused(folder, tmp_path):
    for options in ({}, {"freeze_ssl": True, "ssl_layers": "weighted"}):
        with pytest.raises(ConfigError, match="--ssl_cache needs --freeze_ssl"):
            MainModel(4, ssl_path=folder(), ssl_cache=str(tmp_path), **options)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--ssl_cache .*file: File exists"):
        MainModel(4, ssl_path=folder(), freeze_ssl=True, ssl_cache=str(tmp_path / "file"))


@pytest.mark.parametrize("change", [lambda c: c[:-9], lambda c: bytes([*c[:-40], c[-40] ^ 1, *c[-39:]]), lambda _: b""])
def test_kept_states_that_are_damaged_are_made_anew(folder, tmp_path, caplog, change):
    model = MainModel(4, ssl_path=folder(), freeze_ssl=True, ssl_cache=str(tmp_path)).eval()
    wave = waves(1, 8000)
    before = model.hidden(wave)
    (file,) = tmp_path.glob("*/*.npy")
    content = file.read_bytes()
    file.write_bytes(change(content))
    assert torch.equal(model.hidden(wave), before) and "is damaged" in caplog.text
    assert file.read_bytes() == content
