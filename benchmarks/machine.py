"""What a benchmark ran on."""

import os
import platform
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

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
