"""The AASIST back-end against a second implementation: formulas and loops over nodes, in float64."""

import math

import pytest
import torch

from models import _aasist

EPS = 1e-5  # of every batch normalisation
ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805  # SELU (Klambauer et al. 2017)


def selu(x):
    return LAMBDA * torch.where(x > 0, x, ALPHA * (x.exp() - 1))


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def batch_norm(p, name, x, training):
    """x (B, C, ...)."""
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean, var = p[f"{name}.running_mean"], p[f"{name}.running_var"]
    if training:
        flat = x.transpose(0, 1).reshape(x.shape[1], -1)
        mean = flat.mean(1)
        var = ((flat - mean[:, None]) ** 2).mean(1)
    scaled = (x - mean.view(shape)) / (var.view(shape) + EPS).sqrt()
    return scaled * p[f"{name}.weight"].view(shape) + p[f"{name}.bias"].view(shape)


def conv(p, name, x, pad_height, pad_width):
    """Convolution as a sum over the kernel's places."""
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    batch, channels, height, width = x.shape
    padded = x.new_zeros(batch, channels, height + 2 * pad_height, width + 2 * pad_width)
    padded[:, :, pad_height : pad_height + height, pad_width : pad_width + width] = x
    out_height = padded.shape[2] - weight.shape[2] + 1
    out_width = padded.shape[3] - weight.shape[3] + 1
    out = bias.view(1, -1, 1, 1).expand(batch, -1, out_height, out_width)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            seen = padded[:, :, i : i + out_height, j : j + out_width]
            out = out + torch.einsum("oc,bchw->bohw", weight[:, :, i, j], seen)
    return out


def residual_block(p, name, x, training):
    """The convolution takes x itself: the published block's normalised input goes nowhere."""
    y = conv(p, f"{name}.conv1", x, 1, 1)
    y = conv(p, f"{name}.conv2", selu(batch_norm(p, f"{name}.bn2", y, training)), 0, 1)
    shortcut = conv(p, f"{name}.conv_downsample", x, 0, 1) if f"{name}.conv_downsample.weight" in p else x
    return y + shortcut


def softmax(values):
    exponentials = [v.exp() for v in values]
    total = sum(exponentials)
    return [e / total for e in exponentials]


def attend(p, name, x, vector, temperature):
    """Nodes (N, D) of one utterance to W_with * (attention-weighted sum) + W_without * node."""
    rows = []
    for i in range(len(x)):
        scores = []
        for j in range(len(x)):
            pair = torch.tanh(linear(p, f"{name}.att_proj", x[i] * x[j]))
            scores.append((pair * vector(i, j)).sum() / temperature)
        heard = sum(a * x[j] for j, a in enumerate(softmax(scores)))
        rows.append(linear(p, f"{name}.proj_with_att", heard) + linear(p, f"{name}.proj_without_att", x[i]))
    return torch.stack(rows)


def node_norm(p, name, nodes, training):
    """Nodes (B, N, D): statistics over all nodes of all utterances."""
    flat = batch_norm(p, f"{name}.bn", nodes.reshape(-1, nodes.shape[2]), training)
    return selu(flat).view(nodes.shape)


def graph_attention(p, name, x, temperature, training):
    vector = p[f"{name}.att_weight"][:, 0]
    nodes = torch.stack([attend(p, name, one, lambda *_: vector, temperature) for one in x])
    return node_norm(p, name, nodes, training)


