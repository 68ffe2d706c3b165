"""A bank calibrated: what the ratios say of lists they were not learned from."""

from dataclasses import replace

import numpy as np
import pytest

from identification.answers import answer, posteriors, read_prior, two_systems
from identification.calibrate import Wanted, calibrate, check_not_enrolled, comparisons, judge, weighted_curve
from identification.recordings import Recording
from identification.scores import against, prepare
from identification.verbal import read_scale
from scoring.calibration import least_cllr, weighted_cllr
from settings.errors import DataError
from tests.identification.stub import clouds, made_bank
from tuneThreshold import at_threshold


def calibrated(systems=12, wanted=None, **options):
    """A bank of 8 systems, calibrated with these and others; and its prepared form."""
    bank = made_bank(**options)
    rows, labels, _ = clouds(systems=systems, seed=5)
    calibration = calibrate(
        prepare(bank), rows, labels, source="dev.csv", languages=["de"] * len(rows), wanted=wanted or Wanted()
    )
    return replace(bank, calibration=calibration)


@pytest.mark.parametrize("backend", ["cosine", "plda"])
def test_ratios_hold_on_another_list(backend):
    bank = calibrated(backend=backend)
    rows, labels, _ = clouds(systems=30, seed=6)
    found = comparisons(judge(prepare(bank), rows, labels))
    cost = weighted_cllr(bank.calibration.identify.log10(found.scores) * np.log(10), found)
    assert cost < least_cllr(found) + 0.1 < 0.5
    if backend == "cosine":  # plda's scores are ratios already
        assert bank.calibration.about["cllr_after"] < bank.calibration.about["cllr_before"]


def test_the_threshold_keeps_to_a_false_alarm_rate():
    few, many = (calibrated(wanted=Wanted(false_alarm=rate)) for rate in (0.02, 0.3))
    assert few.calibration.threshold > many.calibration.threshold
    for bank, rate in ((few, 0.02), (many, 0.3)):
        assert bank.calibration.about["false_alarm"] <= rate
        assert f"{rate:g}" in bank.calibration.about["rule"]


def test_without_unknown_systems_each_is_left_out_in_turn():
    bank = calibrated(systems=8)
    about = bank.calibration.about
    assert (about["left_out"], about["unknown"]) == (True, 0)
    rows, labels, _ = clouds(systems=6, seed=6, first=20)
    highest = bank.calibration.identify.natural(against(prepare(bank), rows)).max(axis=1)
    assert (highest >= bank.calibration.threshold).mean() < 0.3
    rows, labels, _ = clouds(systems=8, seed=6)
    highest = bank.calibration.identify.natural(against(prepare(bank), rows)).max(axis=1)
    assert (highest >= bank.calibration.threshold).mean() > 0.7


def test_every_system_weighs_the_same_in_the_threshold():
    scores, known = np.array([3.0, 2, 1, 2.5, 0, -1]), np.array([1, 1, 1, 0, 0, 0], bool)
    curve = weighted_curve(scores, known, np.array([0, 0, 1, 2, 3, 3]))
    point = at_threshold(curve, 2.0)
    assert (point.fpr, point.fnr) == (0.5, 0.5)


def test_conditions_have_rows_of_their_own_and_one_without_targets_says_so():
    bank = made_bank()
    rows, labels, _ = clouds(systems=12, seed=5)
    conditions = ["seen" if label < "s08" else "unseen" for label in labels]
    about = calibrate(prepare(bank), rows, labels, source="dev", conditions=conditions).about
    by = {row["condition"]: row for row in about["conditions"]}
    assert by["seen"]["after"] is not None and by["unseen"]["after"] is None
    assert by["unseen"]["after_nontarget"] is not None
    assert by["all"]["after"] == pytest.approx(about["cllr_after"])


def test_what_cannot_be_calibrated_is_said():
    bank = made_bank()
    rows, labels, paths = clouds(systems=4, first=20)
    with pytest.raises(DataError, match="none of its systems is enrolled"):
        calibrate(prepare(bank), rows, labels, source="dev")
    with pytest.raises(DataError, match="are enrolled in the bank"):
        check_not_enrolled(bank, rows, [*paths[:-1], bank.paths[0]], "dev")
    with pytest.raises(DataError, match="1 of its files are enrolled"):
        check_not_enrolled(bank, np.concatenate([rows[:-1], 3 * bank.rows[5:6]]), paths, "dev")
    check_not_enrolled(bank, rows, paths, "dev")


