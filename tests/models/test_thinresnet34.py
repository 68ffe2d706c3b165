"""ThinResNet34 against a plain float64 computation written from its definition, and voxceleb_trainer's checkpoints."""

import math

import pytest
import torch
import torch.nn.functional as F

from engine import checkpoints
from models.ThinResNet34 import MainModel
from settings.errors import ConfigError

STAGES = [(1, 3, 1), (2, 4, 2), (3, 6, 2), (4, 3, 1)]  # number, blocks, stride


def trained(**options) -> MainModel:
    """A model whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    model = MainModel(12, **options)
    for _ in range(2):
        model(0.1 * torch.randn(4, 8_000))
    return model.eval()


def mel_filters(bands: int) -> torch.Tensor:
    """(257, bands): triangles that are evenly spaced on the HTK mel scale from 0 to 8 kHz."""

    def hertz(mel):
        return 700 * (10 ** (mel / 2595) - 1)

    top = 2595 * math.log10(1 + 8000 / 700)
    edges = [hertz(top * i / (bands + 1)) for i in range(bands + 2)]
    bins = torch.arange(257, dtype=torch.float64) * 16_000 / 512
    rows = []
    for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
        rows.append(torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0))
    return torch.stack(rows, dim=1)


def log_mel(x: torch.Tensor, bands: int = 40) -> torch.Tensor:
    """(T,) float64 to (bands, F): windows of 400 samples in frames of 512, each 160, centred with reflection."""
    padded = F.pad(x[None, None], (256, 256), mode="reflect")[0, 0]
    window = 0.54 - 0.46 * torch.cos(2 * math.pi * torch.arange(400, dtype=torch.float64) / 400)
    window = F.pad(window, (56, 56))
    frames = padded.unfold(0, 512, 160) * window
    k = torch.arange(257, dtype=torch.float64)[:, None] * torch.arange(512, dtype=torch.float64) * 2 * math.pi / 512
    power = (frames @ torch.cos(k).T).square() + (frames @ torch.sin(k).T).square()
    features = (power @ mel_filters(bands) + 1e-6).log().T
    mean, variance = features.mean(dim=1, keepdim=True), features.var(dim=1, unbiased=False, keepdim=True)
    return (features - mean) / (variance + 1e-5).sqrt()


def reference(x: torch.Tensor, p: dict[str, torch.Tensor], asp: bool = False) -> torch.Tensor:
    """One waveform (T,) to its embedding, from the state's tensors p in float64."""

    def norm(h, name):
        mean, variance = (p[f"{name}.running_{s}"][:, None, None] for s in ("mean", "var"))
        return (h - mean) / (variance + 1e-5).sqrt() * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][
            :, None, None
        ]

    def conv(h, name, stride, padding):
        return F.conv2d(h[None], p[f"{name}.weight"], stride=stride, padding=padding)[0]

    h = norm(conv(log_mel(x)[None], "conv1", (2, 1), 3), "bn1").clamp(min=0)
    for number, blocks, first_stride in STAGES:
        for block in range(blocks):
            name, stride = f"layer{number}.{block}", first_stride if block == 0 else 1
            out = norm(conv(h, f"{name}.conv1", stride, 1).clamp(min=0), f"{name}.bn1")
            out = norm(conv(out, f"{name}.conv2", 1, 1), f"{name}.bn2")
            gate = (p[f"{name}.se.fc.0.weight"] @ out.mean(dim=(1, 2)) + p[f"{name}.se.fc.0.bias"]).clamp(min=0)
            gate = torch.sigmoid(p[f"{name}.se.fc.2.weight"] @ gate + p[f"{name}.se.fc.2.bias"])
            if f"{name}.downsample.0.weight" in p:
                h = norm(conv(h, f"{name}.downsample.0", stride, 0), f"{name}.downsample.1")
            h = (out * gate[:, None, None] + h).clamp(min=0)
    frames = h.mean(dim=1).T  # (F, 128)
    energy = torch.tanh(frames @ p["sap_linear.weight"].T + p["sap_linear.bias"]) @ p["attention"]
    weight = energy.exp() / energy.exp().sum()
    pooled = (frames * weight).sum(dim=0)
    if asp:
        deviation = ((frames.square() * weight).sum(dim=0) - pooled.square()).clamp(min=1e-5).sqrt()
        pooled = torch.cat([pooled, deviation])
    return p["fc.weight"] @ pooled + p["fc.bias"]


