"""16-bit samples on disk, read a piece at a time by any number of threads.

Read, not mapped: a file that is cut short while it is mapped ends the process by a signal, and a short read is an error
like any other.
"""

import os
import threading
import weakref
from pathlib import Path

import numpy as np

from settings.errors import DataError

SAMPLE = np.dtype("<i2")


class SampleFile:
    """The samples (S,) int16 with which a file begins."""

    def __init__(self, path: str | Path):
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.lock = threading.Lock()
        weakref.finalize(self, os.close, self.descriptor)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Samples `part.start` to `part.stop`, int16, not writable. Raises DataError where the file lacks them."""
        wanted = (part.stop - part.start) * SAMPLE.itemsize
        content = self.pread(wanted, part.start * SAMPLE.itemsize)
        if len(content) < wanted:
            raise DataError(f"{self.path}: cut short while it was in use; build it again")
        return np.frombuffer(content, SAMPLE)

    def pread(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` on."""
        if hasattr(os, "pread"):
            return os.pread(self.descriptor, size, offset)
        with self.lock:  # Windows
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, size)
