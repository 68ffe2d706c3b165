"""Fine-tuning a speech model: what is frozen costs nothing, learning rates by layer, gradient checkpointing."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from models.Wav2Vec2AASIST import MainModel
from tests.models.speech_models import CLASSES, waves, without_dropout


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


@pytest.mark.parametrize("frozen", ["freeze_ssl", "freeze_cnn"])
@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_frozen_parts_keep_nothing_for_a_backward_pass(folder, frozen, family):
    model = MainModel(4, ssl_path=folder(family), **{frozen: True}).train()
    part = model.ssl_model.model if frozen == "freeze_ssl" else model.ssl_model.model.feature_extractor
    kept, seen = [], []
    part.register_forward_pre_hook(lambda *_: kept.clear())
    part.register_forward_hook(lambda module, given, result: seen.append((len(kept), result)))  # noqa: ARG005
    with saved_tensors_hooks(lambda tensor: kept.append(tensor.shape) or tensor, lambda tensor: tensor):
        model(waves(2, 8000))
    (count, result), *more = seen
    assert count == 0 and not more and kept  # what comes after it does keep something
    states = result if isinstance(result, torch.Tensor) else result.last_hidden_state
    assert states.grad_fn is None and not states.requires_grad


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


@pytest.mark.parametrize("epoch, frozen", [(0, True), (1, True), (2, False), (7, False)])
def test_a_resumed_run_finds_the_speech_model_as_its_epoch_has_it(folder, epoch, frozen):
    model = MainModel(4, ssl_path=folder(), ssl_freeze_epochs=2).train()
    model.on_epoch(epoch)
    assert model.ssl_model.model.training is not frozen


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
