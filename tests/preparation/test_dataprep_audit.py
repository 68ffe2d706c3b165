"""dataprep.py audit: every file judged, shortcuts quantified, twins found, and status 1 where training would fail."""

import csv
import json

import numpy as np
import pytest
import soundfile

import dataprep
from corpus.filters import lowpass
from preparation.audit.measure import bandwidth, clipped, measure
from preparation.audit.shortcuts import predictability

RANDOM = np.random.default_rng(0)


def noise(seconds=1.0, rate=16_000, level=0.05):
    return RANDOM.normal(0, level, int(seconds * rate)).astype(np.float32)


def listed(folder, name, rows):
    (folder / f"{name}.csv").write_text("path,model_name\n" + "".join(f"{p},{s}\n" for p, s in rows))
    return str(folder / f"{name}.csv")


def run(*argv):
    return dataprep.main(["audit", *map(str, argv)])


def healthy(folder, systems=2, files=12):
    """Files of noise: their rows."""
    rows = []
    for system in range(systems):
        for i in range(files):
            soundfile.write(folder / f"{system}_{i}.wav", noise(), 16_000)
            rows.append((f"{system}_{i}.wav", f"system{system}"))
    return rows


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing"),
        (b"", "empty"),
        (b"RIFF nonsense", "unreadable"),
        ("short", "too short"),
        ("nan", "not sound"),
        ("folder", "unreadable"),
        ("cut", "truncated"),
    ],
)
def test_each_problem_is_named(tmp_path, content, problem):
    file = tmp_path / "x.wav"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "folder":
        file.mkdir()
    elif content:
        samples = noise(0.05 if content == "short" else 1.0)
        samples[10] = np.nan if content == "nan" else 0
        soundfile.write(file, samples, 16_000, subtype="FLOAT")
        if content == "cut":
            file.write_bytes(file.read_bytes()[:-20_000])
    facts = measure(file)
    assert facts.problem == problem and str(file) in facts.detail


def test_unusable_files_mean_status_1_and_are_named_with_their_line(tmp_path, capsys):
    rows = healthy(tmp_path)
    assert run(listed(tmp_path, "good", rows), "--path", tmp_path) == 0
    assert "Every file can be used." in capsys.readouterr().out
    (tmp_path / "bad.wav").write_bytes(b"")
    bad = listed(tmp_path, "bad", [*rows, ("bad.wav", "system0"), ("none.wav", "system1")])
    assert run(bad, "--path", tmp_path, "--out", tmp_path / "out") == 1
    out = capsys.readouterr().out
    assert "Training would fail: 2 files cannot be used" in out
    assert "line 26: " in out and "**missing: 1 files**" in out and "**empty: 1 files**" in out
    findings = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert findings["training_would_fail"] and findings["lists"][bad]["usable"] == 24
    with (tmp_path / "out" / "files.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26 and {row["list"] for row in rows} == {bad}
    assert (rows[-1]["path"], rows[-1]["system"], rows[-1]["problem"]) == ("none.wav", "system1", "missing")
    assert (tmp_path / "out" / "audit.md").read_text().startswith("# Audit")


def test_silent_and_clipped_files_are_doubtful_but_no_failure(tmp_path, capsys):
    rows = healthy(tmp_path)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "clipped.wav", np.clip(noise(level=1.0), -1, 1), 16_000)
    source = listed(tmp_path, "l", [*rows, ("silent.wav", "system0"), ("clipped.wav", "system1")])
    assert run(source, "--path", tmp_path) == 0
    out = capsys.readouterr().out
    assert "silent: 1 files" in out and "clipped: 1 files" in out
    assert not clipped(np.array([1.0, 1.0, 0.5, 1.0], np.float32))


def test_identical_audio_is_found_by_content(tmp_path, capsys):
    rows = healthy(tmp_path)
    samples, _ = soundfile.read(tmp_path / "0_0.wav", dtype="int16")
    soundfile.write(tmp_path / "twin.flac", samples, 16_000)  # another container, the same samples
    soundfile.write(tmp_path / "slow.wav", samples, 8_000)  # the same samples, another sound
    train = listed(tmp_path, "train", rows)
    other = listed(tmp_path, "test", [("twin.flac", "system1"), ("slow.wav", "system0"), ("0_1.wav", "system0")])
    assert run(train, other, "--path", tmp_path) == 0
    out = capsys.readouterr().out
    assert "Identical audio under different labels: 1 groups" in out
    assert (
        "0_0.wav (system0) = " in out
        and "twin.flac (system1)" in out
        and "= " not in out.split("slow.wav")[-1].split("\n")[0]
    )
    assert "Paths that several lists name: 1" in out