def heterogeneous(p, name, first, second, master, training, temperature=100.0):
    count = first.shape[1]
    x = torch.cat([linear(p, f"{name}.proj_type1", first), linear(p, f"{name}.proj_type2", second)], 1)

    def vector(i, j):
        kind = "11" if i < count and j < count else "22" if i >= count and j >= count else "12"
        return p[f"{name}.att_weight{kind}"][:, 0]

    masters = []
    for b in range(len(x)):
        m = master[b % len(master), 0]
        maps = [torch.tanh(linear(p, f"{name}.att_projM", node * m)) for node in x[b]]
        weights = softmax([(v * p[f"{name}.att_weightM"][:, 0]).sum() / temperature for v in maps])
        heard = sum(a * node for a, node in zip(weights, x[b], strict=True))
        masters.append(linear(p, f"{name}.proj_with_attM", heard) + linear(p, f"{name}.proj_without_attM", m))
    nodes = torch.stack([attend(p, name, one, vector, temperature) for one in x])
    nodes = node_norm(p, name, nodes, training)
    return nodes[:, :count], nodes[:, count:], torch.stack(masters)[:, None]


def graph_pool(p, name, x):
    pooled = []
    for nodes in x:
        scores = [1 / (1 + (-linear(p, f"{name}.proj", node)[0]).exp()) for node in nodes]
        best = sorted(range(len(nodes)), key=lambda i: -scores[i].item())[: max(1, math.floor(len(nodes) * 0.5))]
        pooled.append(torch.stack([scores[i] * nodes[i] for i in best]))
    return torch.stack(pooled)


def readout(p, frames, training):
    """The whole back-end, dropout aside: frames (B, F, 1024) to (B, 160)."""
    x = linear(p, "LL", frames).transpose(1, 2)
    rows, columns = x.shape[1] // 3, x.shape[2] // 3
    cells = [
        [x[:, 3 * r : 3 * r + 3, 3 * c : 3 * c + 3].flatten(1).max(1).values for c in range(columns)]
        for r in range(rows)
    ]
    x = torch.stack([torch.stack(row, -1) for row in cells], 1)[:, None]
    x = selu(batch_norm(p, "first_bn", x, training))
    for block in range(6):
        x = residual_block(p, f"encoder.{block}.0", x, training)
    x = selu(batch_norm(p, "first_bn1", x, training))
    w = batch_norm(p, "attention.2", selu(conv(p, "attention.0", x, 0, 0)), training)
    w = conv(p, "attention.3", w, 0, 0).exp()
    spectral = ((x * w).sum(3) / w.sum(3)).transpose(1, 2) + p["pos_S"]
    temporal = ((x * w).sum(2) / w.sum(2)).transpose(1, 2)
    spectral = graph_pool(p, "pool_S", graph_attention(p, "GAT_layer_S", spectral, 2.0, training))
    temporal = graph_pool(p, "pool_T", graph_attention(p, "GAT_layer_T", temporal, 2.0, training))
    branches = []
    for n in "12":
        t, s, m = heterogeneous(p, f"HtrgGAT_layer_ST{n}1", temporal, spectral, p[f"master{n}"], training)
        t, s = graph_pool(p, f"pool_hT{n}", t), graph_pool(p, f"pool_hS{n}", s)
        more = heterogeneous(p, f"HtrgGAT_layer_ST{n}2", t, s, m, training)
        branches.append((t + more[0], s + more[1], m + more[2]))
    t, s, m = (torch.where(a > b, a, b) for a, b in zip(*branches, strict=True))
    parts = [t.abs().max(1).values, t.mean(1), s.abs().max(1).values, s.mean(1), m[:, 0]]
    return torch.cat(parts, 1)


def prepared(module, training):
    """The module in float64, with lively batch statistics and no dropout; and its parameters and buffers by name."""
    module.double().train(training)
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            with torch.no_grad():
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_()
    copies = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        copies[name].requires_grad_(parameter.requires_grad)
    return module, copies


