"""AASIST on long utterances: maps of pairs in chunks give the same, in memory that grows with the duration alone."""

import pytest
import torch

from models import _aasist
from models._aasist import AASIST, GraphAttention, HeterogeneousGraphAttention


@pytest.mark.parametrize("most", [1, 3_000, 20_000, 1 << 24])
def test_chunks_of_nodes_give_the_same_values_and_gradients(monkeypatch, most):
    torch.manual_seed(0)
    model = AASIST(16, 4).double().eval()
    frames = torch.randn(2, 90, 16, dtype=torch.float64)

    def run():
        model.zero_grad()
        x = frames.clone().requires_grad_()
        out = model.embed(x)
        out.square().sum().backward()
        return [out.detach(), x.grad, *(p.grad for p in model.parameters() if p.grad is not None)]

    monkeypatch.setattr(_aasist, "MOST_IN_MAPS", 1 << 30)
    whole = run()
    monkeypatch.setattr(_aasist, "MOST_IN_MAPS", most)
    for one, other in zip(whole, run(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def largest_tensor(make) -> int:
    """Numbers in the largest tensor that any operation of `make` returns."""

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            self.most = max(self.most, out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    with Watch() as watch, torch.inference_mode():
        make()
    return watch.most


@pytest.mark.parametrize("nodes", [500, 1_000, 2_000])
def test_no_tensor_grows_with_the_square_of_the_nodes(monkeypatch, nodes):
    monkeypatch.setattr(_aasist, "MOST_IN_MAPS", 1 << 18)
    same, two = GraphAttention(64, 64, 2.0).eval(), HeterogeneousGraphAttention(64, 32, 100.0).eval()
    x, master = torch.randn(1, nodes, 64), torch.randn(1, 1, 64)
    assert largest_tensor(lambda: same(x)) <= max(1 << 18, nodes * 64 * 64)
    assert largest_tensor(lambda: two(x, x[:, :21], master)) <= max(1 << 18, nodes * 64 * 64)
