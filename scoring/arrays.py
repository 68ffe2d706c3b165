"""Files of plain arrays (.npz) read safely: nothing in them is executed, and what they claim to hold is bounded."""

import zipfile
from pathlib import Path

import numpy as np

from engine import sealed_zip
from settings.errors import ScoringError
from settings.text import shown

MOST_BYTES = 1 << 36  # of all arrays once unpacked: 64 GiB, far above any list, far below what a crafted file claims


def read_arrays(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz by name.

    Parameters
    ----------
    path : of the file
    what : it should be, for messages

    Raises
    ------
    ScoringError
        For a file that cannot be read, holds something else than arrays, or unpacks to more than `MOST_BYTES`.
    """
    try:
        with Path(path).open("rb") as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > MOST_BYTES:
                raise ScoringError(f"it claims {size >> 30} GiB of arrays")
            sealed_zip.check_if_sealed(path)
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            arrays = {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise ScoringError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # numpy lets through whatever zipfile, zlib and its own parser raise
        raise ScoringError(f"{path} cannot be read as {what} (.npz): {shown(str(error), 300)}") from error
    strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:  # numpy gives the bytes of whatever is no array
        raise ScoringError(f"{path}: {', '.join(strange)} in it is no array")
    return arrays
