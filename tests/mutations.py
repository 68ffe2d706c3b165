"""Small audio files of every format that libsndfile writes, and seeded ways to damage them."""

import io

import numpy as np
import soundfile

SECONDS = 0.3
FORMATS = [  # container, sample format, rate, channels
    ("WAV", "PCM_U8", 16_000, 1),
    ("WAV", "PCM_16", 16_000, 1),
    ("WAV", "PCM_24", 44_100, 2),
    ("WAV", "PCM_32", 22_050, 1),
    ("WAV", "FLOAT", 48_000, 2),
    ("WAV", "DOUBLE", 24_000, 1),
    ("WAV", "ULAW", 8_000, 1),
    ("WAV", "IMA_ADPCM", 16_000, 1),
    ("WAV", "MS_ADPCM", 22_050, 2),
    ("WAV", "GSM610", 8_000, 1),
    ("WAVEX", "PCM_24", 16_000, 6),
    ("RF64", "PCM_16", 16_000, 2),
    ("W64", "PCM_16", 16_000, 1),
    ("FLAC", "PCM_16", 16_000, 1),
    ("FLAC", "PCM_24", 48_000, 2),
    ("OGG", "VORBIS", 22_050, 1),
    ("OGG", "OPUS", 48_000, 2),
    ("MP3", "MPEG_LAYER_III", 16_000, 1),
    ("MP3", "MPEG_LAYER_III", 44_100, 2),
    ("AIFF", "PCM_16", 16_000, 1),
    ("AIFF", "FLOAT", 44_100, 2),
    ("AU", "PCM_16", 16_000, 1),
    ("AU", "G721_32", 8_000, 1),
    ("CAF", "PCM_16", 16_000, 1),
    ("CAF", "ALAC_16", 44_100, 2),
    ("NIST", "PCM_16", 16_000, 1),
    ("VOC", "PCM_16", 16_000, 1),
    ("SVX", "PCM_16", 16_000, 1),
    ("PAF", "PCM_24", 16_000, 1),
    ("IRCAM", "FLOAT", 16_000, 1),
    ("MAT5", "DOUBLE", 16_000, 1),
    ("HTK", "PCM_16", 16_000, 1),
]
ODD = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 1_999, 768_001, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
Random = np.random.Generator


def sound(container: str, subtype: str, rate: int, channels: int) -> bytes:
    """A file's content: noise that differs between channels."""
    samples = np.random.default_rng(channels).normal(0, 0.2, (int(rate * SECONDS), channels))
    file = io.BytesIO()
    soundfile.write(file, samples.squeeze(), rate, format=container, subtype=subtype)
    return file.getvalue()


def flip_bits(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001 all are called alike
    """Up to 32 bits, anywhere or in the header."""
    within = len(content) if random.random() < 0.5 else min(len(content), 100)
    for place in random.integers(within, size=random.integers(1, 33)):
        content[place] ^= 1 << int(random.integers(8))


def truncate(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001
    del content[int(random.integers(len(content))) :]


def set_field(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001
    """2, 4 or 8 bytes of the header become an odd number, or any."""
    size, order = int(random.choice([2, 4, 8])), str(random.choice(["little", "big"]))
    value = int(random.choice(ODD)) if random.random() < 0.7 else int(random.integers(1 << 62))
    place = 2 * int(random.integers(60))
    content[place : place + size] = (value % (1 << 8 * size)).to_bytes(size, order)


def claim(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001
    """Rate, channels or length in the header become numbers that claim hours or gigabytes."""
    known = {16_000, 44_100, 22_050, 48_000, 8_000, 24_000, 32_000}
    known |= {int(rate * SECONDS) for rate in known} | {len(content) - n for n in (8, 44, 46, 54, 58, 60)} | {1, 2}
    found = [
        (place, size, order)
        for size in (2, 4, 8)
        for order in ("little", "big")
        for place in range(0, min(len(content), 400) - size)
        if int.from_bytes(content[place : place + size], order) in known
    ]
    for index in random.integers(len(found), size=random.integers(1, 4)) if found else ():
        place, size, order = found[index]
        value = int(random.choice([*ODD, 1 << 24, 1 << 30, 1 << 33, 1 << 40])) % (1 << 8 * size)
        content[place : place + size] = value.to_bytes(size, order)


def overwrite(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001
    """A stretch becomes noise, zeros or ones: in floating-point files also NaN and numbers beyond all sound."""
    start, length = int(random.integers(len(content))), int(random.integers(1, 2_000))
    noise = random.bytes(length)
    fillings = (noise, b"\0" * length, b"\xff" * length, b"\x7f" * length)
    content[start : start + length] = fillings[int(random.integers(4))]


def rearrange(content: bytearray, random: Random, others: list[bytes]) -> None:  # noqa: ARG001
    """A stretch is cut out, doubled or moved to the front."""
    start, length = int(random.integers(len(content))), int(random.integers(1, 1_000))
    stretch = bytes(content[start : start + length])
    what = random.integers(3)
    if what == 0:
        del content[start : start + length]
    else:
        content[0 if what == 1 else start : 0 if what == 1 else start] = stretch


def splice(content: bytearray, random: Random, others: list[bytes]) -> None:
    """The beginning of one file and the end of another."""
    other = others[int(random.integers(len(others)))]
    content[int(random.integers(len(content))) :] = other[int(random.integers(len(other))) :]


MUTATIONS = (flip_bits, truncate, set_field, claim, overwrite, rearrange, splice)


def mutated(content: bytes, seed: list[int], others: list[bytes]) -> bytes:
    """One damage, or sometimes two or three in a row."""
    random = np.random.default_rng(seed)
    result = bytearray(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
        if len(result) > 4:
            MUTATIONS[int(random.integers(len(MUTATIONS)))](result, random, others)
    return bytes(result)
