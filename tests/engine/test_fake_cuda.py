"""Whole steps and evaluations on a GPU that is not there: tensors with a device and shapes, and no values.

To read a value, or to copy without page-locked memory or back to the host, would make the host wait, and is an error.
Autograd's engine wants a real device, so gradients are made up here; that the backward pass reads no value either is
tested on the CPU (`test_async_step.py`).
"""

import pytest
import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from DatasetLoader import Batch
from engine import embedding
from engine.async_step import Step
from settings.plugins import load, names, utterances_needed
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel
from tests.models.speech_models import save_tiny

CUDA = torch.device("cuda", 0)
PRECISIONS = ("float32", "bfloat16", "float16")
LOSSES = names("loss")
MODELS = names("models")


class NoWaiting(TorchDispatchMode):
    """Fails where the host would wait for the device, or compute with a tensor of its own: a graph would hold it."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert function is not torch.ops.aten.nonzero.default, "nonzero waits for the device"
        if function is torch.ops.aten._to_copy.default and kwargs.get("device") is not None:
            crosses = args[0].device.type != torch.device(kwargs["device"]).type
            assert not crosses or kwargs.get("non_blocking"), f"{args[0].device} to {kwargs['device']} waits"
        elif function.namespace == "aten":
            own = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and not leaf.is_cuda]
            assert not own, f"{function} computes on the host"
        if function in (torch.ops.aten._fused_adam_.tensor_lr, torch.ops.aten._fused_sgd_.tensor_lr):
            return None  # torch has no form of them without values
        return function(*args, **kwargs)


class FakeEvent:
    def __init__(self, enable_timing: bool):
        pass

    def record(self) -> None:
        pass


@pytest.fixture(scope="module")
def speech_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("ssl") / "tiny")


@pytest.fixture(autouse=True)
def without_a_driver(monkeypatch):
    """What asks the driver gets the answers of a GPU."""
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    drawn = lambda beta: torch.empty_like(beta.concentration1)  # noqa: E731 its kernel has no form without values
    monkeypatch.setattr(torch.distributions.Beta, "sample", drawn)
    monkeypatch.setattr(fake_tensor, "init_gpu_context", lambda *_: None, raising=False)

    def backward(loss):
        assert loss.device.type == "cuda" and loss.requires_grad and loss.dim() == 0
        for parameter in backward.parameters:
            parameter.grad = torch.empty_like(parameter)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    return backward


def onto_fake_cuda(net: torch.nn.Module, mode: FakeTensorMode) -> None:
    """Every parameter and buffer becomes one of the same shape and layout on a GPU that is not there."""
    for module in net.modules():
        for name, p in module._parameters.items():
            if p is not None:
                fake = mode.from_tensor(p).detach().to(CUDA)
                module._parameters[name] = torch.nn.Parameter(fake, requires_grad=p.requires_grad)
        for name, b in module._buffers.items():
            if b is not None:
                module._buffers[name] = mode.from_tensor(b).to(CUDA)


def trainer_on_fake_cuda(mode, monkeypatch, precision, **values) -> ModelTrainer:
    loss = load("loss", values.get("trainfunc", "aamsoftmax"))
    if utterances_needed(loss) > 1:
        values |= {"sampler": "balanced", "nPerSpeaker": utterances_needed(loss)}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: precision == "bfloat16")
    values |= {"train_list": "-", "nOut": 8, "batch_size": 4, "mixedprec": precision != "float32", "grad_clip": 1.0}
    config = from_values(values | {"skip_not_finite": 2})
    model = TracingModel(SpeakerNet(config, 4), config, torch.device("cpu"), list("abcd"), [])
    with mode:
        onto_fake_cuda(model.net, mode)
        model.device = CUDA
        return ModelTrainer(model, [None])


def step_without_waiting(mode, trainer, backward, seconds=1.0) -> Step:
    backward.parameters = trainer.parameters
    groups = trainer.net.per_system
    with mode:
        labels = torch.arange(4).repeat_interleave(groups)
        rate, stop = torch.empty(2, device=CUDA)
    with mode, NoWaiting():
        trainer.begin_epoch(0)
        batch = Batch(torch.empty(4 * groups, int(16_000 * seconds)), labels, None)
        steps = [trainer.step(batch, 1e-3) for _ in range(2)]
        if trainer.half is not torch.bfloat16:
            return steps[-1]
        on_device = (tensor.to(CUDA, non_blocking=True) for tensor in (batch.waveforms, batch.labels))
        assert trainer.update(*on_device, rate, stop).is_cuda  # as a CUDA graph records it
        return steps[-1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_of_every_loss_waits_for_nothing(monkeypatch, without_a_driver, loss, precision):
    mode = FakeTensorMode()
    trainer = trainer_on_fake_cuda(mode, monkeypatch, precision, trainfunc=loss)
    step = step_without_waiting(mode, trainer, without_a_driver)
    assert step.values.shape == (4,) and step.values.device.type == "cpu" and isinstance(step.done, FakeEvent)


SSL = [{"freeze_ssl": frozen, "ssl_mask": mask} for frozen, mask in ((False, 0.0), (True, 0.0), (False, 0.5))]
WITH_OPTIONS = [("ThinResNet34", {}), ("ThinResNet34", {"encoder_type": "ASP", "features": "fbank80"})]
WITH_OPTIONS += [("Wav2Vec2AASIST", options) for options in SSL] + [("SSLPooling", {"ssl_layers": "1-2"})]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("model", "options"), WITH_OPTIONS)
def test_a_step_of_every_model_waits_for_nothing(
    monkeypatch, without_a_driver, speech_model, model, options, precision
):
    mode = FakeTensorMode()
    if model != "ThinResNet34":
        options = options | {"ssl_path": speech_model, "ssl_init": "random"}
    trainer = trainer_on_fake_cuda(mode, monkeypatch, precision, model=model, **options)
    step_without_waiting(mode, trainer, without_a_driver)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimiser_decides_on_the_device_whether_to_step(monkeypatch, optimizer):
    trainer = trainer_on_fake_cuda(FakeTensorMode(), monkeypatch, "float32", optimizer=optimizer)
    assert trainer.optimizer.defaults["fused"]


def test_every_model_of_the_folder_is_among_them():
    assert {model for model, _ in WITH_OPTIONS} == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_evaluation_computes_on_the_device(monkeypatch, speech_model, model):
    mode = FakeTensorMode()
    options = dict(WITH_OPTIONS)[model]
    if model != "ThinResNet34":
        options = options | {"ssl_path": speech_model, "ssl_init": "random"}
    trainer = trainer_on_fake_cuda(mode, monkeypatch, "bfloat16", model=model, **options)
    seen = []

    class Found(Exception):
        pass

    def stop(embeddings):
        seen.append((embeddings.shape, embeddings.device.type))
        raise Found

    class Loader:
        lengths = [8_000] * 3

        def __iter__(self):
            yield torch.arange(3), torch.empty(3, 1, 8_000), None

    monkeypatch.setattr(embedding, "all_reduce_rows", stop)
    with mode, pytest.raises(Found):
        embedding.embed_batches(trainer.net.encoder, Loader(), 8, CUDA)
    assert seen == [((3, 8), "cuda")]
