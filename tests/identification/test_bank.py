"""Banks: what is kept, written, read, joined, and refused."""

from dataclasses import replace

import numpy as np
import pytest

from identification.bank import read_bank, write_bank
from identification.calibrate import calibrate
from identification.enrol import Keeping, joined, new_bank
from identification.prototypes import prototypes
from identification.scores import against, nearest, prepare
from scoring.backends import learn, mapped, score_rows
from settings.errors import DataError, ScoringError, UserError
from tests.identification.stub import clouds, made_bank


def calibrated(**options):
    bank = made_bank(**options)
    rows, labels, _ = clouds(systems=12, seed=5)
    return replace(bank, calibration=calibrate(prepare(bank), rows, labels, source="dev.csv"))


def same(one, other):
    for name, value in vars(one).items():
        np.testing.assert_equal(getattr(other, name), value)


@pytest.mark.parametrize("backend", ["cosine", "wccn", "lda", "plda"])
def test_a_file_gives_the_same_bank_and_scores(backend, tmp_path):
    bank = calibrated(backend=backend)
    write_bank(bank, tmp_path / "bank.npz")
    read = read_bank(tmp_path / "bank.npz")
    rows, _, _ = clouds(seed=7)
    np.testing.assert_array_equal(against(prepare(read), rows), against(prepare(bank), rows))
    assert read.calibration.about == bank.calibration.about
    assert (read.systems, read.paths, read.dates) == (bank.systems, bank.paths, bank.dates)


