"""Every loss keeps the contract, and ours equal, in value and gradient, loops written from the formulas in float64."""

import inspect
import math

import pytest
import torch

from settings import plugins

K, M, D = 4, 3, 6
NAMES = plugins.names("loss")
OURS = ["softmax", "amsoftmax", "aamsoftmax", "ge2e", "angleproto"]  # those whose formulas stand below
CLASSIFIERS = [name for name in NAMES if plugins.utterances_needed(plugins.load("loss", name)) == 1]
METRIC = [name for name in NAMES if name not in CLASSIFIERS]


def embeddings(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made(name, **options):
    torch.manual_seed(1)
    return plugins.load("loss", name)(nOut=D, nClasses=K, **options)


# The formulas, in plain Python over scalars: x (K, M, D) float64, p the loss's parameters by name in float64.


def cosine(a, b):
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def cross_entropy(rows, labels):
    terms = [torch.logsumexp(torch.stack(row), 0) - row[label] for row, label in zip(rows, labels, strict=True)]
    return torch.stack(terms).mean()


def utterances(x):
    return [(x[k, m], k) for k in range(x.shape[0]) for m in range(x.shape[1])]


def softmax(x, p):
    rows = [[(p["fc.weight"][j] * u).sum() + p["fc.bias"][j] for j in range(K)] for u, _ in utterances(x)]
    return cross_entropy(rows, [k for _, k in utterances(x)])


def amsoftmax(x, p, m=0.2, s=30.0):
    rows = [[s * (cosine(u, p["weight"][j]) - m * (j == k)) for j in range(K)] for u, k in utterances(x)]
    return cross_entropy(rows, [k for _, k in utterances(x)])


def aamsoftmax(x, p, m=0.2, s=30.0):
    def logit(u, j, k):
        c = cosine(u, p["weight"][j])
        if j != k:
            return s * c
        theta = torch.arccos(c)
        return s * (torch.cos(theta + m) if theta + m <= math.pi else c - m * math.sin(math.pi - m))

    rows = [[logit(u, j, k) for j in range(K)] for u, k in utterances(x)]
    return cross_entropy(rows, [k for _, k in utterances(x)])


def ge2e(x, p):
    rows, labels = [], []
    for k in range(x.shape[0]):
        for i in range(x.shape[1]):
            row = []
            for j in range(x.shape[0]):
                members = [x[j, n] for n in range(x.shape[1]) if j != k or n != i]
                row.append(p["w"] * cosine(x[k, i], sum(members) / len(members)).clamp(min=1e-6) + p["b"])
            rows.append(row)
            labels.append(k)
    return cross_entropy(rows, labels)


def angleproto(x, p):
    centroids = [sum(x[j, n] for n in range(1, x.shape[1])) / (x.shape[1] - 1) for j in range(x.shape[0])]
    rows = [[p["w"] * cosine(x[k, 0], c) + p["b"] for c in centroids] for k in range(x.shape[0])]
    return cross_entropy(rows, list(range(x.shape[0])))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OURS)
def test_value_and_gradients_equal_the_formula(name, seed):
    loss = made(name).double()
    with torch.no_grad():
        for parameter in loss.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, dtype=torch.float64))
    x = embeddings(K, M, D, seed=seed).double().requires_grad_()
    reference_x = x.detach().clone().requires_grad_()
    reference_p = {n: p.detach().clone().requires_grad_() for n, p in loss.named_parameters()}
    expected = globals()[name](reference_x, reference_p)
    expected.backward()
    value, _ = loss(x, torch.arange(K))
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=2e-6)
    torch.testing.assert_close(x.grad, reference_x.grad, rtol=1e-4, atol=1e-6)
    for n, p in loss.named_parameters():
        torch.testing.assert_close(p.grad, reference_p[n].grad, rtol=1e-4, atol=1e-6)


