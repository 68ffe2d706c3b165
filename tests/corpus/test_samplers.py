"""Batches and crops: what is drawn, how evenly, and that only seed and epoch decide."""

import numpy as np
import pytest

from corpus.audio import AudioFiles, Waveforms, cut
from corpus.crops import crop_samples, crop_starts
from corpus.eval_loader import EvalLoader
from corpus.samplers import BalancedSampler, RandomSampler, shuffled_groups
from DatasetLoader import TrainLoader
from settings.errors import DataError

SIZES = [7, 30, 12, 5, 91]
LABELS = np.repeat(np.arange(5), SIZES)
CLASSES = list("abcde")


class Numbers(AudioFiles):
    """Audio whose i-th utterance is i, i + 0.0001, i + 0.0002, ..."""

    def __init__(self, lengths):
        super().__init__(range(len(lengths)))
        self.lengths = np.asarray(lengths)

    def read(self, row):
        return (row + np.arange(self.lengths[row]) / 10_000).astype(np.float32)


def balanced(batch_size=3, per_system=4):
    return BalancedSampler(LABELS, batch_size, per_system, CLASSES)


@pytest.mark.parametrize("sampler", [RandomSampler(LABELS, 16), balanced()])
def test_a_plan_is_a_function_of_seed_and_epoch(sampler):
    assert np.array_equal(sampler.plan(1, 2), sampler.plan(1, 2))
    assert not np.array_equal(sampler.plan(1, 2), sampler.plan(1, 3))
    assert not np.array_equal(sampler.plan(1, 2), sampler.plan(2, 2))


def test_random_batches_hold_each_utterance_at_most_once():
    sampler = RandomSampler(LABELS, 16)
    plan = sampler.plan(0, 0)
    assert plan.shape == (len(sampler), 16) == (9, 16)
    assert np.unique(plan).size == plan.size


def test_of_copies_each_epoch_has_others_and_of_originals_all():
    sampler = RandomSampler(LABELS, 5, always=42, drawn=28)
    plans = [sampler.plan(0, epoch) for epoch in range(40)]
    assert len(sampler) == 14 and all(plan.shape == (14, 5) for plan in plans)
    copies = [set(plan[plan >= 42]) for plan in plans]
    assert all(set(range(42)) <= set(plan.ravel()) for plan in plans) and {len(drawn) for drawn in copies} == {28}
    times = np.bincount(np.concatenate(plans).ravel(), minlength=145)
    assert (times[:42] == 40).all() and times[42:].min() > 0 and times[42:].max() < 25  # 10.9 on the mean
    assert np.mean([plan.ravel().argsort()[:42].mean() for plan in plans]) == pytest.approx(34.5, abs=2)  # well mixed
    assert np.array_equal(plans[3], RandomSampler(LABELS, 5, always=42, drawn=28).plan(0, 3))


def test_a_list_smaller_than_a_batch_is_one_batch():
    assert RandomSampler(np.zeros(5, int), 128).plan(0, 0).shape == (1, 5)
    assert len(BalancedSampler(np.repeat([0, 1], 3), 2, 3, ["a", "b"])) == 1


