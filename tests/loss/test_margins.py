"""Losses with a margin: where it is, how it grows, what it leaves alone, and each variant's own."""

import math

import pytest
import torch

from settings import plugins
from tests.loss import formulas
from tests.loss.test_losses import MARGINS, C, D, K, M, check_against_formula, embeddings, made


def test_aamsoftmax_keeps_falling_where_the_angle_passes_pi():
    loss = made("aamsoftmax", margin=0.5)
    cosines = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    assert (loss.with_margin(cosines).diff() > 0).all()


@pytest.mark.parametrize("name", MARGINS)
def test_an_embedding_on_its_class_weight_has_a_finite_gradient(name):
    loss = made(name)
    x = loss.weight.detach()[:C].clone().requires_grad_()
    loss(x, torch.arange(C))[0].backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", MARGINS)
def test_accuracy_and_logits_are_margin_free(name):
    plain, large = made(name, margin=0.0), made(name, margin=1.5)
    x = plain.weight.detach()[:C] + 0.3 * embeddings(C, D)
    assert large(x, torch.arange(C))[1] == plain(x, torch.arange(C))[1]
    assert torch.equal(large.logits(x), plain.logits(x))
    if name in ("amsoftmax", "aamsoftmax"):
        assert plain(x, torch.arange(C))[1] > 50
    with_margin, without = (torch.as_tensor(loss(x, torch.arange(C))[0]) for loss in (large, plain))
    assert with_margin > without


@pytest.mark.parametrize("name", MARGINS)
def test_the_margin_grows_in_equal_steps_and_depends_on_the_epoch_alone(name):
    loss = made(name, margin=0.5, margin_from=0.1, margin_epochs=4)
    found = []
    for epoch in range(7):
        loss.on_epoch(epoch)
        found.append(loss.margin)
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])
    assert found[-1] == 0.5, "exactly"
    again = made(name, margin=0.5, margin_from=0.1, margin_epochs=4)
    assert again.margin == found[0]
    again.on_epoch(2)  # as a resumed run begins
    x = embeddings(K, M, D)
    loss.on_epoch(2)
    assert again(x, torch.arange(K))[0] == loss(x, torch.arange(K))[0]


@pytest.mark.parametrize("name", MARGINS)
def test_without_margin_epochs_the_margin_is_whole_from_the_start(name):
    loss = made(name, margin=0.3, margin_from=0.1)
    assert loss.margin == 0.3
    loss.on_epoch(0)
    assert loss.margin == 0.3


def test_on_its_way_the_margin_is_the_formulas():
    loss = made("aamsoftmax", margin=0.4, margin_epochs=4)
    loss.on_epoch(1)
    check_against_formula(
        loss, embeddings(K, M, D), torch.arange(K), lambda x, labels, p: formulas.aamsoftmax(x, labels, p, m=0.1)
    )


@pytest.mark.parametrize(
    "name, options",
    [
        ("aamsoftmax", {"margin_epochs": -1}),
        ("aamsoftmax_subcenter", {"subcenters": 0}),
        ("aamsoftmax_intertopk", {"topk": 0}),
        ("aamsoftmax_regmixup", {"mix_alpha": 0.0}),
    ],
)
def test_options_out_of_range_are_refused_by_name(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        made(name, **options)


@pytest.mark.parametrize("centers", [1, 2, 5])
def test_subcenters_of_any_number(centers):
    loss = made("aamsoftmax_subcenter", subcenters=centers)
    assert loss.weight.shape == (C * centers, D)

    def formula(x, labels, p):
        return formulas.aamsoftmax_subcenter(x, labels, p, centers=centers)

    check_against_formula(loss, embeddings(K, M, D), torch.arange(K), formula)


@pytest.mark.parametrize("top", [1, 2, 3])
def test_the_penalty_is_on_the_k_nearest_other_systems(top):
    def formula(x, labels, p):
        return formulas.aamsoftmax_intertopk(x, labels, p, top=top, penalty=0.3)

    loss = made("aamsoftmax_intertopk", topk=top, topk_margin=0.3)
    check_against_formula(loss, embeddings(K, M, D), torch.arange(K), formula)


def test_the_penalty_keeps_rising_where_the_angle_passes_zero_and_grows_with_the_margin():
    loss = made("aamsoftmax_intertopk", topk=1, topk_margin=0.3, margin=0.2, margin_epochs=2)
    others = torch.linspace(-0.99, 1, 1000, dtype=torch.float64)
    cosine = torch.stack([torch.zeros_like(others), others], dim=1)
    label = torch.zeros(1000, dtype=torch.int64)
    loss.on_epoch(2)
    raised = loss.penalised(cosine, label)[:, 1]
    assert (raised.diff() > 0).all() and (raised > others).all()
    loss.on_epoch(1)
    half = loss.penalised(cosine, label)[500, 1]
    assert half.item() == pytest.approx(math.cos(math.acos(others[500]) - 0.15), abs=1e-9)
    loss.on_epoch(0)
    assert torch.allclose(loss.penalised(cosine, label)[:, 1], others)


def test_frozen_weights_are_orthonormal_and_stay():
    loss = made("aamsoftmax_frozen")
    torch.testing.assert_close(loss.weight @ loss.weight.T, torch.eye(C))
    assert not list(loss.parameters()) and set(loss.state_dict()) == {"weight"}
    with pytest.raises(ValueError, match="7 systems at right angles need --nOut 7"):
        plugins.load("loss", "aamsoftmax_frozen")(nOut=D, nClasses=7)


def test_regmixup_mixes_pairs_of_the_batch_and_weighs_their_losses():
    loss = made("aamsoftmax_regmixup").double()
    waves, labels = embeddings(5, 100, dtype=torch.float64), torch.tensor([2, 0, 1, 2, 3])
    torch.manual_seed(3)
    mixed, shares = loss.mix(waves, labels)
    assert mixed.shape == (10, 100) and torch.equal(mixed[:5], waves) and shares.shape == (10, C)
    torch.testing.assert_close(shares.sum(1), torch.ones(10, dtype=torch.float64))
    for i in range(5):  # find λ and the partner from the mixture alone
        weights = torch.linalg.lstsq(waves.T, mixed[5 + i, :, None]).solution[:, 0]
        expected = torch.zeros(C, dtype=torch.float64).index_add(0, labels, weights)
        torch.testing.assert_close(shares[5 + i], expected)
    assert 0.2 < shares[5:].max(dim=1).values.min() < 0.8

    x = embeddings(10, D, dtype=torch.float64)
    p = {"weight": loss.weight.detach()}
    terms = [
        sum(float(share) * formulas.aamsoftmax(x[row : row + 1], [j], p) for j, share in enumerate(shares[row]))
        for row in range(10)
    ]
    value, accuracy = loss(x, shares)
    assert value.item() == pytest.approx(float(sum(terms)) / 10, rel=1e-6)
    whole = [row for row in range(10) if shares[row].max() == 1]
    right = sum(int(loss.logits(x[row : row + 1]).argmax() == shares[row].argmax()) for row in whole)
    assert float(accuracy) == pytest.approx(100 * right / len(whole))


def test_regmixup_is_drawn_from_the_seed():
    loss, waves, labels = made("aamsoftmax_regmixup"), embeddings(5, 100), torch.arange(5) % C
    torch.manual_seed(3)
    first = loss.mix(waves, labels)
    torch.manual_seed(3)
    again = loss.mix(waves, labels)
    other = loss.mix(waves, labels)
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])