def test_aamsoftmax_keeps_falling_where_the_angle_passes_pi():
    loss = made("aamsoftmax", margin=0.5)
    cosines = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    assert (loss.with_margin(cosines).diff() > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    """What the engine counts on, for every file in loss/: shapes, a scalar loss, a percentage, gradients, bf16."""
    entry = plugins.load("loss", name)
    loss = entry(nOut=D, nClasses=K)
    x = embeddings(K, M, D).requires_grad_()
    value, accuracy = loss(x, torch.arange(K))
    value.backward()
    assert value.shape == () and value.isfinite() and x.grad.isfinite().all()
    assert 0 <= float(accuracy) <= 100
    half, _ = loss(x.bfloat16(), torch.arange(K))
    assert half.isfinite()
    assert all(o.help for o in plugins.options(entry, name)), "every option has a help text"
    keyword_only = [p for p in inspect.signature(entry).parameters.values() if p.name not in ("nOut", "nClasses")]
    assert all(p.kind is p.KEYWORD_ONLY for p in keyword_only)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["zero", "equal", "opposite", "large"])
def test_degenerate_embeddings_give_finite_loss_and_gradient(name, kind):
    x = {
        "zero": torch.zeros(K, M, D),
        "equal": torch.ones(K, M, D),
        "opposite": torch.ones(K, M, D) * torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None, None],
        "large": 1e6 * embeddings(K, M, D),
    }[kind].requires_grad_()
    loss = made(name)
    value, _ = loss(x, torch.arange(K))
    value.backward()
    assert value.isfinite() and x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in loss.parameters())


@pytest.mark.parametrize("name", ["amsoftmax", "aamsoftmax"])
def test_an_embedding_on_its_class_weight_has_a_finite_gradient(name):
    loss = made(name)
    x = loss.weight.detach().clone().requires_grad_()
    loss(x, torch.arange(K))[0].backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classification_takes_groups_as_utterances(name):
    loss, x = made(name), embeddings(K, M, D)
    grouped, accuracy = loss(x, torch.arange(K))
    flat, flat_accuracy = loss(x.flatten(0, 1), torch.arange(K).repeat_interleave(M))
    assert grouped == flat and accuracy == flat_accuracy


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_gives_nearly_the_loss_of_full(name):
    loss, x, labels = made(name), embeddings(K, M, D), torch.arange(K)
    rounded = x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(rounded, labels)[0].item() == pytest.approx(loss(rounded.float(), labels)[0].item(), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_carries_all_that_a_loss_depends_on(name):
    source, x = made(name), embeddings(K, M, D)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.mul_(1.1)
    restored = plugins.load("loss", name)(nOut=D, nClasses=K)
    restored.load_state_dict(source.state_dict(), strict=True)
    assert restored(x, torch.arange(K))[0] == source(x, torch.arange(K))[0]


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(plugins.load("loss", n), "logits")])
def test_logits_are_margin_free_scores_of_the_classes(name):
    """What open-set reports and exports ask of a loss that has class weights: (B, C), behind the accuracy."""
    loss, x, label = made(name), embeddings(8, D), torch.arange(8) % K
    logits = loss.logits(x)
    assert logits.shape == (8, K) and logits.isfinite().all()
    correct = 100 * (logits.argmax(1) == label).float().mean()
    assert loss(x, label)[1].item() == pytest.approx(correct.item())


def test_accuracy_is_margin_free():
    x = made("aamsoftmax").weight.detach() + 0.3 * embeddings(K, D)
    plain = made("aamsoftmax", margin=0.0)(x, torch.arange(K))[1]
    assert made("aamsoftmax", margin=1.5)(x, torch.arange(K))[1] == plain > 50


@pytest.mark.parametrize("name", ["ge2e", "angleproto"])
def test_the_scale_stays_positive_and_can_grow_again(name):
    loss = made(name)
    with torch.no_grad():
        loss.w.fill_(-3.0)
    x = torch.eye(K, D)[:, None].expand(K, M, D) + 0.01 * embeddings(K, M, D)
    loss(x, torch.arange(K))[0].backward()
    assert loss.w > 0
    assert loss.w.grad < 0  # well-separated systems: a larger scale lowers the loss


@pytest.mark.parametrize("name", METRIC)
@pytest.mark.parametrize("shape", [(K, D), (K, 1, D)])
def test_metric_losses_say_that_they_need_groups(name, shape):
    with pytest.raises(ValueError, match="two or more utterances"):
        made(name)(embeddings(*shape), torch.arange(K))
