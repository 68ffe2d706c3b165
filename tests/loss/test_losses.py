"""Every loss keeps the contract, and ours equal, in value and gradient, loops written from the formulas in float64."""

import inspect

import pytest
import torch

from settings import plugins
from tests.loss import formulas

K, M, D, C = 4, 3, 6, 4
NAMES = plugins.names("loss")
OURS = [name for name in NAMES if hasattr(formulas, name)]
CLASSIFIERS = [name for name in NAMES if plugins.utterances_needed(plugins.load("loss", name)) == 1]  # of any batch
METRIC = [name for name in NAMES if name not in CLASSIFIERS]
MARGINS = [name for name in NAMES if "margin_epochs" in plugins.parameters(plugins.load("loss", name))]


def embeddings(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made(name, **options):
    torch.manual_seed(1)
    return plugins.load("loss", name)(nOut=D, nClasses=C, **options)


def check_against_formula(loss, x, labels, formula):
    """Value, and gradients by embeddings and parameters, equal those of the loop, all in float64."""
    loss = loss.double()
    with torch.no_grad():
        for parameter in loss.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, dtype=torch.float64))
    x = x.double().requires_grad_()
    reference_x = x.detach().clone().requires_grad_()
    reference_p = {n: p.detach().clone().requires_grad_() for n, p in loss.named_parameters()}
    expected = formula(reference_x, labels.tolist(), reference_p | dict(loss.named_buffers()))
    expected.backward()
    value, _ = loss(x, labels)
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=2e-6)
    torch.testing.assert_close(x.grad, reference_x.grad, rtol=1e-4, atol=1e-6)
    for n, p in loss.named_parameters():
        torch.testing.assert_close(p.grad, reference_p[n].grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OURS)
def test_value_and_gradients_equal_the_formula(name, seed):
    check_against_formula(made(name), embeddings(K, M, D, seed=seed), torch.arange(K), getattr(formulas, name))


@pytest.mark.parametrize("name", [name for name in OURS if name in CLASSIFIERS])
def test_a_batch_without_groups_and_with_systems_seldom_or_absent_equals_the_formula(name):
    labels = torch.tensor([2, 0, 2, 2, 1, 0])  # 3 is absent, 1 is alone
    check_against_formula(made(name), embeddings(len(labels), D, seed=7), labels, getattr(formulas, name))


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    """What the engine counts on, for every file in loss/: shapes, a scalar loss, a percentage, gradients, bf16."""
    entry = plugins.load("loss", name)
    loss = entry(nOut=D, nClasses=C)
    x = embeddings(K, M, D).requires_grad_()
    value, accuracy = loss(x, torch.arange(K))
    value.backward()
    assert value.shape == () and value.isfinite() and x.grad.isfinite().all()
    assert 0 <= float(accuracy) <= 100
    half, _ = loss(x.bfloat16(), torch.arange(K))
    assert half.isfinite()
    assert all(o.help for o in plugins.declared("loss", name).options), "every option has a help text"
    keyword_only = [p for p in inspect.signature(entry).parameters.values() if p.name not in ("nOut", "nClasses")]
    assert all(p.kind is p.KEYWORD_ONLY for p in keyword_only)


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(plugins.load("loss", n), "logits")])
def test_logits_are_margin_free_scores_of_the_classes(name):
    """What open-set reports and exports ask of a loss that has class weights: (B, C), behind the accuracy."""
    loss, x, label = made(name), embeddings(C, 2, D), torch.arange(C)
    logits = loss.logits(x.flatten(0, 1))
    assert logits.shape == (2 * C, C) and logits.dtype == torch.float32
    correct = 100 * (logits.argmax(1) == label.repeat_interleave(2)).float().mean()
    assert loss(x, label)[1].item() == pytest.approx(correct.item())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss.logits(x.flatten(0, 1)), logits)
    assert loss.logits(x[0].bfloat16()).dtype == torch.float32


def test_all_losses_with_class_weights_have_logits():
    assert {n for n in OURS if not hasattr(plugins.load("loss", n), "logits")} == {"ge2e", "angleproto", "supcon"}


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
    restored = plugins.load("loss", name)(nOut=D, nClasses=C)
    restored.load_state_dict(source.state_dict(), strict=True)
    assert restored(x, torch.arange(K))[0] == source(x, torch.arange(K))[0]


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


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [2]])
def test_supcon_of_a_batch_without_two_of_a_system_is_nothing(labels):
    x = embeddings(len(labels), D).requires_grad_()
    value, accuracy = made("supcon")(x, torch.tensor(labels))
    value.backward()
    assert value == 0 and accuracy == 0 and not x.grad.any()


def test_supcon_accuracy_counts_nearest_neighbours_of_those_who_have_partners():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, -0.3], [-1.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1, 2])  # the last has no partner; those of system 1 are nearer to system 0
    loss = plugins.load("loss", "supcon")()
    assert float(loss(x, labels)[1]) == pytest.approx(50.0)
