"""Hidden states of a frozen speech model, kept on disk: what it has heard once, it need not hear again."""

import hashlib
import io
import logging
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.atomic_files import atomic_write
from models._ssl import SSLFrontEnd
from settings.errors import ConfigError, DataError

log = logging.getLogger(__name__)
CHECKSUM = 4  # bytes of CRC-32 at the end of a file


class HiddenStateCache:
    """Stands before a frozen front-end and remembers its hidden states in float16, a file for each waveform.

    A file's name is a digest of the samples themselves, of the front-end's weights and settings and of the precision it
    computes in, so that nothing is ever mistaken for something else. It pays where the same waveforms come again: fixed
    crops, whole utterances.
    Raises ConfigError where the folder cannot be made.
    """

    def __init__(self, folder: str, front_end: SSLFrontEnd):
        self.folder, self.front_end = Path(folder), front_end
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--ssl_cache {folder}: {error.strerror}") from None
        self.identity = b""
        front_end.register_load_state_dict_post_hook(lambda *_: self.forget())

    def forget(self) -> None:
        """Other weights have come: take their fingerprint when it is needed."""
        self.identity = b""

    def fingerprint(self) -> bytes:
        """Digest of all that the hidden states depend on besides the waveform."""
        digest = hashlib.blake2b(f"normalize {self.front_end.normalize}".encode(), digest_size=16)
        for name, tensor in self.front_end.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().numpy())
        return digest.digest()

    def __call__(self, wave: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (B, T), of which the first `lengths` (B,) samples count, to hidden states (B, F, width) float32.

        Rows of fewer frames end in zeros.
        """
        self.identity = self.identity or self.fingerprint()
        key = hashlib.blake2b(self.identity + precision(wave.device).encode(), digest_size=16).digest()
        samples = [wave.shape[1]] * len(wave) if lengths is None else lengths.tolist()
        files = [self.file(row[:n], key) for row, n in zip(wave.cpu(), samples, strict=True)]
        kept = [self.read(file) for file in files]
        new = [i for i, values in enumerate(kept) if values is None]
        if new:
            states = self.front_end(wave[new], None if lengths is None else lengths[new])
            for i, state in zip(new, states, strict=True):
                kept[i] = self.write(files[i], state[: self.front_end.frames(samples[i])])
        rows = [torch.from_numpy(values).to(wave.device, torch.float32) for values in kept]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def file(self, samples: Tensor, key: bytes) -> Path:
        """Where the hidden states of this waveform (T,) are, or will be."""
        name = hashlib.blake2b(samples.numpy().tobytes(), digest_size=16, key=key).hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def read(self, file: Path) -> np.ndarray | None:
        """(F, width) float16; None where they are not kept, or the file is damaged: they are then made anew."""
        if not file.exists():
            return None
        content = file.read_bytes()
        if zlib.crc32(content[:-CHECKSUM]).to_bytes(CHECKSUM, "little") != content[-CHECKSUM:]:
            log.warning("warning: %s is damaged, or of an older version: its hidden states are made anew", file)
            return None
        return np.load(io.BytesIO(content[:-CHECKSUM]))

    def write(self, file: Path, state: Tensor) -> np.ndarray:
        """Hidden states (F, width) to a file that is either whole or not there; returns them in float16."""
        values = state.to("cpu", torch.float16).numpy()
        if not np.isfinite(values).all():
            raise DataError("hidden states beyond the range of float16 cannot be cached: choose another --ssl_layers")
        file.parent.mkdir(exist_ok=True)
        content = io.BytesIO()
        np.save(content, values)
        checksum = zlib.crc32(content.getvalue()).to_bytes(CHECKSUM, "little")
        with atomic_write(file) as temporary:
            temporary.write_bytes(content.getvalue() + checksum)
        return values


def precision(device: torch.device) -> str:
    """What the hidden states are computed with: the kind of device and, under autocast, its half precision."""
    half = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32
    return f"{device.type} {half}"
