"""--format voxceleb_trainer: the names, shapes and meaning of its ResNetSE34L's parameters.

That its own code loads the state strictly was seen outside this repository; here a float64 computation from its
definition takes its place.
"""

import pytest
import torch

import export
from SpeakerNet import load_model
from tests.exporting.conftest import saved, speech
from tests.models.test_thinresnet34 import reference


def names() -> set[str]:
    """What ResNetSE34L calls its parameters and buffers, written out from its definition."""
    norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    found = {"conv1.weight", "attention", "torchfb.spectrogram.window", "torchfb.mel_scale.fb"}
    found |= {f"{layer}.{kind}" for layer in ("sap_linear", "fc") for kind in ("weight", "bias")}
    found |= {f"bn1.{kind}" for kind in norm}
    for number, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            place = f"layer{number}.{block}"
            found |= {f"{place}.{conv}.weight" for conv in ("conv1", "conv2")}
            found |= {f"{place}.{bn}.{kind}" for bn in ("bn1", "bn2") for kind in norm}
            found |= {f"{place}.se.fc.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}
            if block == 0 and number > 1:
                found |= {f"{place}.downsample.0.weight"} | {f"{place}.downsample.1.{kind}" for kind in norm}
    return found


@pytest.mark.parametrize("encoder_type", ["SAP", "ASP"])
def test_the_state_is_resnetse34ls_and_means_the_same(tmp_path, encoder_type):
    checkpoint = saved(tmp_path / "a.model", encoder_type=encoder_type)
    assert export.main([checkpoint, "--out", str(tmp_path / "out"), "--format", "voxceleb_trainer"]) == 0
    state = torch.load(tmp_path / "out/ResNetSE34L.model", weights_only=True)
    assert set(state) == {f"__S__.{name}" for name in names()}
    parameters = {name.removeprefix("__S__."): value.double() for name, value in state.items()}
    wave = speech(1.0)
    expected = reference(torch.tensor(wave).double(), parameters, asp=encoder_type == "ASP")
    found = torch.tensor(load_model(checkpoint, "cpu").embed_waveforms([wave])[0])
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    again = load_model(tmp_path / "out/ResNetSE34L.model", "cpu", nOut=12, encoder_type=encoder_type)
    assert torch.equal(torch.tensor(again.embed_waveforms([wave])[0]), found)


def test_what_resnetse34l_cannot_be_is_refused(tmp_path, capsys):
    checkpoint = saved(tmp_path / "a.model", features="fbank80")
    assert export.main([checkpoint, "--out", str(tmp_path / "out"), "--format", "voxceleb_trainer"]) == 2
    assert "a ThinResNet34 with --features mel, and this is none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