@pytest.mark.parametrize("encoder_type", ["SAP", "ASP"])
def test_embeddings_equal_a_plain_float64_computation(encoder_type):
    model = trained(encoder_type=encoder_type)
    x = 0.1 * torch.randn(2, 9_000)
    p = {name: value.double() for name, value in model.state_dict().items()}
    expected = torch.stack([reference(row.double(), p, encoder_type == "ASP") for row in x])
    with torch.inference_mode():
        torch.testing.assert_close(model(x).double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("nOut", "count"), [(10, 1_372_320), (50, 1_377_480), (200, 1_396_830), (512, 1_437_078)])
def test_parameter_count(nOut, count):
    assert sum(p.numel() for p in MainModel(nOut).parameters()) == count


@pytest.mark.parametrize("encoder_type, pooling", [("SAP", 0), ("ASP", 128 * 50)])
def test_80_bands_take_as_many_parameters_and_give_what_one_at_a_time_gives(encoder_type, pooling):
    model = MainModel(50, n_mels=80, encoder_type=encoder_type).eval()
    assert sum(p.numel() for p in model.parameters()) == 1_377_480 + pooling
    assert bool(model.torchfb.mel_scale.fb.sum(dim=0).all()), "no band is empty"
    lengths = torch.tensor([16_000, 9_000, 16_100])
    batch = 0.1 * torch.randn(3, 16_100) * (torch.arange(16_100) < lengths[:, None])
    with torch.inference_mode():
        alone = torch.cat([model(batch[i : i + 1, :n]) for i, n in enumerate(lengths)])
        torch.testing.assert_close(model(batch, lengths), alone, rtol=0, atol=1e-5)


FORMS = {
    "bare encoder": lambda state: {"model": state},
    "whole network": lambda state: {f"__S__.{n}": v for n, v in state.items()} | {"__L__.weight": torch.zeros(3, 12)},
    "from several GPUs": lambda state: {f"module.__S__.{n}": v for n, v in state.items()},
    "with optimiser": lambda state: {
        "model_state_dict": {f"__S__.{n}": v for n, v in state.items()},
        "optimizer_state_dict": {"state": {}},
        "epoch": 3,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_checkpoints_of_voxceleb_trainer_load_in_all_their_forms(tmp_path, form):
    source, target = trained(), MainModel(12).eval()
    torch.save(FORMS[form](source.state_dict()), tmp_path / "vox.model")
    weights = checkpoints.encoder_weights(checkpoints.read(tmp_path / "vox.model"))
    checkpoints.load_weights(target, weights, "vox.model")
    x = 0.1 * torch.randn(2, 9_000)
    with torch.inference_mode():
        assert torch.equal(source(x), target(x))


def test_the_ancestors_parameter_names_are_kept():
    names = set(MainModel(12).state_dict())
    expected = (
        "conv1.weight bn1.running_mean layer1.0.conv1.weight layer4.2.se.fc.0.weight layer2.0.downsample.0.weight "
    )
    expected += "layer2.0.downsample.1.bias sap_linear.weight attention fc.bias torchfb.mel_scale.fb"
    assert set(expected.split()) <= names


def test_a_checkpoint_of_another_shape_is_named(tmp_path):
    torch.save({"model": trained().state_dict()}, tmp_path / "vox.model")
    weights = checkpoints.encoder_weights(checkpoints.read(tmp_path / "vox.model"))
    with pytest.raises(ConfigError, match=r"fc.weight: \(12, 128\) in the checkpoint, \(50, 128\) in the model"):
        checkpoints.load_weights(MainModel(50), weights, "vox.model")


def test_a_padded_batch_of_many_lengths_gives_what_one_at_a_time_gives():
    torch.manual_seed(0)
    model = MainModel(50).eval()
    lengths = torch.tensor([1600, 1601, 1759, 1760, 32_240, 47_999, 48_000, 48_001, 48_159, 300])
    waves = [torch.randn(n) for n in lengths.tolist()]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    with torch.inference_mode():
        alone = torch.cat([model(wave[None]) for wave in waves])
        assert (model(batch, lengths) - alone).abs().max() <= 1e-5 * alone.abs().max()
    with pytest.raises(RuntimeError, match="256 samples is too short"):
        model(batch, lengths.clone().fill_(256))