def test_a_sampling_rate_that_gives_a_system_away_is_warned_of(tmp_path, capsys):
    rows = healthy(tmp_path)
    for i in range(12):
        soundfile.write(tmp_path / f"slow{i}.wav", noise(rate=10_000), 10_000)
        rows.append((f"slow{i}.wav", "slow"))
    assert run(listed(tmp_path, "l", rows), "--path", tmp_path) == 0
    out = capsys.readouterr().out
    assert "**Warning:** sampling rate (Hz) alone names the right one of 3 systems for 67%" in out
    assert "slow (100% of its files, 100% right)" in out
    assert "| slow | 12 | 10000 | 5000" in out


@pytest.mark.parametrize(("rate", "edge"), [(16_000, 4_000), (16_000, 7_000), (16_000, 8_000)])
def test_bandwidth_is_where_the_band_ends(rate, edge):
    samples = noise(3.0, rate)
    samples = lowpass(samples, edge) if edge < rate / 2 else samples
    assert bandwidth(samples, rate) == pytest.approx(edge, abs=150)
    floor = noise(3.0, rate, 0.05 * 10 ** (-75 / 20))
    assert bandwidth(samples + floor, rate) == pytest.approx(edge, abs=150)


def test_bandwidth_needs_only_a_few_frames_of_it():
    narrow = lowpass(noise(3.0), 3_000)
    narrow[16_000:20_800] += noise(0.3, level=0.005)  # a weak fricative: a tenth of the file, 20 dB down
    assert bandwidth(narrow, 16_000) == pytest.approx(8_000, abs=150)
    assert bandwidth(np.zeros(16_000, np.float32), 16_000) == 0


def test_predictability_is_chance_on_noise_and_1_on_a_give_away():
    systems = [f"s{i % 5}" for i in range(1_000)]
    blind = predictability(RANDOM.normal(size=1_000), systems)
    assert blind.chance == 0.2 and abs(blind.accuracy - 0.2) < 0.05 and not blind.suspicious
    number = np.array([i % 5 for i in range(1_000)], float)
    found = predictability(number, systems)
    assert found.accuracy == 1.0 and len(found.alone) == 5
    assert predictability(np.minimum(number, 1), systems).accuracy == pytest.approx(0.4)  # s0, and one of the others
    assert [name for name, _, _ in predictability(np.minimum(number, 1), systems).alone] == ["s0"]


def test_a_threshold_that_finds_a_small_system_among_large_ones_is_named():
    """The leading silence of openjtalk in a corpus of 24 systems: above 0.3 s lie 72 of its 72 files and 5 others."""
    silence = np.concatenate(
        [RANDOM.uniform(0.31, 0.6, 72), RANDOM.uniform(0.31, 0.6, 5), RANDOM.gamma(2, 0.02, 11_000)]
    )
    systems = ["openjtalk"] * 72 + [f"s{i % 23}" for i in range(11_005)]
    found = predictability(np.minimum(silence, 0.6), systems)
    ((system, recall, precision),) = found.alone
    assert system == "openjtalk" and recall > 0.95 and precision > 0.9 and found.suspicious
    assert found.accuracy - 1 / 24 < 2 / 24  # of the others it knows nothing


def test_predictability_weighs_systems_alike_and_leaves_out_the_rare():
    systems = ["big"] * 900 + ["small"] * 100 + ["rare"] * 3
    blind = predictability(RANDOM.normal(size=1_003), systems)
    assert blind.systems == 2 and abs(blind.accuracy - 0.5) < 0.15
    assert predictability(np.ones(5), ["a"] * 5) is None
    assert predictability(np.full(40, np.nan), ["a", "b"] * 20) is None


def test_missing_list_is_one_line_and_status_2(tmp_path, capsys):
    assert run(tmp_path / "none.csv", "--path", tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_names_in_the_report_are_no_markup(tmp_path):
    for i in range(24):
        soundfile.write(tmp_path / f"{i}.wav", noise(rate=8_000 if i < 12 else 16_000), 8_000 if i < 12 else 16_000)
    evil = "a|b <script>*x*\u202e"
    rows = [(f"{i}.wav", evil if i < 12 else "=plain") for i in range(24)] + [("[no](x).wav", "=plain")]
    assert run(listed(tmp_path, "l", rows), "--path", tmp_path, "--out", tmp_path / "out") == 1
    text = (tmp_path / "out" / "audit.md").read_text()
    assert r"| a\|b &lt;script&gt;\*x\*\\u202e | 12 |" in text and "<script>" not in text
    assert r"\[no\](x).wav" in text
    with (tmp_path / "out" / "files.csv").open(newline="") as file:
        assert {row["system"] for row in csv.DictReader(file)} == {"a|b <script>*x*\\u202e", "'=plain"}
