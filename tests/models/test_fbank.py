"""Kaldi's filter banks against kaldi-native-fbank, torchaudio's own and a float64 computation; the network behind."""

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.compliance.kaldi

from models import _fbank
from models._fbank import RECIPES, KaldiFbank
from models.ThinResNet34 import MainModel
from tests.conftest import ROOT

SPEECH = sorted((ROOT / "data/demo/fake/de").rglob("*.ogg"))[::40]
LENGTHS = (1_600, 1_601, 15_919, 15_920, 16_079, 16_080, 32_240)  # either side of where a frame is gained


def speech(samples: int) -> torch.Tensor:
    """(T,) float32 of the demo."""
    return torch.from_numpy(np.concatenate([soundfile.read(path, dtype="float32")[0] for path in SPEECH])[:samples])


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Equal within 1e-3, but for a few values in ten thousand: nulls of the spectrum, of which float32 keeps little."""
    apart = (ours - theirs).abs()
    return ours.shape == theirs.shape and apart.quantile(0.9995) <= 1e-3 and apart.max() <= 0.02


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("name", RECIPES)
def test_filter_banks_equal_those_of_kaldi_native_fbank(name, samples):
    knf = pytest.importorskip("kaldi_native_fbank", reason="requirements-export.txt is not installed")
    recipe, wave = RECIPES[name], speech(samples)
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.window_type = 0.0, recipe.window
    options.frame_opts.snip_edges = not recipe.centred
    options.mel_opts.num_bins, options.mel_opts.high_freq = 80, recipe.highest
    theirs = knf.OnlineFbank(options)
    theirs.accept_waveform(16_000, (wave * 32_768).tolist())
    theirs.input_finished()
    expected = torch.tensor(np.stack([theirs.get_frame(i) for i in range(theirs.num_frames_ready)]))
    assert close(KaldiFbank(name)(wave[None])[0].T, expected)


@pytest.mark.parametrize("name", RECIPES)
def test_filter_banks_equal_torchaudios(name):
    recipe, wave = RECIPES[name], speech(30_000)
    expected = torchaudio.compliance.kaldi.fbank(
        wave[None] * 32_768,
        num_mel_bins=80,
        dither=0.0,
        window_type=recipe.window,
        high_freq=recipe.highest,
        snip_edges=not recipe.centred,
    )
    assert close(KaldiFbank(name)(wave[None])[0].T, expected)


@pytest.mark.parametrize("name", RECIPES)
def test_float32_is_close_to_float64(name):
    wave = speech(30_000)
    exact = KaldiFbank(name).double()
    exact.window = _fbank.window(exact.recipe.window)
    exact.mel_weights = _fbank.mel_filters(exact.recipe.highest)
    assert close(KaldiFbank(name)(wave[None]), exact(wave.double()[None]).float())


@pytest.mark.parametrize("name", RECIPES)
def test_a_padded_batch_gives_what_one_at_a_time_gives(name):
    torch.manual_seed(0)
    model = MainModel(50, features=name).eval()
    lengths = torch.tensor([1_600, 1_601, 1_679, 1_680, 32_240, 32_239, 30_001])
    waves = [0.1 * torch.randn(n) for n in lengths.tolist()]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    with torch.inference_mode():
        alone = torch.cat([model(wave[None]) for wave in waves])
        assert (model(batch, lengths) - alone).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_on_filter_banks_learns(name):
    model = MainModel(7, features=name)
    model(0.1 * torch.randn(3, 16_000)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.eval()(torch.zeros(1, 16_000)).isfinite().all()


@pytest.mark.parametrize("options", [{"n_mels": 64}, {"log_input": False}])
def test_options_that_filter_banks_leave_no_choice_of_are_refused(options):
    with pytest.raises(ValueError, match="fbank80 has 80 bands"):
        MainModel(7, features="fbank80", **options)
