"""Where a speech model's weights come from (folders, fairseq's names, SSL_Anti-spoofing's states), what is refused."""

import json
import time
from pathlib import Path

import pytest
import torch
import transformers

from models.Wav2Vec2AASIST import MainModel
from settings.errors import ConfigError
from tests.models.speech_models import waves


# fairseq's names, written down from its source: a module's place in an nn.Sequential is a number.
def fairseq_state(layers=3, width=32, inner=48, channels=16, kernels=(10, 3, 3, 3, 3, 2, 2)):
    shapes = {"mask_emb": (width,), "layer_norm": (channels,), "post_extract_proj": (width, channels)}
    for i, kernel in enumerate(kernels):
        shapes[f"feature_extractor.conv_layers.{i}.0"] = (channels, 1 if i == 0 else channels, kernel)
        shapes[f"feature_extractor.conv_layers.{i}.2.1"] = (channels,)
    for i in range(layers):
        layer = f"encoder.layers.{i}"
        shapes |= {f"{layer}.self_attn.{p}_proj": (width, width) for p in ("k", "v", "q", "out")}
        shapes |= {f"{layer}.{norm}": (width,) for norm in ("self_attn_layer_norm", "final_layer_norm")}
        shapes |= {f"{layer}.fc1": (inner, width), f"{layer}.fc2": (width, inner)}
    shapes["encoder.layer_norm"] = (width,)
    state = {}
    for name, shape in shapes.items():
        if name == "mask_emb":
            state[name] = torch.rand(shape)
            continue
        state[f"{name}.weight"] = 0.3 * torch.randn(shape) + (len(shape) == 1)
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0])
    state["encoder.pos_conv.0.weight_g"] = 0.5 + torch.rand(1, 1, 16)
    state["encoder.pos_conv.0.weight_v"] = torch.randn(width, width // 2, 16)
    state["encoder.pos_conv.0.bias"] = 0.1 * torch.randn(width)
    state["quantizer.vars"] = torch.rand(1, 640, 8)
    for head in ("quantizer.weight_proj", "project_q", "final_proj"):
        state |= {f"{head}.weight": torch.rand(4, 4), f"{head}.bias": torch.rand(4)}
    return state


def torchaudio_hidden(state, wave):
    """Last hidden state by torchaudio's own wav2vec 2.0, from fairseq's names by torchaudio's own table."""
    from torchaudio.models.wav2vec2.model import wav2vec2_model
    from torchaudio.models.wav2vec2.utils.import_fairseq import _convert_state_dict

    network = wav2vec2_model(
        extractor_mode="layer_norm",
        extractor_conv_layer_config=[(16, 10, 5), *[(16, 3, 2)] * 4, *[(16, 2, 2)] * 2],
        extractor_conv_bias=True,
        encoder_embed_dim=32,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=16,
        encoder_pos_conv_groups=2,
        encoder_num_layers=3,
        encoder_num_heads=2,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=48,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=True,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    new = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    converted = {}
    for name, tensor in _convert_state_dict(state).items():
        parent, leaf = name.rsplit(".", 1) if "." in name else ("", name)
        converted[f"{parent}.{new.get(leaf, leaf)}"] = tensor
    network.load_state_dict(converted)
    return network.eval()(wave)[0]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_of_ssl_anti_spoofing_loads_and_gives_the_same_readout(folder, prefix, caplog):
    donor = MainModel(2, ssl_path=folder(), ssl_normalize=False).eval()
    back_end = {name: t for name, t in donor.state_dict().items() if not name.startswith("ssl_model.")}
    speech_model = fairseq_state()
    published = back_end | {f"ssl_model.model.{name}": tensor for name, tensor in speech_model.items()}
    model = MainModel(50, ssl_path=folder(), ssl_init="random", ssl_normalize=False).eval()
    last_layer = model.out_layer.weight.clone()
    model.load_state_dict(model.convert_state_dict({prefix + name: tensor for name, tensor in published.items()}))
    assert torch.equal(model.out_layer.weight, last_layer) and "last layer is left out" in caplog.text
    wave = waves(2, 8000)
    hidden = torchaudio_hidden(speech_model, wave)
    torch.testing.assert_close(model.ssl_model(wave), hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.readout(model.ssl_model(wave)), donor.readout(hidden), atol=1e-5, rtol=0)


def test_a_foreign_state_loses_the_layers_that_are_cut_off(folder):
    whole = MainModel(2, ssl_path=folder(), ssl_normalize=False).eval()
    back_end = {name: t for name, t in whole.state_dict().items() if not name.startswith("ssl_model.")}
    published = back_end | {f"ssl_model.model.{name}": tensor for name, tensor in fairseq_state().items()}
    model = MainModel(2, ssl_path=folder(), ssl_normalize=False, ssl_layers="2").eval()
    for each in (whole, model):
        each.load_state_dict(each.convert_state_dict(published))
    wave = waves(2, 8000)
    expected = whole.ssl_model.model(wave, output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(model.ssl_model(wave), expected)


def test_the_back_end_has_the_published_names():
    """Names and shapes as SSL_Anti-spoofing's model.py declares them, where the speech model is 1024 wide."""
    with torch.device("meta"):
        state = MainModel(2, ssl_init="random").state_dict()
    names = {name: tuple(t.shape) for name, t in state.items() if not name.startswith("ssl_model.")}
    for name, shape in {
        "LL.weight": (128, 1024),
        "first_bn.weight": (1,),
        "first_bn1.running_var": (64,),
        "encoder.0.0.conv1.weight": (32, 1, 2, 3),
        "encoder.0.0.conv_downsample.weight": (32, 1, 1, 3),
        "encoder.1.0.bn1.weight": (32,),
        "encoder.2.0.conv_downsample.bias": (64,),
        "encoder.5.0.conv2.weight": (64, 64, 2, 3),
        "attention.0.weight": (128, 64, 1, 1),
        "attention.2.running_mean": (128,),
        "attention.3.weight": (64, 128, 1, 1),
        "pos_S": (1, 42, 64),
        "master1": (1, 1, 64),
        "master2": (1, 1, 64),
        "GAT_layer_S.att_proj.weight": (64, 64),
        "GAT_layer_T.att_weight": (64, 1),
        "GAT_layer_T.bn.running_mean": (64,),
        "HtrgGAT_layer_ST11.proj_type1.weight": (64, 64),
        "HtrgGAT_layer_ST12.att_projM.weight": (32, 32),
        "HtrgGAT_layer_ST21.att_weight12": (32, 1),
        "HtrgGAT_layer_ST22.proj_without_attM.bias": (32,),
        "pool_S.proj.weight": (1, 64),
        "pool_hT2.proj.bias": (1,),
        "out_layer.weight": (2, 160),
    }.items():
        assert names.pop(name) == shape
    assert len(names) + 24 == 245


def edited(path, tmp_path, file, **changes):
    """A copy of a saved model whose JSON `file` has changes."""
    copy = tmp_path / "edited"
    copy.mkdir()
    for source in Path(path).iterdir():
        (copy / source.name).write_bytes(source.read_bytes())
    values = json.loads((copy / file).read_text()) if (copy / file).exists() else {}
    (copy / file).write_text(json.dumps(values | changes))
    return str(copy)


def test_a_model_that_is_no_speech_model_is_refused(tmp_path):
    transformers.BertConfig(hidden_size=8).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="of type bert, and this front-end takes wav2vec2, hubert, wavlm"):
        MainModel(4, ssl_path=str(tmp_path))


def test_weights_that_miss_layers_are_refused(folder, tmp_path):
    path = edited(folder(), tmp_path, "config.json", num_hidden_layers=5)
    with pytest.raises(ConfigError, match=r"lack 32 of the model's tensors \(encoder.layers.3"):
        MainModel(4, ssl_path=path)


def test_weights_of_another_shape_are_refused(folder, tmp_path):
    path = edited(folder(), tmp_path, "config.json", intermediate_size=64)
    with pytest.raises(ConfigError, match="weights cannot be loaded"):
        MainModel(4, ssl_path=path)


def test_another_sampling_rate_is_refused(folder, tmp_path):
    path = edited(folder(), tmp_path, "preprocessor_config.json", sampling_rate=8000)
    with pytest.raises(ConfigError, match="says 8000 Hz, and this trainer feeds 16000 Hz"):
        MainModel(4, ssl_path=path)


def test_a_folder_that_is_none_or_no_model_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        MainModel(4, ssl_path=str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        MainModel(4, ssl_path=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        MainModel(4, ssl_path=str(tmp_path))


def test_without_network_the_user_learns_how_to_bring_the_model(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for options in ({}, {"ssl_path": "microsoft/wavlm-large", "ssl_init": "random"}):
        with pytest.raises(ConfigError, match="hf download .* --local-dir ssl_model; bring the folder here"):
            MainModel(4, **options)


def test_a_hub_that_does_not_answer_is_not_asked_again_and_again(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr("models._ssl_weights.getproxies", dict)
    began = time.perf_counter()
    with pytest.raises(ConfigError, match="the models' hub cannot be reached.* run: hf download microsoft/wavlm-large"):
        MainModel(4, ssl_path="microsoft/wavlm-large")
    assert time.perf_counter() - began < 10  # seconds; the retries of old took 28
