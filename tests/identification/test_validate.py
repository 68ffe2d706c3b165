"""A calibrated bank validated: figures by hand and by plain loops, and the page that shows them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from identification.calibrate import calibrate
from identification.lists import Listed
from identification.output import limits
from identification.scores import against, prepare
from identification.validate import reliability, tippett, validate
from identification.validate_page import write_page
from scoring.calibration import Comparisons
from settings.errors import DataError
from tests.browser import BROWSER, rendered
from tests.identification.stub import clouds, made_bank


def made(systems=12, first=0, seed=6, conditions=True):
    """A calibrated bank of 8 systems and a list of other utterances."""
    bank = made_bank()
    rows, labels, _ = clouds(systems=12, seed=5)
    bank = replace(bank, calibration=calibrate(prepare(bank), rows, labels, source="dev.csv"))
    rows, labels, paths = clouds(systems=systems, seed=seed, first=first)
    said = ["seen_system_seen_language" if label < "s08" else "unseen" for label in labels] if conditions else None
    return bank, Listed("test.csv", rows, labels, paths, None, said)


def test_rates_are_those_of_a_plain_loop():
    bank, listed = made()
    scores = against(prepare(bank), listed.embeddings)
    right = wrong = missed = first = alarms = 0
    for own, label in zip(scores, listed.systems, strict=True):
        best = bank.systems[int(own.argmax())]
        named = bank.calibration.identify.line(own.max()) >= bank.calibration.threshold
        if label in bank.systems:
            first += best == label
            right += named and best == label
            wrong += named and best != label
            missed += not named
        else:
            alarms += named
    found = validate(prepare(bank), listed, draws=50)
    rates = {name: rate["pooled"] for name, rate in found["rates"].items()}
    expected = {"rank_1": first / 96, "named_rightly": right / 96, "named_wrongly": wrong / 96, "missed": missed / 96}
    for name, rate in (expected | {"unknown_named": alarms / 48}).items():
        assert rates[name] == pytest.approx(rate), name
    assert found["named"]["utterances"] == right + wrong + alarms
    assert found["named"]["wrong"] == wrong + alarms
    assert found["min_cllr"] <= found["cllr"] < 0.5
    low, high = found["cllr_interval"]
    assert low < found["cllr"] < high


def test_by_condition_and_by_system_add_up():
    found = validate(prepare(made()[0]), made()[1], draws=0)
    rows = {row["condition"]: row for row in found["conditions"]}
    assert rows["all"]["after"] == pytest.approx(found["cllr"])
    assert rows["unseen"]["rank_1"] is None and rows["unseen"]["unknown_named"] is not None
    assert sum(row["utterances"] for row in found["by_system"]) == 144
    assert [row["system"] for row in found["left_out"]] == [f"s{n:02}" for n in range(8)]
    assert found["cllr_interval"] is None


def test_tippett_counts_what_lies_above():
    found = Comparisons(np.zeros(4), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), 2)
    curves = tippett(found, np.array([1.0, -1.0, -0.5, 0.5]))
    at = np.array(curves["log10_lr"])
    middle = int(np.abs(at).argmin())
    assert (curves["targets"][0], curves["targets"][middle], curves["targets"][-1]) == (1, 0.5, 0)
    assert (curves["misleading_targets"], curves["misleading_nontargets"]) == (0.5, 0.5)


def test_reliability_is_what_was_said_and_what_was_so():
    found = Comparisons(np.zeros(4), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), 2)
    rows = reliability(found, np.array([1.0, 1.0, 1.0, -1.0]))
    assert [row["comparisons"] for row in rows] == [1, 3]
    assert rows[0]["share"] == 0 and rows[1]["share"] == pytest.approx(2 / 3)
    assert rows[1]["said"] == pytest.approx(10 / 11)


def test_without_unknown_systems_enrolled_ones_are_left_out():
    bank, listed = made(systems=8, conditions=False)
    found = validate(prepare(bank), listed, draws=0)
    assert found["unknown"]["left_out"] and "unknown_named" not in found["rates"]
    bank, listed = made(first=20)
    with pytest.raises(DataError, match="none of its systems"):
        validate(prepare(bank), listed)


def test_the_page_is_self_contained_and_harmless(tmp_path):
    bank, listed = made()
    listed = replace(listed, systems=[label.replace("s09", "<script>x</script>") for label in listed.systems])
    result = validate(prepare(bank), listed, draws=20)
    html, data = write_page(result, limits(bank, "bank.npz"), tmp_path)
    text = html.read_text()
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http" not in text and text.count("data:image/png") == 2
    assert "genuine speech is not excluded" in text
    assert json.loads(data.read_text())["result"]["cllr"] == result["cllr"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")
def test_a_browser_shows_the_page(tmp_path):
    bank, listed = made()
    html, _ = write_page(validate(prepare(bank), listed, draws=0), limits(bank, "bank.npz"), tmp_path)
    document = rendered(html, tmp_path / "profile")
    assert "By condition" in document and "seen system, seen language" in document
