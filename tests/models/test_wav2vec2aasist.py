"""Wav2Vec2AASIST over tiny speech models, saved to disk by transformers and loaded as a user's would be."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from models import _ssl
from models.Wav2Vec2AASIST import MainModel
from settings import plugins
from settings.errors import DataError
from settings.resolve import ConfigError

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LIKE_XLS_R = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
LIKE_BASE = {"feat_extract_norm": "group"}
CLASSES = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}
MAKES = [(family, make) for family in CLASSES for make in ("like_xls_r", "like_base")]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """folder(family, make): where a tiny model of that kind is saved."""

    @cache
    def save(family="wav2vec2", make="like_xls_r"):
        kind, network = CLASSES[family]
        path = tmp_path_factory.mktemp(f"{family}_{make}")
        torch.manual_seed(1)
        network(kind(**SMALL, **(LIKE_XLS_R if make == "like_xls_r" else LIKE_BASE))).save_pretrained(path)
        return str(path)

    return save


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def waves(*shape):
    return 0.1 * torch.randn(*shape) + 0.02


def without_dropout(model):
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    for layer in model.ssl_model.model.encoder.layers:
        layer.attention.dropout = 0.0
    return model


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


def test_pretrained_weights_are_the_saved_ones(folder):
    saved = transformers.AutoModel.from_pretrained(folder()).eval()
    wave = waves(2, 8000)
    model = MainModel(4, ssl_path=folder()).eval()
    expected = (wave - wave.mean(1, keepdim=True)) / (wave.var(1, unbiased=False, keepdim=True) + 1e-7).sqrt()
    torch.testing.assert_close(model.ssl_model(wave), saved(expected).last_hidden_state)


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
    for layers, expected in {"last": states[3], "3": states[3], "2": states[2], "weighted": sum(states) / 4}.items():
        model = MainModel(4, ssl_path=folder(family, make), ssl_layers=layers, ssl_normalize=False).eval()
        torch.testing.assert_close(model.ssl_model(wave), expected)
        assert len(model.ssl_model.model.encoder.layers) == (2 if layers == "2" else 3)


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


def flops_of_step(model, wave):
    with FlopCounterMode(display=False) as counter:
        model(wave).sum().backward()
    return counter.get_total_flops()


def test_frozen_parts_take_no_gradient_time(folder):
    """Frozen, a part runs forward only. Its backward costs twice its forward, save for the waveform's gradient."""
    wave = waves(2, 8000)
    whole = MainModel(4, ssl_path=folder()).train()
    with FlopCounterMode(display=False) as counter:
        whole.ssl_model.model.feature_extractor(wave)
    cnn = counter.get_total_flops()
    first = 2 * 2 * 16 * 10 * ((8000 - 10) // 5 + 1)  # the first convolution, which has no gradient to hand down
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        whole.ssl_model(wave)
    speech_model = counter.get_total_flops()
    all_of_it = flops_of_step(whole, wave)
    without_cnn = flops_of_step(MainModel(4, ssl_path=folder(), freeze_cnn=True).train(), wave)
    without_ssl = flops_of_step(MainModel(4, ssl_path=folder(), freeze_ssl=True).train(), wave)
    assert all_of_it - without_cnn == 2 * cnn - first
    back_end = all_of_it - (3 * speech_model - first)
    assert without_ssl - speech_model <= back_end


def test_requires_grad_alone_would_not_have_been_enough(folder):
    """What transformers does by itself, and why `settle_gradients` sets more than requires_grad."""
    wave = waves(2, 8000)
    model = MainModel(4, ssl_path=folder(), freeze_cnn=True).train()
    frozen = flops_of_step(model, wave)
    model.ssl_model.model.feature_extractor._requires_grad = True
    assert flops_of_step(model, wave) > frozen


def test_frozen_parameters_take_no_optimiser_memory(folder):
    def trained(**options):
        model = MainModel(4, ssl_path=folder(), **options)
        groups = model.parameter_groups()
        listed = [id(p) for group in groups for p in group["params"]]
        assert len(listed) == len(set(listed)) and all(p.requires_grad for group in groups for p in group["params"])
        assert set(listed) == {id(p) for p in model.parameters() if p.requires_grad}
        return {name for name, p in model.named_parameters() if id(p) in listed}

    everything = trained()
    cnn = {name for name in everything if name.startswith("ssl_model.model.feature_extractor.")}
    speech_model = {name for name in everything if name.startswith("ssl_model.")}
    assert trained(freeze_cnn=True) == everything - cnn
    assert trained(freeze_ssl=True) == everything - speech_model
    assert trained(freeze_ssl=True, ssl_layers="weighted") == everything - speech_model | {"ssl_model.layer_weights"}
    assert trained(ssl_freeze_epochs=3) == everything


def test_a_frozen_speech_model_runs_as_in_evaluation(folder):
    model = MainModel(4, ssl_path=folder(), freeze_ssl=True, ssl_mask=0.5).train()
    wave = waves(2, 8000)
    hidden = model.ssl_model(wave)
    assert not hidden.requires_grad
    assert torch.equal(hidden, model.eval().ssl_model(wave))


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


def test_the_speech_model_is_set_free_after_its_epochs(folder):
    model = MainModel(4, ssl_path=folder(), ssl_freeze_epochs=2).train()
    seen = []
    for epoch in range(4):
        model.on_epoch(epoch)
        model.zero_grad()
        model(waves(2, 8000)).sum().backward()
        weight = model.ssl_model.model.encoder.layers[0].feed_forward.output_dense.weight
        seen.append((weight.grad is not None, model.ssl_model.model.training))
    assert seen == [(False, False), (False, False), (True, True), (True, True)]
    assert model.LL.weight.grad is not None
    model.eval()
    model.on_epoch(3)
    assert not model.ssl_model.model.training


def test_learning_rates_fall_from_layer_to_layer(folder):
    model = MainModel(4, ssl_path=folder(), ssl_lr_scale=0.5, ssl_layer_decay=0.5, ssl_layers="weighted")
    scale = {id(p): group["lr_scale"] for group in model.parameter_groups() for p in group["params"]}
    by_name = {name: scale[id(p)] for name, p in model.named_parameters() if id(p) in scale}
    prefix = "ssl_model.model."
    assert by_name["LL.weight"] == by_name["ssl_model.layer_weights"] == 1
    assert by_name[f"{prefix}encoder.layer_norm.weight"] == 0.5
    for layer, expected in enumerate([0.125, 0.25, 0.5]):
        assert by_name[f"{prefix}encoder.layers.{layer}.attention.q_proj.weight"] == expected
    assert by_name[f"{prefix}feature_extractor.conv_layers.6.conv.weight"] == 0.0625
    assert by_name[f"{prefix}feature_projection.projection.weight"] == 0.0625
    assert len(MainModel(4, ssl_path=folder()).parameter_groups()) == 1


@pytest.mark.parametrize("family", CLASSES)
def test_gradient_checkpointing_changes_no_gradient(folder, family):
    wave, path, gradients = waves(2, 8000), folder(family), []
    for on in (False, True):
        torch.manual_seed(3)
        model = without_dropout(MainModel(4, ssl_path=path, grad_checkpointing=on)).train()
        model(wave).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


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


def test_options_out_of_range_are_all_named():
    with pytest.raises(ConfigError) as caught:
        MainModel(4, ssl_mask=1.5, ssl_freeze_epochs=-1, ssl_lr_scale=0.0, ssl_layer_decay=2.0)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "--ssl_mask",
        "--ssl_freeze_epochs",
        "--ssl_lr_scale",
        "--ssl_layer_decay",
    ]


@pytest.mark.parametrize("layers", ["0", "4", "-1", "first", "2.0"])
def test_layers_that_the_model_has_not_are_refused(folder, layers):
    with pytest.raises(ConfigError, match=r"--ssl_layers .*: last, weighted, or a layer of .* from 1 to 3"):
        MainModel(4, ssl_path=folder(), ssl_layers=layers)


def test_every_option_has_a_type_and_a_help_text():
    options = plugins.options(MainModel, "model Wav2Vec2AASIST")
    assert {"ssl_path", "ssl_init", "ssl_layers", "freeze_cnn", "ssl_layer_decay"} <= {o.name for o in options}
    assert all(o.help for o in options)
