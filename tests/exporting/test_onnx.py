"""--format onnx under onnxruntime: equal to the model for any length, with its logits, and the same error rate."""

import json

import numpy as np
import pytest
import torch

import export
from DatasetLoader import open_list
from exporting.real_features import with_real_features
from exporting.session import Session, error_rate
from SpeakerNet import load_model
from tests.conftest import ROOT
from tests.exporting.conftest import DEMO, saved, speech

onnx = pytest.importorskip("onnx", reason="requirements-export.txt is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="requirements-export.txt is not installed")
pytest.importorskip("onnxscript", reason="requirements-export.txt is not installed")

SECONDS = (0.1, 0.37, 1.0, 2.0, 9.99, 60.0)


@pytest.fixture(scope="session")
def session(folder):
    return onnxruntime.InferenceSession(folder / "model.onnx")


@pytest.mark.parametrize("seconds", SECONDS)
def test_embeddings_equal_the_models_for_any_length(thin, session, seconds):
    model = load_model(thin, "cpu")
    batch = [speech(seconds, start) for start in ((0, 12_345, 54_321) if seconds < 10 else (0,))]
    found, logits = session.run(None, {"waveform": np.stack(batch)})
    expected = model.embed_waveforms(batch)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits, model.logits(expected), rtol=0, atol=1e-4)  # thirty times a cosine


def test_the_graph_says_what_it_is_and_is_of_an_old_form(folder):
    graph = onnx.load(folder / "model.onnx")
    metadata = {item.key: item.value for item in graph.metadata_props}
    assert json.loads(metadata["classes"]) == ["a", "b, c", "d"] and metadata["sample_rate"] == "16000"
    assert graph.opset_import[0].version == 18 and graph.ir_version == 8
    dims = [dim.dim_param or dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["B", "T"]
    assert str(ROOT).encode() not in (folder / "model.onnx").read_bytes()


def test_the_error_rate_on_the_demo_is_the_models_to_three_digits(thin, folder, tmp_path):
    model = load_model(thin, "cpu")
    header, *rows = (ROOT / "data_lists/demo/test.csv").read_text().splitlines()
    (tmp_path / "third.csv").write_text("\n".join([header, *rows[::3], ""]))
    data = open_list(model.config, str(tmp_path / "third.csv"), str(DEMO))
    ours = error_rate(model.embed_list(data.audio, data.lengths), data)
    theirs = error_rate(Session(folder / "model.onnx", model).embed_list(data), data)
    assert f"{theirs:.3g}" == f"{ours:.3g}"


def test_eight_bits_are_a_third_of_the_size_and_close(thin, folder):
    small, whole = folder / "model.int8.onnx", folder / "model.onnx"
    assert small.stat().st_size < 0.5 * whole.stat().st_size
    waves = [speech(2.0, start) for start in range(0, 400_000, 50_000)]
    expected = load_model(thin, "cpu").embed_waveforms(waves)
    found = onnxruntime.InferenceSession(small).run(["embedding"], {"waveform": np.stack(waves)})[0]
    assert torch.cosine_similarity(torch.tensor(expected), torch.tensor(found)).min() > 0.9
    kinds = {item.name: item.data_type for item in onnx.load(small).graph.initializer}
    features = [kind for name, kind in kinds.items() if name.endswith((".fourier_kernel", ".mel_weights"))]
    assert features == [onnx.TensorProto.FLOAT] * 2


@pytest.mark.usefixtures("small")
def test_a_metric_loss_leaves_embeddings_alone(tmp_path):
    options = {"trainfunc": "ge2e", "sampler": "balanced", "nPerSpeaker": 2, "features": "fbank80"}
    checkpoint = saved(tmp_path / "a.model", **options)
    assert export.main([checkpoint, "--out", str(tmp_path / "out")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    assert [output.name for output in session.get_outputs()] == ["embedding"]
    wave = speech(2.0)
    found = session.run(None, {"waveform": wave[None]})[0]
    np.testing.assert_allclose(found, load_model(checkpoint, "cpu").embed_waveforms([wave]), rtol=0, atol=1e-5)


def test_transforms_as_convolutions_are_the_transforms(thin):
    encoder = load_model(thin, "cpu").encoder
    real, x = with_real_features(encoder), torch.tensor(speech(3.0))[None]
    power, expected = real.torchfb(x), encoder.torchfb(x)
    torch.testing.assert_close(power, expected, rtol=1e-4, atol=1e-6)
    assert not torch.is_complex(power) and encoder.torchfb is not real.torchfb