def test_an_interval_holds_its_ratio_and_stays_within_the_bounds():
    ratios = calibrated().calibration.identify
    scores = np.linspace(-1, 1, 41)
    low, high = ratios.interval(scores)
    value = ratios.log10(scores)
    assert (low <= value).all() and (value <= high).all()
    ends = np.array([ratios.low, ratios.high]) / np.log(10)
    assert low.min() >= ends[0] and high.max() <= ends[1]
    assert (high - low).max() > 0.01
    assert ratios.at_bound(1.0) and not ratios.at_bound(-ratios.line.offset / ratios.line.slope)


def test_an_answer_names_a_system_or_none():
    bank = calibrated()
    prepared, prior = prepare(bank), read_prior(bank, "uniform")
    rows, labels, _ = clouds(systems=8, seed=6)
    known = answer(bank, Recording("a.wav", 2.0, rows[0]), against(prepared, rows[:1])[0], prior=prior, top=3)
    assert known.verdict == labels[0] == known.candidates[0].system
    assert len(known.candidates) == 3
    shares = [c.posterior for c in known.candidates]
    assert shares == sorted(shares, reverse=True) and sum(shares) + known.unknown_posterior <= 1
    far, _, _ = clouds(systems=1, seed=6, first=30)
    unknown = answer(bank, Recording("b.wav", 2.0, far[0]), against(prepared, far[:1])[0], prior=prior)
    assert unknown.verdict == "unknown"
    assert unknown.unknown_posterior > known.unknown_posterior


def test_a_language_outside_the_calibration_is_remarked():
    bank = calibrated()
    scores = against(prepare(bank), clouds(seed=6)[0][:1])[0]
    assert not answer(bank, Recording("a.wav"), scores, language="de").remarks
    assert "no fi" in answer(bank, Recording("a.wav"), scores, language="fi").remarks[0]


def test_posteriors_are_bayes_rule():
    found = posteriors(np.log10([4.0, 0.5]), np.array([0.2, 0.3, 0.5]))
    np.testing.assert_allclose(found, np.array([0.8, 0.15, 0.5]) / 1.45)
    assert posteriors(np.array([300.0, -300.0]), np.array([0.0, 0.5, 0.5]))[0] == 0


def test_two_systems_have_the_ratio_of_their_ratios():
    bank = calibrated()
    ratios, scores = bank.calibration.identify, np.zeros(8)
    scores[2] = 0.5 / ratios.line.slope
    value, low, high = two_systems(bank, scores, "s02", "s05")
    assert value == pytest.approx(0.5 / np.log(10)) and low < value < high
    assert two_systems(bank, scores, "s05", "s02")[0] == pytest.approx(-value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("s00,1.0\n", "no row for"),
        ("".join(f"s{n:02},0.1\n" for n in range(8)) + "unknown,0.5\n", "sum to 1"),
        ("".join(f"s{n:02},0.1\n" for n in range(8)) + "unknown,0.2\nzz,0\n", "not enrolled: zz"),
        ("s00;x\n", "columns system,prior"),
    ],
)
def test_a_prior_that_is_none_is_refused(rows, message, tmp_path):
    (tmp_path / "prior.csv").write_text(f"system,prior\n{rows}")
    with pytest.raises(DataError, match=message):
        read_prior(made_bank(), str(tmp_path / "prior.csv"))


def test_a_prior_is_read():
    assert read_prior(made_bank(), "uniform") == pytest.approx(np.full(9, 1 / 9))


def test_words_follow_the_table_and_never_say_made_by(tmp_path):
    scale = read_scale()
    assert [scale.of(value) for value in (0.2, 0.5, -1.5, 7)] == [
        "no support",
        "weak support",
        "moderate support",
        "extremely strong support",
    ]
    assert scale.sentence(-1.5, "a", "b").startswith("supports b over a (log10 LR -1.50: moderate")
    assert scale.sentence(0.1, "a", "b").startswith("supports neither")
    assert "ENFSI" in scale.source
    (tmp_path / "own.csv").write_text("log10_lr,words\n0,nothing\n1,something\n")
    assert read_scale(tmp_path / "own.csv").of(3) == "something"
    (tmp_path / "own.csv").write_text("log10_lr,words\n1,something\n0,nothing\n")
    with pytest.raises(DataError, match="start with 0 and rise"):
        read_scale(tmp_path / "own.csv")


@pytest.mark.parametrize(
    "content", [b"\xff", b"log10_lr,words\n0," + b"x" * 200_000, b"system,prior\n" + b"y" * 200_000]
)
def test_tables_that_are_no_text_or_too_wide_are_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    for path in (tmp_path / "a.csv", "/dev/zero"):
        with pytest.raises(DataError):
            read_scale(path)
        with pytest.raises(DataError):
            read_prior(made_bank(), str(path))
