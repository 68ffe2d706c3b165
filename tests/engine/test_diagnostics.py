"""Warnings about training that goes wrong: each is said once, when it is true, and a healthy run hears none."""

import numpy as np
import pytest

from engine import diagnostics

CLASSES = ["a", "b", "c"]


def history(losses) -> list[dict]:
    return [{"loss": loss} for loss in losses]


def epochs_that_warn(losses, warmup) -> list[int]:
    """The epochs (from 1) after which something is said of the loss."""
    return [n for n in range(1, len(losses) + 1) if list(diagnostics.of_epoch(history(losses[:n]), warmup))]


def of_embeddings(embeddings, eer, epoch, warmup) -> list[str]:
    """What is said of an epoch in which a dev list had these embeddings and this EER."""
    row = {"epoch": epoch, "dev_eer": eer, "dev_mean_cosine": diagnostics.mean_cosine(embeddings)}
    return list(diagnostics.of_evaluation(row, warmup))


def drawn(used=9, available=9) -> dict:
    return {"utterances_used": used, "utterances_available": available}


def random_embeddings(n=200, dimension=16, around=0.0) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((n, dimension))
    return (around + noise).astype(np.float32)


@pytest.mark.parametrize("warmup", [0, 1, 10])
@pytest.mark.parametrize("losses", [[16.0] * 60, list(16 + 0.01 * np.arange(60)), list(16 + np.sin(np.arange(60)))])
def test_a_loss_that_never_falls_is_warned_of_once_after_the_warm_up_and_ten_epochs(losses, warmup):
    losses = [*losses[:2], *np.maximum(losses[2:], losses[0])]
    assert epochs_that_warn(losses, warmup) == [warmup + 1 + diagnostics.PATIENCE]
    found = "".join(diagnostics.of_epoch(history(losses[: warmup + 1 + diagnostics.PATIENCE]), warmup))
    assert "the loss has not fallen" in found and "--lr" in found


@pytest.mark.parametrize("warmup", [0, 1, 10])
@pytest.mark.parametrize(
    "losses",
    [
        list(16 * 0.97 ** np.arange(60)),  # steadily
        [16.0] * 8 + [15.0] * 52,  # late, at once
        [16.0, 1.0, *[1.0] * 58],  # at first, then no more
        list(3 + np.random.default_rng(0).normal(0, 0.5, 60) - 0.02 * np.arange(60)),  # noisily
        list(-0.1 * np.arange(60)),  # below zero, as some losses are
        list(1e-9 * np.ones(60)),  # all learned before
    ],
)
def test_a_loss_that_falls_or_has_fallen_gives_no_warning(losses, warmup):
    assert epochs_that_warn(losses, warmup) == []


def test_a_loss_that_fell_while_warming_up_and_came_back_is_warned_of():
    assert epochs_that_warn([16.0, 12.0, 10.0, 15.0, *[16.0] * 30], warmup=4) == [5 + diagnostics.PATIENCE]


def test_a_short_run_is_not_warned_that_its_loss_does_not_fall():
    assert epochs_that_warn([16.0] * 10, warmup=0) == []


def test_systems_that_no_batch_had_are_named_and_none_where_all_were_drawn():
    found = list(diagnostics.of_sampling(np.array([[0, 2], [2, 0]]), CLASSES, drawn()))
    assert len(found) == 1 and "(b)" in found[0] and "--sampler balanced" in found[0]
    assert list(diagnostics.of_sampling(np.array([[0, 1], [2, 0]]), CLASSES, drawn())) == []


def test_many_systems_that_no_batch_had_are_counted():
    found = list(diagnostics.of_sampling(np.zeros((1, 1), int), [f"s{i}" for i in range(100)], drawn()))
    assert "99 systems" in found[0] and len(found[0]) < 200


@pytest.mark.parametrize("embeddings", [random_embeddings(around=1e3), np.ones((50, 8), np.float32)])
def test_collapsed_embeddings_are_warned_of_whatever_the_eer(embeddings):
    for eer in (0.1, 0.5):
        found = of_embeddings(embeddings, eer, epoch=1, warmup=10)
        assert len(found) == 1 and "collapsed" in found[0]


def test_a_list_too_short_to_judge_is_not_called_collapsed():
    assert of_embeddings(np.ones((1, 8), np.float32), 0.1, epoch=50, warmup=0) == []


def test_an_eer_near_chance_is_warned_of_but_not_while_training_has_hardly_begun():
    embeddings = random_embeddings()
    assert "near chance" in "".join(of_embeddings(embeddings, 0.48, epoch=20, warmup=10))
    assert of_embeddings(embeddings, 0.48, epoch=10, warmup=10) == []
    assert of_embeddings(embeddings, 0.48, epoch=15, warmup=10) == []
    assert of_embeddings(embeddings, 0.48, epoch=5, warmup=0) == []


def test_an_eer_worse_than_chance_is_warned_of_too():
    assert "near chance" in "".join(of_embeddings(random_embeddings(), 0.6, epoch=20, warmup=1))


@pytest.mark.parametrize("around", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("eer", [0.02, 0.3, 0.44])
def test_healthy_embeddings_give_no_warning(around, eer):
    assert of_embeddings(random_embeddings(around=around), eer, epoch=50, warmup=10) == []


def test_an_all_zero_embedding_is_no_reason_to_divide_by_zero():
    assert of_embeddings(np.zeros((50, 8), np.float32), 0.1, epoch=50, warmup=0) == []


def test_a_batch_size_that_drops_much_of_the_list_is_warned_of():
    systems = np.zeros((1, 80), int)
    assert "80 of 150 utterances" in "".join(diagnostics.of_sampling(systems, ["a"], drawn(80, 150)))
    assert list(diagnostics.of_sampling(systems, ["a"], drawn(80, 100))) == []
    assert list(diagnostics.of_sampling(np.zeros((2, 80), int), ["a"], drawn(80, 150))) == []  # balanced: repeats
