"""What a benchmark ran on."""

import os
import platform
import resource
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

from engine.devices import NVIDIA_DRIVER
from engine.parallel import usable_cores


def machine(device: torch.device | None = None) -> str:
    """The processor, or the GPU, the cores that this process may use, the load, the versions and the BLAS."""
    cpu = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if cpu.exists():
        lines = cpu.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    if device and device.type == "cuda":
        model = f"{torch.cuda.get_device_name(device)}, {model}"
    libraries = [lib for lib in threadpool_info() if lib["user_api"] == "blas" and "numpy" in lib["filepath"]]
    blas = " ".join(f"{lib['internal_api']} {lib['version']}" for lib in libraries)
    versions = f"torch {torch.__version__}, numpy {np.__version__}, {blas}"
    return f"{model}, {usable_cores()} cores, load {os.getloadavg()[0]:.1f}, {versions}"


def gpu_facts(device: torch.device) -> dict[str, str]:
    """What decides how a GPU computes: itself, driver, libraries, settings of the environment."""
    about = torch.cuda.get_device_properties(device)
    driver = NVIDIA_DRIVER.read_text(encoding="utf-8").splitlines()[0] if NVIDIA_DRIVER.exists() else "not stated"
    names = ("CUBLAS_WORKSPACE_CONFIG", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE")
    return {
        "GPU": f"{about.name}, {about.multi_processor_count} multiprocessors, {about.total_memory / 1e9:.1f} GB",
        "compute capability": f"{about.major}.{about.minor}",
        "driver": driver,
        "CUDA of torch": f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        "bfloat16 in hardware": str(torch.cuda.is_bf16_supported(including_emulation=False)),
        "environment": ", ".join(f"{n}={os.environ[n]}" for n in names if n in os.environ) or "nothing set",
    }


def peak_memory(device: torch.device) -> float:
    """GB at most: allocated on the GPU since its count was reset, or resident in this process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
