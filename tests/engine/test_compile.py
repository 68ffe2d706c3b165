"""--compile: one graph without breaks, one transformer layer for all, the same learned, evaluation left alone."""

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from engine.embedding import embed_batches
from models import ThinResNet34
from models.Wav2Vec2AASIST import MainModel
from tests.engine.test_cuda_graph import batch, new_trainer
from tests.models.speech_models import save_tiny, waves, without_dropout


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch):
    """Small networks, and nothing compiled before."""
    monkeypatch.setattr(ThinResNet34, "BLOCKS", (1, 1, 1, 1))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def speech_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("ssl") / "tiny")


SLOW = [
    pytest.param(options, marks=pytest.mark.slow)
    for options in ({"encoder_type": "ASP", "log_input": False}, {"features": "fbank80"})
]


@pytest.mark.parametrize("options", [{}, *SLOW])
def test_thinresnet34_is_one_graph_features_included(options):
    torch.manual_seed(0)
    model, x = ThinResNet34.MainModel(8, **options).train(), 0.1 * torch.randn(2, 4000)
    eager, features = model(x), model.features(x)
    graphs = CompileCounterWithBackend("eager")
    model.compile(backend=graphs, fullgraph=True)
    torch.testing.assert_close(model(x), eager, rtol=1e-3, atol=1e-4)
    assert graphs.frame_count == 1
    compiled = torch.compile(model.features, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(compiled, features, rtol=0, atol=1e-3)  # of unit variance
    nodes = {str(node.target) for graph in graphs.graphs for node in graph.graph.nodes}
    assert not [name for name in nodes if "fft" in name or "stft" in name or "complex" in name]
    assert torch.equal(model.features(x), features)  # eager, to the last bit what it was


@pytest.mark.slow
def test_a_compiled_network_learns_what_an_eager_one_learns():
    """Losses and gradients in float32, through the compiler's own backward pass, at rates that change."""
    losses, gradients = [], []
    for compiled in (False, True):
        made = new_trainer(False, grad_clip=0.0)
        if compiled:
            made.net.encoder.compile(backend="aot_eager", fullgraph=True)
        made.begin_epoch(0)
        losses.append([made.step(batch(n, 1), 1e-5 * (n + 1)).results()[:3] for n in range(3)])
        gradients.append([p.grad.clone() for p in made.parameters])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    whole = [torch.cat([g.flatten() for g in side]) for side in gradients]
    assert (whole[1] - whole[0]).norm() < 1e-2 * whole[0].norm()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler's own look at it
@pytest.mark.parametrize("options", [{}, {"freeze_ssl": True}, {"grad_checkpointing": True}])
def test_one_transformer_layer_is_compiled_for_all(speech_model, options):
    wave = waves(2, 8000)
    torch.manual_seed(0)
    model = without_dropout(MainModel(4, ssl_path=speech_model, **options)).train()
    eager = model(wave)
    graphs = CompileCounterWithBackend("eager")
    model.compile(backend=graphs, fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(model(wave), eager, rtol=1e-4, atol=1e-5)
    assert len(model.ssl_model.model.encoder.layers) == 3
    assert graphs.frame_count == 3  # the convolutions, one layer, the back-end
    if not options:
        model(wave).sum().backward()
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("make", [lambda path: ThinResNet34.MainModel(4), lambda path: MainModel(4, ssl_path=path)])  # noqa: ARG005
def test_evaluation_compiles_nothing(speech_model, make):
    class Loader:
        lengths = np.array([4000, 5000])

        def __iter__(self):
            for row, length in enumerate(self.lengths):
                yield torch.tensor([row]), 0.1 * torch.ones(1, 1, length), None

    model, graphs = make(speech_model), CompileCounterWithBackend("eager")
    before = embed_batches(model, Loader(), 4, torch.device("cpu"), False)
    model.compile(backend=graphs)
    assert np.array_equal(embed_batches(model, Loader(), 4, torch.device("cpu"), False), before)
    assert graphs.frame_count == 0
