"""The least Cllr against a loop that pools adjacent violators one by one."""

import numpy as np
import pytest

from scoring.cllr import min_cllr


def min_cllr_in_a_loop(targets, nontargets):
    """Pool adjacent violators, a pool at a time."""
    pools = []
    for level in zip(targets / targets.sum(), nontargets / nontargets.sum(), strict=True):
        if not sum(level):
            continue
        pools.append(list(level))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            above = pools.pop()
            pools[-1] = [pools[-1][0] + above[0], pools[-1][1] + above[1]]
    target, nontarget = np.array(pools).T
    both = (target > 0) & (nontarget > 0)  # elsewhere the ratio is infinite, right, and free of cost
    bits = target[both] @ np.log2(1 + nontarget[both] / target[both])
    return (bits + nontarget[both] @ np.log2(1 + target[both] / nontarget[both])) / 2


@pytest.mark.parametrize("seed", range(6))
def test_the_least_cllr_is_that_of_pooling_adjacent_violators_in_a_loop(seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(2, 3000))
    rate = 1 / (1 + np.exp(-np.linspace(-1, 1, size) * generator.uniform(0, 30)))
    height = generator.integers(0, 10 ** int(generator.integers(1, 10)), size) + (np.arange(size) % 7 == 0)
    targets = generator.binomial(height, rate) if seed else np.r_[np.zeros(size - 1, int), 5]
    nontargets = height - targets if seed else np.r_[5, np.zeros(size - 1, int)]
    assert min_cllr(targets, nontargets) == pytest.approx(min_cllr_in_a_loop(targets, nontargets), rel=1e-12, abs=1e-12)
