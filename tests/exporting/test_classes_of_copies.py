"""A model trained with copies as classes leaves with the logits of its real systems alone."""

import numpy as np
import pytest

import export
from engine import checkpoints
from SpeakerNet import load_model
from tests.exporting.conftest import saved, speech

TERMS = ["--license", "mit", "--dataset", "mlaad", "--data_terms", "Tones of our own, CC0."]


@pytest.fixture
def with_copies(small, tmp_path) -> str:  # noqa: ARG001 for its effect
    """A checkpoint of two systems and their copies."""
    path = saved(tmp_path / "model.model", ("a", "b", "a@mel", "b@mel"))
    state = checkpoints.read(path)
    checkpoints.write(path, state | {"classes": ["a", "b"], "copies": ["a@mel", "b@mel"]})
    return path


def test_a_hugging_face_folder_remembers_the_copies(with_copies, tmp_path):
    assert export.main([with_copies, "--out", str(tmp_path / "hf"), "--format", "hf", *TERMS]) == 0
    ours, theirs = load_model(with_copies, "cpu"), load_model(tmp_path / "hf", "cpu")
    embeddings = ours.embed_waveforms([speech(1.0)])
    assert theirs.copies == ["a@mel", "b@mel"] and theirs.logits(embeddings).shape == (1, 2)
    assert np.array_equal(theirs.logits(embeddings), ours.logits(embeddings))


def test_an_onnx_graph_gives_the_logits_of_the_systems_alone(with_copies, tmp_path):
    pytest.importorskip("onnxscript", reason="requirements-export.txt is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
    assert export.main([with_copies, "--out", str(tmp_path / "onnx"), "--format", "onnx"]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx")
    model, samples = load_model(with_copies, "cpu"), speech(1.0)
    _, logits = session.run(None, {"waveform": samples[None]})
    expected = model.logits(model.embed_waveforms([samples]))
    assert expected.shape == (1, 2)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