def test_the_arrays_of_a_file_are_plain(tmp_path):
    write_bank(calibrated(), tmp_path / "bank.npz")
    with np.load(tmp_path / "bank.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "Ufi" for name in arrays.files)


@pytest.mark.parametrize("backend", ["cosine", "wccn", "plda"])
def test_centroid_and_plda_scores_are_those_of_plain_loops(backend):
    bank, (rows, _, _) = made_bank(backend), clouds(seed=7)
    scores = against(prepare(bank), rows[:5])
    points = mapped(bank.backend, rows[:5]).astype(np.float64)
    for system in range(3):
        own = mapped(bank.backend, bank.rows[bank.owners == system]).astype(np.float64)
        for point, score in zip(points, scores[:, system], strict=True):
            if backend != "plda":
                mean = own.mean(axis=0)
                assert score == pytest.approx(point @ mean / np.linalg.norm(point) / np.linalg.norm(mean), abs=1e-5)
            else:
                assert score == pytest.approx(plda_loop(point, own, bank.backend.between), rel=1e-3, abs=1e-2)


def plda_loop(point, own, between):
    """Ratio of the densities of a point given n points of the system, and not given them, direction by direction."""
    total, n = 0.0, len(own)
    for z, mean, p in zip(point, own.mean(axis=0), between, strict=True):
        centre, variance = n * p / (n * p + 1) * mean, 1 + p / (n * p + 1)
        total += -0.5 * np.log(variance) - (z - centre) ** 2 / (2 * variance)
        total += 0.5 * np.log(1 + p) + z**2 / (2 * (1 + p))
    return total


def test_plda_of_one_enrolled_utterance_is_that_of_the_pair():
    rows, labels, paths = clouds(each=12)
    learned = learn("plda", rows, np.array(labels))
    ones = [n for n in range(len(rows)) if n % 12 == 0]
    bank = new_bank(
        rows[ones],
        [labels[n] for n in ones],
        [paths[n] for n in ones],
        backend=learned,
        checkpoint="",
        model="",
        scorer="plda",
    )
    point = mapped(learned, rows[1:2])
    expected = score_rows(learned, np.repeat(point, 8, axis=0), mapped(learned, rows[ones]))
    np.testing.assert_allclose(against(prepare(bank), rows[1:2])[0], expected, rtol=1e-3, atol=1e-2)


def test_knn_takes_the_mean_of_the_five_highest_cosines():
    bank, (rows, _, _) = made_bank(scorer="knn"), clouds(seed=7)
    unit = rows[3] / np.linalg.norm(rows[3])
    expected = [np.sort(bank.rows[bank.owners == s] @ unit)[-5:].mean() for s in range(8)]
    np.testing.assert_allclose(against(prepare(bank), rows[3:4])[0], expected, rtol=1e-5)


def test_knn_of_systems_with_different_numbers_of_files_is_the_same():
    rows, labels, paths = clouds()
    kept = [n for n in range(len(rows)) if n % 12 < 3 + n // 12]  # 3 files of the first system, 4 of the second, ...
    own = [[column[n] for n in kept] for column in (labels, paths)]
    bank = new_bank(rows[kept], *own, backend=made_bank().backend, checkpoint="d1", model="m", scorer="knn")
    queries, _, _ = clouds(seed=7)
    unit = queries[3] / np.linalg.norm(queries[3])
    expected = [np.sort(bank.rows[bank.owners == s] @ unit)[-5:].mean() for s in range(8)]
    np.testing.assert_allclose(against(prepare(bank), queries[3:4])[0], expected, rtol=1e-5)


def test_nearest_files_come_most_alike_first():
    bank = made_bank()
    found = nearest(prepare(bank), bank.rows[17], 3)
    assert found[0] == (bank.paths[17], bank.systems[1], pytest.approx(1.0, abs=1e-6))
    assert found[0][2] >= found[1][2] >= found[2][2]


def test_enrolling_in_two_steps_is_enrolling_at_once():
    rows, labels, paths = clouds(systems=8)
    backend = learn("wccn", rows, np.array(labels))
    half = np.arange(len(rows)) % 2 == 0

    def bank(chosen):
        kept = np.flatnonzero(chosen)
        own = [[column[n] for n in kept] for column in (labels, paths)]
        return new_bank(rows[kept], *own, backend=backend, checkpoint="d", model="m")

    whole, steps = bank(half | ~half), joined(bank(half), bank(~half))
    assert steps.systems == whole.systems
    np.testing.assert_allclose(steps.sums, whole.sums)
    np.testing.assert_array_equal(steps.counts, whole.counts)
    np.testing.assert_allclose(against(prepare(steps), rows), against(prepare(whole), rows), atol=1e-6)
    with pytest.raises(DataError, match="enrolled already"):
        joined(whole, bank(half))


def test_a_system_taken_out_leaves_the_others_as_they_were():
    bank = calibrated()
    less = bank.without(["s03"])
    rows, _, _ = clouds(seed=7)
    np.testing.assert_array_equal(against(prepare(less), rows), np.delete(against(prepare(bank), rows), 3, axis=1))
    assert less.calibration is None
    with pytest.raises(DataError, match="did you mean s04"):
        bank.without(["s4"])
    with pytest.raises(DataError, match="delete the file"):
        bank.without(bank.systems)


def test_above_a_number_prototypes_stand_for_a_system():
    whole, few = made_bank(), made_bank(keeping=Keeping(most=10, prototypes=4))
    assert len(few.rows) == 8 * 4
    assert set(few.paths) <= set(whole.paths)
    rows, _, _ = clouds(seed=7)
    np.testing.assert_allclose(against(prepare(few), rows), against(prepare(whole), rows))  # the mean is of all


def test_prototypes_cover_what_they_stand_for():
    random = np.random.default_rng(0)
    groups = np.repeat(np.eye(5), 30, axis=0) + 0.05 * random.standard_normal((150, 5))
    rows = (groups / np.linalg.norm(groups, axis=1, keepdims=True)).astype(np.float32)
    assert sorted(prototypes(rows, 5) // 30) == [0, 1, 2, 3, 4]
    assert prototypes(np.repeat(rows[:1], 9, axis=0), 4).tolist() == sorted(set(prototypes(rows[[0] * 9], 4)))


CHANGES = {
    "a system twice": {"systems": np.array(["s00"] * 8)},
    "a system called unknown": {"systems": np.array(["unknown", *[f"s{n:02}" for n in range(1, 8)]])},
    "a terminal's escape": {"systems": np.array(["\x1b[2J", *[f"s{n:02}" for n in range(1, 8)]])},
    "an owner that is not there": {"owners": np.full(96, 9)},
    "negative counts": {"counts": np.full(8, -1)},
    "rows that are not of length one": {"rows": np.ones((96, 16), np.float32)},
    "NaN": {"sums": np.full((8, 16), np.nan)},
    "too few paths": {"paths": np.array(["a"])},
    "another scorer": {"about": np.array('{"checkpoint": "d1", "model": "m", "scorer": "plda"}')},
    "no words": {"about": np.array("[" * 100_000)},
    "a calibration of NaN": {"calibration_identify": np.array([np.nan, 0, -1, 1])},
    "a falling calibration": {"calibration_identify": np.array([-1.0, 0, -1, 1])},
    "bounds the wrong way round": {"calibration_compare": np.array([1.0, 0, 1, -1])},
    "a threshold of text": {"calibration_threshold": np.array("high")},
    "a calibration without words": {"calibration_about": np.array("{}")},
    "Python objects": {"systems": np.array([print] * 8, dtype=object)},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_tampered_bank_is_refused_in_one_line(what, tmp_path):
    write_bank(calibrated(), tmp_path / "bank.npz")
    with np.load(tmp_path / "bank.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "bad.npz", **arrays | CHANGES[what])
    with pytest.raises(DataError, match=r"^[^\n\x1b]*bad\.npz[^\n\x1b]*$"):
        read_bank(tmp_path / "bad.npz")


def test_a_damaged_file_is_refused_or_sound(tmp_path):
    write_bank(calibrated(systems=2), tmp_path / "bank.npz")
    content = (tmp_path / "bank.npz").read_bytes()
    random, refused = np.random.default_rng(0), 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in random.integers(len(content), size=random.integers(1, 20)):
            damaged[place] = random.integers(256)
        (tmp_path / "bad.npz").write_bytes(damaged[: random.integers(len(content) // 2, len(content) + 1)])
        try:
            read_bank(tmp_path / "bad.npz")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


def test_embeddings_of_another_model_do_not_mix():
    with pytest.raises(ScoringError, match="another model"):
        joined(made_bank(), replace(made_bank(), checkpoint="d2", paths=[f"x{n}" for n in range(96)]))
