"""Wav2Vec2AASIST as a graph: attention, graphs and their pooling, whose choice of nodes depends on the data."""

import numpy as np
import pytest
import torch
import transformers

import export
from SpeakerNet import load_model
from tests.exporting.conftest import saved, speech

onnxruntime = pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
pytest.importorskip("onnxscript", reason="requirements-export.txt is not installed")

TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 6_144,  # most weights are matrix products then, as in a large one
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """A network over the first of two layers of a tiny speech model."""
    folder = tmp_path_factory.mktemp("aasist")
    torch.manual_seed(1)
    transformers.Wav2Vec2Config(**TINY).save_pretrained(folder / "ssl")
    options = {"model": "Wav2Vec2AASIST", "ssl_path": str(folder / "ssl"), "ssl_init": "random", "ssl_layers": "1"}
    return saved(folder / "a.model", **options)


def test_the_graph_gives_the_models_embeddings_for_any_length(checkpoint, tmp_path):
    options = ["--quantize", "int8"]  # which needs no list to calibrate
    assert export.main([checkpoint, "--out", str(tmp_path / "out"), *options]) == 0
    model = load_model(checkpoint, "cpu")
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    for seconds, starts in ((0.1, (0, 9_999)), (0.5, (0,)), (2.0, (0, 7, 54_321)), (9.99, (0,)), (60.0, (0,))):
        batch = [speech(seconds, start) for start in starts]
        found = session.run(["embedding"], {"waveform": np.stack(batch)})[0]
        np.testing.assert_allclose(found, model.embed_waveforms(batch), rtol=0, atol=1e-5)
    small = onnxruntime.InferenceSession(tmp_path / "out/model.int8.onnx")
    found = small.run(["embedding"], {"waveform": speech(2.0)[None]})[0]
    expected = model.embed_waveforms([speech(2.0)])
    assert torch.cosine_similarity(torch.tensor(found), torch.tensor(expected)).min() > 0.9


@pytest.mark.parametrize("model, layers", [("Wav2Vec2AASIST", "1"), ("Wav2Vec2AASIST", "2"), ("SSLPooling", "1-1")])
def test_a_hugging_face_folder_brings_the_speech_models_configuration(tmp_path, model, layers):
    transformers.Wav2Vec2Config(**TINY).save_pretrained(tmp_path / "ssl")
    options = {"model": model, "ssl_path": str(tmp_path / "ssl"), "ssl_init": "random", "ssl_layers": layers}
    here = load_model(saved(tmp_path / "a.model", **options), "cpu")
    assert export.main([str(tmp_path / "a.model"), "--out", str(tmp_path / "hf"), "--format", "hf"]) == 0
    (tmp_path / "ssl").rename(tmp_path / "gone")
    (tmp_path / "hf").rename(tmp_path / "moved")
    there = load_model(tmp_path / "moved", "cpu")
    assert np.array_equal(here.embed_waveforms([speech(2.0)]), there.embed_waveforms([speech(2.0)]))
    assert there.digest == here.digest and there.config.model_options["ssl_path"] == str(tmp_path / "moved/ssl")
