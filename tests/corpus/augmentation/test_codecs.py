"""Codecs: G.711 against the recommendation's intervals, the others by delay, bandwidth, and rate."""

import io
import sys

import numpy as np
import pytest
import soundfile

from corpus.augmentation import codecs
from corpus.augmentation.g711 import alaw_encode, mulaw_encode, through
from tests.corpus.augmentation.signals import delay, level, voice


def intervals(law):
    """Decision values and outputs for positive samples, as G.711's tables 1a and 2a are built: segments that double.

    On the 16-bit scale: A-law, 13 bits, in units of 8, μ-law, 14 bits, in units of 4. (lower edge, output) each.
    """
    edge, found = 0, []
    if law == "alaw":
        for segment in range(8):
            step = 2 * 2 ** max(segment - 1, 0)
            for _ in range(16):
                found.append((edge * 8, (edge + step / 2) * 8))
                edge += step
    else:
        found.append((0, 0))
        edge = 1
        for segment in range(8):
            step = 2 ** (segment + 1)
            for _ in range(15 if segment == 0 else 16):
                found.append((edge * 4, (edge + step / 2) * 4))
                edge += step
    return found


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_gives_the_recommendations_output_for_every_positive_16_bit_sample(law):
    edges, outputs = (np.array(column) for column in zip(*intervals(law), strict=True))
    samples = np.arange(32_768)
    expected = outputs[np.searchsorted(edges, samples, side="right") - 1]
    assert np.array_equal(through(law)[32_768:], expected)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_is_odd_but_for_the_edges_of_intervals_and_stable(law):
    table = through(law).astype(int)
    samples = np.arange(1, 32_768)
    differs = table[32_768 - samples] != -table[32_768 + samples]
    assert differs.mean() < 0.005
    outputs = np.unique(table)
    assert np.array_equal(table[outputs + 32_768], outputs)
    assert len(outputs) == (255 if law == "mulaw" else 256)  # μ-law has two zeros


@pytest.mark.parametrize(("law", "encode", "subtype"), [("mulaw", mulaw_encode, "ULAW"), ("alaw", alaw_encode, "ALAW")])
def test_g711_codes_are_those_that_libsndfile_decodes(law, encode, subtype):
    codes = np.arange(256, dtype=np.uint8)
    raw = {"format": "RAW", "subtype": subtype, "channels": 1, "samplerate": 8000}
    theirs = soundfile.read(io.BytesIO(codes.tobytes()), dtype="int16", **raw)[0]
    table = through(law)
    assert np.array_equal(np.sort(np.unique(theirs)), np.sort(np.unique(table)))
    assert np.array_equal(theirs[encode(theirs.astype(int))], theirs)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the standard library")
@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_g711_agrees_with_audioop_on_positive_samples(law):
    audioop = pytest.importorskip("audioop")
    code, decode = (audioop.lin2ulaw, audioop.ulaw2lin) if law == "mulaw" else (audioop.lin2alaw, audioop.alaw2lin)
    samples = np.arange(32_768).astype(np.int16)
    theirs = np.frombuffer(decode(code(samples.tobytes(), 2), 2), np.int16)
    assert np.array_equal(through(law)[32_768:], theirs)


CASES = {
    "mp3 at 64": (codecs.mp3, {"kbps": (64, 64)}, 7000),
    "mp3 at 16": (codecs.mp3, {"kbps": (16, 16)}, 7000),
    "mp3 at 8": (codecs.mp3, {"kbps": (8, 8)}, 7000),
    "vorbis": (codecs.vorbis, {"quality": (0.3, 0.3)}, 7000),
    "opus at 32": (codecs.opus, {"kbps": (32, 32)}, 7000),
    "opus at 8": (codecs.opus, {"kbps": (8, 8)}, 7000),
    "mu-law": (codecs.g711, {"law": ("mulaw",)}, 3900),
    "A-law": (codecs.g711, {"law": ("alaw",)}, 3900),
    "gsm": (codecs.gsm, {}, 3900),
    "adpcm": (codecs.adpcm, {}, 3900),
    "amr": (codecs.amr, {"kbps": ("12.2",)}, 3900),
}


@pytest.fixture(params=CASES)
def case(request):
    if request.param == "amr":
        pytest.importorskip("av", reason="PyAV is not installed")
    function, options, band = CASES[request.param]
    return (lambda samples: function(samples, np.random.default_rng(0), **options)), band


def test_a_codec_leaves_the_speech_in_place_and_like_itself(case):
    change, band = case
    samples = voice()
    after = change(samples)
    assert abs(delay(samples, after)) <= 8  # samples, half a millisecond: a low-rate codec bends phases
    for low in range(200, min(band, 2000), 600):
        assert level(after, low, low + 600) == pytest.approx(level(samples, low, low + 600), abs=4)


def test_a_telephone_codec_leaves_nothing_above_4_kHz(case):
    change, band = case
    noise = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    if band < 4000:
        assert level(change(noise), 4200, 8000) < level(noise, 4200, 8000) - 50


def test_a_higher_rate_is_nearer_to_the_original():
    samples = voice()
    for function in (codecs.mp3, codecs.opus):
        errors = [
            np.linalg.norm(function(samples, np.random.default_rng(0), kbps=(rate, rate)) - samples)
            for rate in (16, 32, 64)
        ]
        assert errors == sorted(errors, reverse=True)


def test_a_loud_crop_is_coded_not_clipped():
    samples = voice() * 8
    after = codecs.g711(samples, np.random.default_rng(0))
    assert np.abs(after).max() == pytest.approx(np.abs(samples).max(), rel=0.1)
