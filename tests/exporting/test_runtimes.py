"""sherpa-onnx and wespeakerruntime, as installed, load what --format wespeaker writes; each runs in its own process."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import export
from SpeakerNet import load_model
from tests.exporting.conftest import SYSTEMS, demo_files, saved

onnx = pytest.importorskip("onnx", reason="requirements-export.txt is not installed")
pytest.importorskip("sherpa_onnx", reason="requirements-export.txt is not installed")
pytest.importorskip("wespeakerruntime", reason="requirements-export.txt is not installed")

SHERPA = """
import json, sys
import numpy as np, sherpa_onnx, soundfile

model, files, enrolled = json.loads(sys.argv[1])
extractor = sherpa_onnx.SpeakerEmbeddingExtractor(sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=model))

def embed(file):
    samples, rate = soundfile.read(file, dtype="float32")
    stream = extractor.create_stream()
    stream.accept_waveform(rate, samples)
    stream.input_finished()
    assert extractor.is_ready(stream)
    return np.array(extractor.compute(stream), np.float32)

manager = sherpa_onnx.SpeakerEmbeddingManager(extractor.dim)
for name, own in enrolled.items():
    assert manager.add(name, np.mean([embed(file) for file in own], axis=0))
embeddings = [embed(file) for file in files]
names = [manager.search(e, threshold=0.0) for e in embeddings]
print(json.dumps({"dim": extractor.dim, "embeddings": np.stack(embeddings).tolist(), "names": names}))
"""
WESPEAKER = """
import json, sys
import soundfile, torch, torchaudio

try:
    import torchcodec
except ImportError:  # what torchaudio reads files with, and FFmpeg: not what is tested
    torchaudio.load = lambda file: (torch.from_numpy(soundfile.read(file, dtype="float32")[0])[None], 16_000)
import wespeakerruntime

model, files = json.loads(sys.argv[1])
speaker = wespeakerruntime.Speaker(onnx_path=model)
print(json.dumps([speaker.extract_embedding(file)[0].tolist() for file in files]))
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """A client's own process."""
    return subprocess.run(
        [sys.executable, "-c", script, json.dumps(arguments)], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="session")
def graph(learned, tmp_path_factory) -> str:
    """The learned network as sherpa-onnx is to load it."""
    out = tmp_path_factory.mktemp("runtimes") / "sherpa"
    assert export.main([learned, "--out", str(out), "--format", "wespeaker"]) == 0
    return str(out / "model.onnx")


@pytest.fixture(scope="session")
def waves(tmp_path_factory) -> dict[str, list[str]]:
    """System to wav files that training has not seen, and `enrol NAME` to some of those that it has."""
    folder, found = tmp_path_factory.mktemp("waves"), {}
    for system in SYSTEMS:
        for key, files in (
            (system, demo_files("test")[system][:5]),
            (f"enrol {system}", demo_files("dev")[system][:3]),
        ):
            found[key] = []
            for file in files:
                found[key].append(str(folder / f"{key} {file.stem}.wav"))
                soundfile.write(found[key][-1], *soundfile.read(file), subtype="FLOAT")
    return found


def cosines(embeddings: np.ndarray) -> np.ndarray:
    """(N, D) to (N, N)."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit @ unit.T


def test_sherpa_onnx_gives_our_embeddings_and_names_the_system(learned, graph, waves):
    files = [file for system in SYSTEMS for file in waves[system]]
    enrolled = {system: waves[f"enrol {system}"] for system in SYSTEMS}
    done = run(SHERPA, graph, files, enrolled)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    ours = load_model(learned, "cpu").embed(files)
    assert found["dim"] == 16
    assert np.abs(cosines(np.array(found["embeddings"])) - cosines(ours)).max() < 1e-3
    ours_enrolled = [load_model(learned, "cpu").embed(own).mean(axis=0) for own in enrolled.values()]
    nearest = cosines(np.concatenate([ours, ours_enrolled]))[: len(files), len(files) :].argmax(axis=1)
    assert found["names"] == [SYSTEMS[i] for i in nearest]
    right = [name == system for name, system in zip(found["names"], np.repeat(SYSTEMS, 5), strict=True)]
    assert np.mean(right) >= 0.8


def test_wespeakerruntime_gives_our_embeddings(waves, tmp_path):
    checkpoint = saved(tmp_path / "a.model", features="fbank80_hamming")
    assert export.main([checkpoint, "--out", str(tmp_path / "out"), "--format", "wespeaker"]) == 0
    files = [file for system in SYSTEMS for file in waves[system]]
    done = run(WESPEAKER, str(tmp_path / "out/model.onnx"), files)
    assert done.returncode == 0, done.stderr
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    ours = load_model(checkpoint, "cpu").embed(files)
    assert np.abs(cosines(theirs) - cosines(ours)).max() < 1e-3


@pytest.mark.parametrize("key", ["framework", "language", "output_dim", "sample_rate", "normalize_samples"])
def test_every_key_that_sherpa_onnx_demands_is_needed(graph, waves, tmp_path, key):
    changed = onnx.load(graph)
    kept = [item for item in changed.metadata_props if item.key != key]
    assert len(kept) == len(changed.metadata_props) - 1
    del changed.metadata_props[:]
    changed.metadata_props.extend(kept)
    onnx.save(changed, tmp_path / "without.onnx")
    done = run(SHERPA, str(tmp_path / "without.onnx"), waves[SYSTEMS[0]][:1], {})
    assert done.returncode != 0 and "embeddings" not in done.stdout


def test_a_model_on_mel_bands_is_refused(thin, tmp_path, capsys):
    assert export.main([thin, "--out", str(tmp_path / "out"), "--format", "wespeaker"]) == 2
    assert "--features fbank80" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_file_holds_nothing_of_this_machine(graph):
    assert str(Path.cwd()).encode() not in Path(graph).read_bytes()
