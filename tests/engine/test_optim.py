"""Learning rates: the schedules' shape, and a group's own scale."""

import pytest
import torch

from engine.optim import OPTIMIZERS, build_optimizer, schedule, set_lr
from settings.resolve import from_values


def config(**options):
    return from_values({"train_list": "t", "lr": 1e-3, "max_epoch": 30, "warmup_epochs": 10} | options)


def test_warm_up_rises_linearly_then_half_a_cosine_falls_to_zero():
    lr = schedule(config(), batches=7)
    rates = [lr(i) for i in range(30 * 7)]
    assert (
        rates[0] == pytest.approx(1e-3 / 70) and rates[34] == pytest.approx(0.5e-3) and rates[69] == pytest.approx(1e-3)
    )
    assert max(rates) == pytest.approx(1e-3)
    assert rates[140] == pytest.approx(0.5e-3)
    assert all(a >= b for a, b in zip(rates[69:], rates[70:], strict=False)) and 0 < rates[-1] < 1e-6


def test_no_warm_up_starts_at_the_peak():
    assert schedule(config(warmup_epochs=0), batches=7)(0) == 1e-3


def test_steplr_decays_every_test_interval():
    lr = schedule(config(scheduler="steplr", lr_decay=0.5, test_interval=10), batches=3)
    assert [lr(i) for i in (0, 29, 30, 59, 60)] == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_steps_and_scales_the_rate_of_a_group(name):
    a, b = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    optimizer = build_optimizer(config(optimizer=name), [{"params": [a]}, {"params": [b], "lr_scale": 0.0}])
    set_lr(optimizer, 0.1)
    (a.sum() + b.sum()).backward()
    optimizer.step()
    assert (a < 1).all() and (b == 1).all()