def assert_same(module, copies, inputs, ours, reference):
    """Equal results, and equal gradients of a random projection of them in every parameter and input."""
    twins = [x.clone().requires_grad_() for x in inputs]
    inputs = [x.requires_grad_() for x in inputs]
    results, expected = ours(*inputs), reference(*twins)
    results, expected = (r if isinstance(r, tuple) else (r,) for r in (results, expected))
    directions = [torch.randn_like(e) for e in expected]
    for result, value in zip(results, expected, strict=True):
        torch.testing.assert_close(result, value, rtol=1e-10, atol=1e-12)
    sum((r * d).sum() for r, d in zip(results, directions, strict=True)).backward()
    sum((e * d).sum() for e, d in zip(expected, directions, strict=True)).backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(
            parameter.grad, copies[name].grad, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: n + m
        )
    for x, twin in zip(inputs, twins, strict=True):
        torch.testing.assert_close(x.grad, twin.grad, rtol=1e-8, atol=1e-12)


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("before, after, first", [(1, 4, True), (4, 4, False), (4, 6, False)])
def test_residual_block_is_its_formula(before, after, first, training):
    holder, p = prepared(torch.nn.ModuleDict({"b": _aasist.ResidualBlock(before, after, first)}), training)
    assert_same(holder, p, [drawn(2, before, 5, 7)], holder["b"], lambda x: residual_block(p, "b", x, training))


@pytest.mark.parametrize("training", [True, False])
def test_graph_attention_is_its_formula(training):
    holder, p = prepared(torch.nn.ModuleDict({"g": _aasist.GraphAttention(6, 4, temperature=2.0)}), training)
    assert_same(holder, p, [drawn(3, 5, 6)], holder["g"], lambda x: graph_attention(p, "g", x, 2.0, training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masters", [1, 3])
def test_heterogeneous_attention_is_its_formula(masters, training):
    holder, p = prepared(
        torch.nn.ModuleDict({"g": _aasist.HeterogeneousGraphAttention(6, 4, temperature=0.7)}), training
    )
    inputs = [drawn(3, 4, 6), drawn(3, 2, 6), drawn(masters, 1, 6)]
    assert_same(holder, p, inputs, holder["g"], lambda t, s, m: heterogeneous(p, "g", t, s, m, training, 0.7))


@pytest.mark.parametrize("nodes, kept", [(1, 1), (2, 1), (5, 2), (8, 4)])
def test_graph_pool_keeps_the_better_half_scaled_by_its_scores(nodes, kept):
    holder, p = prepared(torch.nn.ModuleDict({"g": _aasist.GraphPool(6)}), training=True)
    assert holder["g"](drawn(3, nodes, 6)).shape == (3, kept, 6)
    assert_same(holder, p, [drawn(3, nodes, 6)], holder["g"], lambda x: graph_pool(p, "g", x))


@pytest.mark.parametrize("frames, training", [(3, False), (26, False), (26, True)])
def test_the_whole_back_end_is_its_formula(frames, training):
    backend, p = prepared(_aasist.AASIST(16, 4), training)
    backend.out_layer.requires_grad_(False)
    for name in [n for n, q in backend.named_parameters() if not q.requires_grad]:
        p[name].requires_grad_(False)
    assert_same(backend, p, [drawn(2, frames, 16)], backend.readout, lambda x: readout(p, x, training))


def test_the_back_end_has_the_published_number_of_parameters():
    backend = _aasist.AASIST(1024, 50)
    assert sum(p.numel() for name, p in backend.named_parameters() if not name.startswith("out_layer")) == 446_920
    assert backend.eval().readout(torch.randn(2, 99, 1024)).shape == (2, 160)
    assert backend.out_layer.weight.shape == (50, 160)


def test_every_trained_parameter_gets_a_gradient():
    backend = _aasist.AASIST(16, 4)
    backend.embed(torch.randn(4, 30, 16)).sum().backward()
    without = {name for name, p in backend.named_parameters() if p.grad is None}
    assert without == {f"encoder.{block}.0.bn1.{kind}" for block in range(1, 6) for kind in ("weight", "bias")}
    assert without == {name for name, p in backend.named_parameters() if not p.requires_grad}


def test_half_precision_around_the_back_end_does_not_reach_into_it():
    backend = _aasist.AASIST(16, 4).eval()
    frames = torch.randn(4, 30, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = backend.embed(frames)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, backend.embed(frames.float()))
