"""The example of docs/onnx.md runs as it stands, in an empty folder, with none of this project's modules."""

import subprocess
import sys

import pytest
import soundfile

from SpeakerNet import load_model
from tests.documents import blocks
from tests.exporting.conftest import speech

pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
pytest.importorskip("onnxscript", reason="requirements-export.txt is not installed")


def test_the_example_names_a_system_and_compares_two_files(thin, folder, tmp_path):
    (block,) = [block for block in blocks("docs/onnx.md") if block.language == "python"]
    assert len(block.text.strip().splitlines()) <= 24
    (tmp_path / "example.py").write_text(block.text)
    (tmp_path / "tracer").symlink_to(folder)
    waves = [speech(1.0), speech(2.0, 99_999)]
    for name, wave in zip(("a.wav", "b.wav"), waves, strict=True):
        soundfile.write(tmp_path / name, wave, 16_000, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "-I", "example.py", "a.wav", "b.wav"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    model = load_model(thin, "cpu")
    first, second = model.embed([tmp_path / "a.wav", tmp_path / "b.wav"])
    cosine = first @ second / (first @ first) ** 0.5 / (second @ second) ** 0.5
    system = model.classes[model.logits(first[None]).argmax()]
    assert done.stdout == f"most like {system}; cosine {cosine:.4f}\n"
