"""Which device computes, in which precision, from which seed."""

import logging
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from settings.errors import ConfigError

log = logging.getLogger(__name__)
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")  # there where the driver is loaded


def find_device(name: str) -> torch.device:
    """`auto` is the first of cuda, mps, cpu that is there. Raises ConfigError where a named one is not."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name in ("auto", "cuda") and not there["cuda"] and (why := unusable_gpu()):
        if name == "cuda":
            raise ConfigError(f"--device cuda: {why}")
        log.warning("warning: %s", why)
    if name == "auto":
        name = next(kind for kind, present in there.items() if present)
    if not there[name]:
        raise ConfigError(
            f"--device {name}: this machine's torch finds none; there is {', '.join(k for k in there if there[k])}"
        )
    return torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)


def unusable_gpu() -> str:
    """Why an NVIDIA GPU that is there cannot be used, with the cure; '' where there is none, or none that is hidden."""
    if not NVIDIA_DRIVER.exists() or os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return ""
    text = NVIDIA_DRIVER.read_text(encoding="utf-8", errors="replace")
    version = re.search(r"Module\D*?(\d+\.[\d.]+)", text)
    found = f"there is an NVIDIA GPU (driver {version[1] if version else 'of unknown version'})"
    if torch.version.cuda is None:
        return f"{found}, but this torch is built for the CPU alone: install a CUDA build of torch {torch.__version__}"
    return (
        f"{found}, but torch cannot use it: this build needs a driver for CUDA {torch.version.cuda}. "
        "Update the driver, or install the build of the same torch for an older CUDA (README, installation)"
    )


def half_precision(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the device computes in it, else float16 on a GPU; None where float32 is all that pays."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.bfloat16
    log.warning("--mixedprec: this %s has no fast half precision, so float32 is used", device.type)
    return None


def autocast(device: torch.device, half: torch.dtype | None):
    """The context of mixed precision; none where `half` is None."""
    return torch.autocast(device.type, dtype=half) if half else nullcontext()


def set_determinism(wanted: bool) -> None:
    """Whether a GPU is to give the same bits every time, as the CPU does. To be called before anything runs on it.

    torch warns of an operation that it has in no such form.
    """
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it as it starts
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    for kernel in ("flash", "mem_efficient", "cudnn"):  # of attention: their backward passes add in any order
        getattr(torch.backends.cuda, f"enable_{kernel}_sdp")(not wanted)


@contextmanager
def convolutions(training: bool) -> Iterator[None]:
    """How a GPU multiplies: in training as it measures to be fastest for its one shape of batch, else in true float32.

    By default cuDNN rounds what it multiplies to TF32, 10 bits, and embeddings would differ in their third digit; so
    may cuBLAS, where the environment (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE, as in some containers) or a caller says so.
    """
    same, products = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    if not training:
        torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(True, training and not same, deterministic=same, allow_tf32=training):
            yield
    finally:
        torch.set_float32_matmul_precision(products)


def seed_all(*numbers: int) -> None:
    """Seed every global generator (dropout, foreign plug-ins) from these numbers: no state needs keeping."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 plug-ins of the wider family draw from it
    torch.manual_seed(seed)
