"""Any file libsndfile reads comes out as mono 16 kHz float32, and what is wrong with a file is said."""

import numpy as np
import pytest
import soundfile

from corpus.audio import AudioFiles, AudioMemory, load_audio
from settings.errors import DataError

FORMATS = [
    ("wav", "PCM_U8", 2e-2),
    ("wav", "PCM_16", 1e-4),
    ("wav", "PCM_24", 1e-6),
    ("wav", "PCM_32", 1e-6),
    ("wav", "FLOAT", 1e-7),
    ("wav", "DOUBLE", 1e-7),
    ("flac", "PCM_16", 1e-4),
    ("ogg", "VORBIS", 5e-2),
    ("ogg", "OPUS", 5e-2),
    ("mp3", "MPEG_LAYER_III", 5e-2),
]


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def written(path, samples, rate=16_000, **how):
    soundfile.write(path, samples, rate, **how)
    return path


def refusal(path):
    with pytest.raises(DataError) as caught:
        load_audio(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("extension", "subtype", "tolerance"), FORMATS)
def test_every_container_and_sample_format(tmp_path, extension, subtype, tolerance):
    samples = load_audio(written(tmp_path / f"a.{extension}", sine(440, 16_000), subtype=subtype))
    assert samples.dtype == np.float32 and samples.shape == (16_000,)
    assert np.abs(samples - sine(440, 16_000))[800:-800].max() < tolerance


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 47_999])
def test_any_rate_becomes_16_khz_without_aliases(tmp_path, rate):
    tone = load_audio(written(tmp_path / "tone.wav", sine(1_000, rate), rate, subtype="FLOAT"))
    assert abs(len(tone) - 16_000) <= 1
    assert np.abs(tone[1_000:15_000] - sine(1_000, 16_000)[1_000:15_000]).max() < 1e-3
    if rate > 20_000:  # a tone above the new Nyquist frequency must vanish, not fold back
        folded = load_audio(written(tmp_path / "high.wav", sine(9_500, rate), rate, subtype="FLOAT"))
        assert np.abs(folded[1_000:15_000]).max() < 1e-4


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([sine(300, 16_000), -0.5 * sine(300, 16_000)], axis=1)
    mono = load_audio(written(tmp_path / "s.wav", stereo, subtype="FLOAT"))
    assert np.allclose(mono, 0.25 * sine(300, 16_000), atol=1e-7)


def test_what_is_no_audio_is_refused_by_name(tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").touch()
    assert "cannot be read as audio" in refusal(tmp_path / "text.wav")
    assert "empty" in refusal(tmp_path / "empty.wav")
    assert "No such file" in refusal(tmp_path / "missing.wav")
    assert "not a file" in refusal(tmp_path)


def test_audio_that_cannot_be_used_is_refused_by_name(tmp_path):
    bad = sine(440, 16_000)
    bad[77] = np.nan
    assert "sample 77 is NaN" in refusal(written(tmp_path / "nan.wav", bad, subtype="FLOAT"))
    assert "0.050 s long" in refusal(written(tmp_path / "short.wav", sine(440, 16_000, 0.05)))
    assert "0.000 s long" in refusal(written(tmp_path / "none.wav", sine(440, 16_000, 0)))
    assert "500 Hz" in refusal(written(tmp_path / "slow.wav", sine(10, 500), 500))


@pytest.mark.parametrize(("extension", "subtype", "tolerance"), FORMATS)
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_truncated_file_is_refused(tmp_path, extension, subtype, tolerance, kept):  # noqa: ARG001
    noise = 0.3 * np.random.default_rng(0).standard_normal(32_000)
    whole = written(tmp_path / f"whole.{extension}", noise, subtype=subtype).read_bytes()
    cut = tmp_path / f"cut.{extension}"
    cut.write_bytes(whole[: int(kept * len(whole))])
    refusal(cut)


def test_the_placeholder_sizes_of_a_piped_wav_are_no_truncation(tmp_path):
    content = bytearray(written(tmp_path / "a.wav", sine(440, 16_000), subtype="PCM_16").read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    (tmp_path / "piped.wav").write_bytes(content)
    assert load_audio(tmp_path / "piped.wav").shape == (16_000,)


def test_a_header_that_claims_hours_takes_no_memory(tmp_path):
    content = bytearray(written(tmp_path / "a.wav", sine(440, 16_000), subtype="PCM_16").read_bytes())
    content[40:44] = (0x7FFE_0000).to_bytes(4, "little")
    (tmp_path / "claims.wav").write_bytes(content)
    assert "truncated" in refusal(tmp_path / "claims.wav")


def test_a_long_file_is_read_whole(tmp_path):
    assert load_audio(written(tmp_path / "long.flac", np.tile(sine(100, 16_000), 300))).shape == (4_800_000,)


def test_every_bad_file_of_a_list_is_found_and_the_rest_measured(tmp_path):
    good = written(tmp_path / "a.wav", sine(440, 16_000))
    lengths, wrong = AudioFiles([good, tmp_path / "b.wav", good, tmp_path / "c.wav"]).lengths(threads=2)
    assert lengths.tolist() == [16_000, 0, 16_000, 0]
    assert list(wrong) == [1, 3]


def test_audio_is_kept_in_memory_up_to_the_limit_and_equal_either_way(tmp_path):
    path = written(tmp_path / "a.wav", sine(440, 16_000))
    audio = AudioFiles([path, path, path], AudioMemory(150_000))
    first = [audio.read(i) for i in range(3)]
    assert list(audio.kept) == [0, 1]
    path.unlink()
    assert all(np.array_equal(audio.read(i), first[i]) for i in range(2))
    with pytest.raises(DataError):
        audio.read(2)
