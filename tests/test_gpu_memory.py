"""`python -m benchmarks.gpu_memory` counts what memory really holds: by hand, beside torch's own count, as on CUDA."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

from benchmarks import gpu_memory
from benchmarks.gpu_memory import ROUNDING, PeakMemory, as_on_cuda, largest, without_values
from models.Wav2Vec2AASIST import MainModel
from tests.engine.test_fake_cuda import CUDA, onto_fake_cuda
from tests.models.speech_models import save_tiny


@pytest.fixture(scope="module")
def speech_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("ssl") / "tiny")


def rounded(*floats: int) -> int:
    return sum(-(-4 * count // ROUNDING) * ROUNDING for count in floats)


def test_a_small_network_takes_what_it_takes_by_hand():
    with FakeTensorMode(), PeakMemory() as memory:
        first, second = nn.Linear(1000, 700, bias=False), nn.Linear(700, 3, bias=False)
        weights = rounded(700_000, 2_100)
        x = torch.empty(50, 1000)
        assert memory.now == weights + rounded(50_000)
        y = second(first(x).relu())
        kept = rounded(50_000, 35_000, 150)  # input; the ReLU's output, its input is gone; output
        assert memory.now == weights + kept
        y.sum().backward()
        del y, x
        assert memory.now == 2 * weights
        # the peak: outputs, and the gradients of both sides of the ReLU, before the first weights have theirs
        assert weights + kept + rounded(2_100, 35_000) <= memory.peak <= 2 * weights + kept + rounded(2 * 35_000)


def layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 512), nn.LayerNorm(512), nn.GELU(), nn.Linear(512, 512), nn.ReLU())


def one_step(net: nn.Module, x: torch.Tensor) -> None:
    net(x).square().mean().backward()


def test_the_peak_of_a_step_is_that_of_torchs_own_count():
    """torch's allocator reports every piece of memory that is taken and given back, temporary ones included."""
    net, x = layers(), torch.randn(2000, 256)
    one_step(net, x)
    net.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as found:
        one_step(net, x)
    now, peaks = 0, [0]
    for event in sorted(found.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            peaks.append(now)
    with FakeTensorMode(), PeakMemory() as memory:
        net = layers()
        x = torch.empty(2000, 256)
        memory.peak = before = memory.now
        one_step(net, x)
    assert memory.peak - before == pytest.approx(max(peaks), rel=0.01)


def kept_for_backward(model: nn.Module, device: str) -> int:
    """Bytes that a forward pass under autocast keeps beside the weights."""
    weights = {id(tensor.untyped_storage()) for tensor in (*model.parameters(), *model.buffers())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if id(storage) not in weights:
            kept[id(storage)] = storage
        return tensor

    with torch.autocast(device, torch.bfloat16), saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.empty(4, 16_000, device=device))
    return sum(storage.nbytes() for storage in kept.values())


def test_on_the_cpus_tensors_a_forward_pass_keeps_what_it_keeps_on_cudas(monkeypatch, speech_model):
    """With CUDA's autocast, dropout and flash attention themselves, on tensors of a GPU that is not there."""

    def flash(q, k, v, attn_mask=None, dropout_p=0.0, scale=None, is_causal=False, **_):
        assert attn_mask is None
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, dropout_p, is_causal, scale=scale)[0]

    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(fake_tensor, "init_gpu_context", lambda *_: None, raising=False)
    found = {}
    for device, context in (
        ("cuda", mock.patch.object(F, "scaled_dot_product_attention", flash)),
        ("cpu", as_on_cuda()),
    ):
        model, mode = MainModel(8, ssl_path=speech_model, ssl_init="random").train(), FakeTensorMode()
        with mode, context:
            onto_fake_cuda(model, mode) if device == CUDA.type else without_values(model)
            found[device] = kept_for_backward(model, device)
    seeds = 3 * (16 + 8)  # of the dropout of attention, in each of three layers
    assert found["cuda"] == found["cpu"] + seeds


@pytest.mark.slow
def test_checkpointing_takes_less_and_a_frozen_model_least(tmp_path):
    common = {"model": "Wav2Vec2AASIST", "ssl_init": "random", "ssl_path": gpu_memory.small_config(str(tmp_path))}
    taken = {name: gpu_memory.of_training(4, **common, **options) for name, options in gpu_memory.VARIANTS.items()}
    order = ("fine-tuned", "fine-tuned, --grad_checkpointing", "frozen (--freeze_ssl)")
    peaks = [taken[name].peak for name in order]
    assert peaks == sorted(peaks, reverse=True)
    assert (
        taken["frozen (--freeze_ssl)"].between < taken["fine-tuned, --freeze_cnn"].between < taken["fine-tuned"].between
    )


@pytest.mark.parametrize("limit", [5, 100, 1_000, 12_345])
def test_the_largest_batch_is_measured_and_not_drawn_from_a_line(limit):
    taken = lambda size: 50 + 7 * size + (size**2 // 400 if size > 200 else 0)  # noqa: E731
    asked = []

    def measure(size):
        asked.append(size)
        return taken(size)

    found = largest(limit, {size: taken(size) for size in (16, 32)}, measure)
    assert found == max((size for size in range(1, 2_000) if taken(size) <= limit), default=0)
    assert len(asked) < 12
