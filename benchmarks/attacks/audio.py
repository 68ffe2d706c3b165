"""Damaged audio: speech of data/demo in every format that libsndfile writes, and in none at all."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.attacks.material import AUDIO, Material
from benchmarks.attacks.worker import EQUAL, OTHER, Attack, Fault
from corpus.audio import load_audio
from corpus.decoding import MAX_SECONDS, MIN_SECONDS, SAMPLE_RATE
from tests.mutations import FORMATS, mutated

SECONDS = 0.5
ODD_FIELDS = (0, 1, 1 << 31, (1 << 31) - 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1)


def speech() -> tuple[np.ndarray, int]:
    """Half a second (T,) of a file of the demo, and its rate."""
    samples, rate = soundfile.read(sorted(AUDIO.rglob("*.ogg"))[0], dtype="float32")
    return samples[: int(SECONDS * rate)], rate


def originals() -> dict[str, bytes]:
    """A good file of each format; in MP4's container what its box says, and no audio, since nothing here writes AAC."""
    samples, rate = speech()
    found = {}
    for container, subtype, wanted, channels in FORMATS:
        places = np.arange(int(SECONDS * wanted)) * rate / wanted
        mono = np.interp(places, np.arange(len(samples)), samples)
        file = io.BytesIO()
        soundfile.write(file, np.tile(mono[:, None], channels), wanted, format=container, subtype=subtype)
        found[f"{container} {subtype}".lower()] = file.getvalue()
    boxes = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + b"\0\0\x01\0moov" + bytes(248)
    return found | {"mp4": boxes + b"\0\0\x10\0mdat" + bytes(range(256)) * 16}


def damage(content: bytes, dice: np.random.Generator, files: list[bytes]) -> bytes:
    """Any damage of bytes; or what formats allow and no sane writer does."""
    kind = int(dice.integers(10))
    other = files[int(dice.integers(len(files)))]
    if kind == 0:  # chained: two streams, or two formats, in one file
        return content + other * int(dice.integers(1, 4))
    if kind == 1:  # a tag of ID3, whose length may be a lie, before whatever it is
        size = int(dice.choice([0, 100, 10_000, 1 << 27, (1 << 28) - 1]))
        frames = b"TXXX" + min(size, 1 << 24).to_bytes(4, "big") + b"\0\0" + bytes(int(dice.integers(2_000)))
        sizes = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
        return b"ID3\x04\0\0" + sizes + frames * int(dice.integers(1, 50)) + content
    if kind == 2:  # a field of 4 or 8 bytes in the header becomes a huge or odd number
        wide, value = int(dice.choice([4, 8])), int(dice.choice(np.array(ODD_FIELDS, np.uint64)))
        place, order = int(dice.integers(max(1, min(len(content), 96)))), str(dice.choice(["little", "big"]))
        return content[:place] + (value % (1 << 8 * wide)).to_bytes(wide, order) + content[place + wide :]
    if kind == 3:  # cut almost to nothing
        return content[: int(dice.integers(64))]
    return mutated(content, [int(dice.integers(1 << 31))], files)


def attempt(name: str, files: dict[str, bytes], dice: np.random.Generator, folder: Path) -> str:
    """A damaged file is refused, or gives finite samples of a length that its format could hold."""
    path = folder / f"a{dice.choice(['.wav', '.flac', '.mp3', '.ogg', '.m4a', ''])}"
    path.write_bytes(damage(files[name], dice, list(files.values())))
    samples = load_audio(path)
    if samples.dtype != np.float32 or samples.ndim != 1 or not np.isfinite(samples).all():
        raise Fault("samples that are none")
    if not MIN_SECONDS * SAMPLE_RATE - 1 <= len(samples) <= MAX_SECONDS * SAMPLE_RATE + 1:
        raise Fault(f"{len(samples)} samples")
    plain = folder / "original"
    plain.write_bytes(files[name])
    return EQUAL if name != "mp4" and np.array_equal(samples, load_audio(plain)) else OTHER


def attacks(material: Material) -> list[Attack]:  # noqa: ARG001 all parts are called alike
    files = originals()
    return [Attack(name, partial(attempt, name, files)) for name in files]