@pytest.mark.parametrize("epoch", range(5))
def test_balanced_batches_are_groups_of_distinct_systems_and_utterances(epoch):
    sampler = balanced()
    plan = sampler.plan(0, epoch)
    assert plan.shape == (len(sampler), 12) == (145 // 12, 12)
    systems = LABELS[plan].reshape(-1, 3, 4)
    assert (systems == systems[..., :1]).all()  # group-major: M utterances of the first system, then the next
    assert all(len(set(row)) == 3 for row in systems[..., 0])
    assert all(len(set(row)) == 12 for row in plan)


@pytest.mark.parametrize("epoch", range(5))
def test_every_system_appears_in_as_many_batches_as_any_other(epoch):
    seen = np.bincount(LABELS[balanced().plan(0, epoch)].reshape(-1, 3, 4)[..., 0].ravel())
    assert seen.max() - seen.min() <= 1


@pytest.mark.parametrize("epoch", range(5))
def test_no_utterance_of_a_system_repeats_before_all_have_been_used(epoch):
    plan = balanced().plan(0, epoch)
    for system, size in enumerate(SIZES):
        drawn = plan[LABELS[plan] == system]
        for begin in range(0, len(drawn), size):
            part = drawn[begin : begin + size]
            assert len(set(part)) == len(part)


def test_groups_that_span_two_rounds_hold_nobody_twice():
    for n, size in [(5, 3), (7, 7), (7, 5), (2, 2), (9, 1)]:
        groups = shuffled_groups(n, 200, size, np.random.default_rng(0))
        assert all(len(set(group)) == size for group in groups)
        counts = np.bincount(groups.ravel(), minlength=n)
        assert counts.max() - counts.min() <= 1


def test_more_systems_in_a_batch_than_there_are_is_an_error_naming_both():
    with pytest.raises(DataError, match="--batch_size 6 .* has 5"):
        balanced(batch_size=6)


def test_systems_with_too_few_utterances_are_named():
    with pytest.raises(DataError, match="--nPerSpeaker 8:\n  a: 7\n  d: 5"):
        balanced(per_system=8)


def test_crops_are_drawn_per_utterance_from_everywhere_they_fit():
    lengths = np.array([crop_samples(20)] * 500 + [crop_samples(20) + 3] * 500 + [50])
    plan = np.arange(1001).reshape(1, -1)
    (starts,) = crop_starts(lengths, plan, crop_samples(20), seed=1, epoch=0)
    assert set(starts[:500]) == {0} and set(starts[500:1000]) == {0, 1, 2, 3} and starts[1000] == 0
    assert np.array_equal([starts], crop_starts(lengths, plan, crop_samples(20), 1, 0))
    assert not np.array_equal([starts], crop_starts(lengths, plan, crop_samples(20), 1, 1))


def test_an_utterance_drawn_again_in_an_epoch_gets_another_crop_each_time():
    lengths = np.array([100_000, 90_000, 80_000])
    starts = crop_starts(lengths, np.array([[0, 1], [0, 2], [1, 0]]), 1_000, seed=1, epoch=0)
    assert len(set(starts[[0, 1, 2], [0, 0, 1]])) == 3 and starts[0, 1] != starts[2, 0]
    once = crop_starts(lengths, np.array([[0, 1, 2]]), 1_000, seed=1, epoch=0)[0]
    assert once.tolist() == [starts[0, 0], starts[0, 1], starts[1, 1]]  # whatever else is drawn, and wherever


def test_short_audio_is_repeated_never_padded():
    assert cut(np.array([1.0, 2.0, 3.0]), 0, 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]


def test_a_crop_has_voxceleb_trainers_length():
    assert crop_samples(200) == 32_240


@pytest.mark.parametrize("threads", [1, 4])
def test_batches_are_what_the_plan_says_whatever_the_threads(threads):
    audio = Numbers(np.arange(145) + 60)
    sampler = balanced()
    loader = TrainLoader(audio, audio.lengths, LABELS, sampler, 50, seed=3, threads=threads)
    plan = sampler.plan(3, 7)
    starts = crop_starts(audio.lengths, plan, 50, 3, 7)
    batches = list(loader.epoch(7))
    assert len(batches) == len(loader)
    for rows, begins, batch in zip(plan, starts, batches, strict=True):
        assert np.array_equal(batch.rows, rows) and batch.labels.tolist() == LABELS[rows].tolist()
        expected = np.stack([audio.read(row)[begin : begin + 50] for row, begin in zip(rows, begins, strict=True)])
        assert np.array_equal(batch.waveforms.numpy(), expected)
    later = list(loader.epoch(7, first=4))
    assert len(later) == len(loader) - 4
    assert np.array_equal(later[0].waveforms, batches[4].waveforms)


def test_crops_come_again_with_a_crop_cycle_and_batches_do_not():
    audio = Numbers(np.full(145, 90))
    loader = TrainLoader(audio, audio.lengths, LABELS, RandomSampler(LABELS, 145), 50, 3, 2, crop_cycle=2)
    (first,), (second,), (third,) = (list(loader.epoch(epoch)) for epoch in range(3))
    in_order = [batch.waveforms[np.argsort(batch.rows)] for batch in (first, second, third)]
    assert np.array_equal(in_order[0], in_order[2]) and not np.array_equal(in_order[0], in_order[1])
    assert not np.array_equal(first.rows, third.rows)


def test_a_file_that_breaks_during_an_epoch_raises_where_it_is_needed():
    class Broken(Numbers):
        def read(self, row):
            if row == 40:
                raise DataError("x.wav vanished")
            return super().read(row)

    audio = Broken(np.full(145, 60))
    with pytest.raises(DataError, match="vanished"):
        list(TrainLoader(audio, audio.lengths, LABELS, RandomSampler(LABELS, 145), 50, 0, 2).epoch(0))


def test_evaluation_takes_every_utterance_once_in_batches_of_one_length():
    lengths = np.array([300, 200, 300, 200, 100])
    seen = []
    for rows, crops, ends in EvalLoader(Numbers(lengths), lengths, frames=0, count=10, threads=2):
        assert crops.shape == (len(rows), 1, lengths[rows[0]]) and ends is None
        seen += rows.tolist()
    assert sorted(seen) == [0, 1, 2, 3, 4] and len(seen) == 5


def test_evaluation_crops_are_evenly_spaced_from_start_to_end():
    lengths = np.array([10_000, 1_000])
    ((rows, crops, _),) = EvalLoader(Waveforms([np.arange(n) for n in lengths]), lengths, 20, 5, threads=1)
    assert rows.tolist() == [0, 1] and crops.shape == (2, 5, 3_440)
    assert crops[0, :, 0].tolist() == [0, 1640, 3280, 4920, 6560] and crops[0, -1, -1] == 9_999
    assert crops[1, 4, :1001].tolist() == [*range(1_000), 0]  # what is shorter than a crop repeats
