"""Codecs of files and of telephone calls: the samples coded and decoded in memory, without the codec's delay.

mp3, vorbis, opus, gsm and adpcm by libsndfile's encoders, G.711 by its formula, AMR by PyAV's build of opencore-amr.
A louder crop than full scale is scaled down to be coded and up again: it is coded, not clipped.
"""

import io
from collections.abc import Callable
from typing import Annotated

import numpy as np
import soundfile
import soxr

from corpus.audio import SAMPLE_RATE
from corpus.augmentation.g711 import through
from corpus.augmentation.parameters import Between, Names, OneOf, Range, fitted, peak, uniform
from settings.errors import ConfigError

TELEPHONE = 8_000  # Hz
LAME_DELAY = 576 + 529  # samples of encoder and decoder, where a frame is too small to hold LAME's own note of it
AMR_MODES = ("4.75", "5.15", "5.9", "6.7", "7.4", "7.95", "10.2", "12.2")  # kbit/s
AMR_DELAY = 40  # samples at 8 kHz: the encoder's look-ahead of 5 ms


def mp3(
    samples: np.ndarray, random: np.random.Generator, *, kbps: Annotated[Range, Between(8, 160, "kbit/s")] = (16, 64)
) -> np.ndarray:
    """MPEG-2 layer III at a constant rate, the nearest that there is to the one drawn."""
    level = (160 - uniform(random, kbps)) / 152  # libsndfile's scale, 1 for 8 kbit/s (which it refuses), 0 for 160
    return coded(samples, "MP3", "MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=min(level, 0.999))


def vorbis(
    samples: np.ndarray, random: np.random.Generator, *, quality: Annotated[Range, Between(0, 1)] = (0.0, 0.6)
) -> np.ndarray:
    """Ogg Vorbis at a quality from 0, the least, to 1."""
    return coded(samples, "OGG", "VORBIS", compression_level=1 - uniform(random, quality))


def opus(
    samples: np.ndarray, random: np.random.Generator, *, kbps: Annotated[Range, Between(6, 256, "kbit/s")] = (8, 32)
) -> np.ndarray:
    """Opus, as internet telephony and messengers use it."""
    return coded(samples, "OGG", "OPUS", compression_level=(256 - uniform(random, kbps)) / 250)


def g711(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    law: Annotated[Names, OneOf(("mulaw", "alaw"))] = ("mulaw", "alaw"),
) -> np.ndarray:
    """The fixed telephone network: 8 kHz and 8 bits a sample, by μ-law (America, Japan) or A-law (elsewhere)."""
    table = through(law[int(random.integers(len(law)))])
    return telephoned(samples, lambda x: table[to_int16(x).astype(np.int64) + 32768] / np.float32(32768))


def gsm(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001 a kind like the others
    """GSM 06.10 full rate, 13 kbit/s at 8 kHz: the first digital mobile telephones."""
    return telephoned(samples, lambda x: coded(x, "WAV", "GSM610", TELEPHONE))


def adpcm(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """G.721 (today G.726 at 32 kbit/s) at 8 kHz: cordless telephones and old long-distance lines."""
    return telephoned(samples, lambda x: coded(x, "AU", "G721_32", TELEPHONE))


def amr(
    samples: np.ndarray, random: np.random.Generator, *, kbps: Annotated[Names, OneOf(AMR_MODES)] = AMR_MODES
) -> np.ndarray:
    """AMR narrow-band at 8 kHz: mobile telephones. Needs PyAV (requirements-augment.txt)."""
    rate = int(float(kbps[int(random.integers(len(kbps)))]) * 1000)
    return telephoned(samples, lambda x: amr_coded(x, rate))


def coded(samples: np.ndarray, container: str, codec: str, rate: int = SAMPLE_RATE, **settings: object) -> np.ndarray:
    """(T,) float32, written to memory and read again; `settings` are soundfile's."""
    scale = max(peak(samples), 1.0)
    memory = io.BytesIO()
    soundfile.write(memory, samples / np.float32(scale), rate, format=container, subtype=codec, **settings)
    memory.seek(0)
    decoded = soundfile.read(memory, dtype="float32")[0]
    if container == "MP3" and len(decoded) > len(samples):
        decoded = decoded[LAME_DELAY:]
    return fitted(decoded * np.float32(scale), len(samples))


def telephoned(samples: np.ndarray, code: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(T,) float32: brought to 8 kHz and at most full scale, through `code`, and back."""
    scale = np.float32(max(peak(samples), 1.0))
    narrow = soxr.resample(samples / scale, SAMPLE_RATE, TELEPHONE, quality="HQ")
    return fitted(soxr.resample(code(narrow) * scale, TELEPHONE, SAMPLE_RATE, quality="HQ"), len(samples))


def to_int16(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype(np.int16)


def amr_coded(samples: np.ndarray, bit_rate: int) -> np.ndarray:
    """(T,) float32 at 8 kHz through opencore-amr's encoder and FFmpeg's decoder."""
    av = pyav()
    encoder, decoder = av.CodecContext.create("libopencore_amrnb", "w"), av.CodecContext.create("amrnb", "r")
    encoder.sample_rate = decoder.sample_rate = TELEPHONE
    encoder.layout = decoder.layout = "mono"
    encoder.format, encoder.bit_rate = "s16", bit_rate
    whole_frames = -(len(samples) + AMR_DELAY) % 160 + AMR_DELAY  # of 20 ms
    frame = av.AudioFrame.from_ndarray(np.pad(to_int16(samples), (0, whole_frames))[None], format="s16", layout="mono")
    frame.sample_rate = TELEPHONE
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    frames = [out for packet in packets for out in decoder.decode(packet)] + decoder.decode(None)
    decoded = np.concatenate([out.to_ndarray().ravel() for out in frames])[AMR_DELAY:]
    return fitted(decoded, len(samples))


def pyav():
    """The PyAV module. Raises ConfigError where it is not installed."""
    try:
        import av
    except ImportError:
        raise ConfigError("the kind amr needs PyAV: pip install -r requirements-augment.txt") from None
    return av
