"""Devices: what a GPU is asked for, and what is said of one that cannot be used. The switches exist without one."""

import pytest
import torch

from engine import devices
from engine.devices import convolutions, find_device, set_determinism
from settings.errors import ConfigError

DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: ..."


@pytest.fixture
def gpu_behind_an_old_driver(tmp_path, monkeypatch):
    """A machine whose NVIDIA driver is too old for this torch."""
    (tmp_path / "version").write_text(DRIVER)
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", tmp_path / "version")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("gpu_behind_an_old_driver")
def test_a_gpu_that_torch_cannot_use_is_a_loud_warning_with_the_cure(caplog):
    assert find_device("auto").type != "cuda"
    assert "driver 535.183.01" in caplog.text and "CUDA 13.0" in caplog.text and "Update the driver" in caplog.text
    with pytest.raises(ConfigError, match=r"--device cuda: there is an NVIDIA GPU \(driver 535.183.01\)"):
        find_device("cuda")


@pytest.mark.usefixtures("gpu_behind_an_old_driver")
def test_a_torch_without_cuda_beside_a_gpu_is_named(caplog, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    find_device("auto")
    assert "built for the CPU alone" in caplog.text


@pytest.mark.usefixtures("gpu_behind_an_old_driver")
def test_a_gpu_hidden_on_purpose_is_not_mentioned(caplog, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    find_device("auto")
    assert not caplog.text


def test_determinism_switches_off_the_attention_kernels_whose_gradients_vary():
    kernels = ("flash", "mem_efficient", "cudnn")
    try:
        set_determinism(True)
        assert not any(getattr(torch.backends.cuda, f"{kernel}_sdp_enabled")() for kernel in kernels)
    finally:
        set_determinism(False)
    assert all(getattr(torch.backends.cuda, f"{kernel}_sdp_enabled")() for kernel in kernels)


def test_evaluation_multiplies_in_true_float32_whatever_the_environment_allows():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # as TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 does
    try:
        with convolutions(training=False):
            assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32
        with convolutions(training=True):
            assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
