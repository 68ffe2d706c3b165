"""Which utterances make the batches of an epoch: a function of (seed, epoch) alone."""

import numpy as np

from settings.errors import DataError
from settings.text import bulleted

BATCHES, CROPS = 0, 1  # independent random streams of one (seed, epoch)


def epoch_rng(seed: int, epoch: int, *stream: int) -> np.random.Generator:
    """The generator of one stream of an epoch's draws: nothing is drawn from any other."""
    return np.random.default_rng([seed, epoch, *stream])


class RandomSampler:
    """`batch_size` utterances from a shuffled list; what is left over at the end of an epoch sits it out.

    Parameters
    ----------
    labels : (N,) int64
    batch_size : int
        Utterances of a batch; all of an epoch where there are fewer.
    always, drawn : int
        The first `always` utterances are in every epoch's list, and `drawn` of those after them, each epoch others.
        Without `drawn`, all.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, always: int = 0, drawn: int | None = None):
        self.rows, self.always = len(labels), always
        self.drawn = self.rows - always if drawn is None else min(drawn, self.rows - always)
        self.total = self.always + self.drawn
        self.batch_size, self.per_system = min(batch_size, self.total), 1

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.total // self.batch_size

    def plan(self, seed: int, epoch: int) -> np.ndarray:
        """(batches, batch_size) int64 indices of the utterances of every batch of the epoch."""
        random = epoch_rng(seed, epoch, BATCHES)
        order = random.permutation(self.rows)
        if self.total < self.rows:
            chosen = self.always + random.permutation(self.rows - self.always)[: self.drawn]
            order = order[(order < self.always) | np.isin(order, chosen)]
        return order[: len(self) * self.batch_size].reshape(len(self), self.batch_size)


class BalancedSampler:
    """`batch_size` systems × `per_system` utterances of each, in group-major order.

    In an epoch each system appears in as many batches as any other (± 1), and within a system no utterance repeats
    before all have been used.

    Parameters
    ----------
    labels : (N,) int64
    batch_size : int
        Systems of a batch, K.
    per_system : int
        Utterances of each, M.
    classes : list of str
        The systems' names, for messages.

    Raises
    ------
    DataError
        More systems in a batch than there are, or systems with fewer than `per_system` utterances.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, per_system: int, classes: list[str]):
        ends = np.cumsum(np.bincount(labels, minlength=len(classes)))
        self.members = np.split(np.argsort(labels, kind="stable"), ends[:-1])
        self.total, self.batch_size, self.per_system = len(labels), batch_size, per_system
        if batch_size > len(classes):
            raise DataError(f"--batch_size {batch_size} systems in a batch, and the train list has {len(classes)}")
        few = [f"{classes[c]}: {len(m)}" for c, m in enumerate(self.members) if len(m) < per_system]
        if few:
            raise DataError(bulleted(f"systems with fewer utterances than --nPerSpeaker {per_system}", few))

    def __len__(self) -> int:
        """Batches of an epoch: as many as the list's size gives, at least one."""
        return max(1, self.total // (self.batch_size * self.per_system))

    def plan(self, seed: int, epoch: int) -> np.ndarray:
        """(batches, K·M) int64 indices of the utterances of every batch of the epoch."""
        random = epoch_rng(seed, epoch, BATCHES)
        systems = shuffled_groups(len(self.members), len(self), self.batch_size, random)
        plan = np.empty((len(self), self.batch_size, self.per_system), np.int64)
        for system, members in enumerate(self.members):
            places = np.nonzero(systems == system)
            plan[places] = members[shuffled_groups(len(members), len(places[0]), self.per_system, random)]
        return plan.reshape(len(self), -1)


def shuffled_groups(n: int, groups: int, size: int, random: np.random.Generator) -> np.ndarray:
    """(groups, size) draws from range(n), size <= n, in shuffled rounds.

    Nobody is drawn again before all have been, and nobody twice in a group, not even in one that spans two rounds.
    """
    rounds, drawn = [], 0
    while drawn < groups * size:
        fresh = random.permutation(n)
        begun = rounds[-1][n - drawn % size :] if rounds else []  # the group that the last round left unfinished
        if len(begun):
            allowed = np.flatnonzero(~np.isin(fresh, begun))[: size - len(begun)]
            fresh = np.concatenate([fresh[allowed], np.delete(fresh, allowed)])
        rounds.append(fresh)
        drawn += n
    return np.concatenate(rounds)[: groups * size].reshape(groups, size)
