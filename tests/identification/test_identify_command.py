"""identify.py from files to answers, with a model that needs no training."""

import csv
import io
import json
import tracemalloc

import numpy as np
import pytest
import soundfile

import identify
from identification import commands, recordings
from identification.remarks import remarks
from tests.conftest import make_corpus, tone
from tests.identification.stub import StubModel


@pytest.fixture
def model(monkeypatch):
    made = StubModel()
    monkeypatch.setattr(commands, "load_model", lambda *_: made)
    return made


@pytest.fixture
def bank(model, tmp_path, capsys):  # noqa: ARG001 the model is loaded by the commands
    """A bank of systems 0 to 3 of six, enrolled and calibrated by the commands; the corpus is in data/."""
    folder = make_corpus(tmp_path / "data", systems=6, utterances=8)
    train = [line for line in (folder / "train.csv").read_text().splitlines() if line[-1] not in "45"]
    (folder / "enrol.csv").write_text("\n".join([*train, ""]))
    (tmp_path / "m.model").write_text("")
    assert run("enrol", folder / "enrol.csv", "--path", folder, "--checkpoint", tmp_path / "m.model", "--out", "B") == 0
    assert run("calibrate", "B", folder / "dev.csv", "--path", folder, "--draws", 20) == 0
    assert "Cllr" in capsys.readouterr().out
    return tmp_path / "B"


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    return identify.main([str(word) for word in words])


KNOWN, UNKNOWN = "data/fake/b/s1/u7.wav", "data/fake/b/s5/u7.wav"


def test_a_known_system_is_named_and_an_unknown_one_is_not(bank, capsys):
    assert run("identify", bank, KNOWN) == 0
    out = capsys.readouterr().out
    assert "supports system 1 over another system" in out
    assert "made by" not in out and "genuine speech is not excluded" in out
    assert run("identify", bank, UNKNOWN) == 3
    assert "unknown: no system of the bank" in capsys.readouterr().out


def test_a_broken_file_is_a_row_with_its_reason(bank, capsys):
    for name in ("broken.wav", "empty.wav"):
        (bank.parent / name).write_bytes(b"RIFF" if name == "broken.wav" else b"")
    assert run("identify", bank, "broken.wav", KNOWN, "gone.wav", "empty.wav", "--csv") == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    reasons = {row["path"]: row["reason"] for row in rows}
    assert reasons[KNOWN] == "" and "No such file" in reasons["gone.wav"] and "empty" in reasons["empty.wav"]
    assert [row["system"] for row in rows if row["path"] == KNOWN][0] == "system 1"


def test_what_the_model_refuses_does_not_stop_its_neighbours(bank, capsys):
    soundfile.write("short.wav", tone(1, 7, 0.11), 16_000)
    assert run("identify", bank, KNOWN, "short.wav", "--json") == 1
    limits, known, short = map(json.loads, capsys.readouterr().out.splitlines())
    assert limits["calibration"]["known"] == 4 and limits["genuine_speech"]
    assert known["verdict"] == "system 1" and "too short" in short["reason"]


def test_folders_standard_input_and_options_of_the_answer(bank, capsys, monkeypatch):
    assert run("identify", bank, "data/fake/b/s1", "--top", 2) == 0
    assert capsys.readouterr().out.count(" 2. ") == 8
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KNOWN}\n\n{KNOWN}\n"))
    options = ("--why", 2, "--against", "system 1", "system 2", "--language", "fi", "--prior", "uniform")
    assert run("identify", bank, "-", *options) == 0
    out = capsys.readouterr().out
    assert out.count("supports system 1 over system 2") == 2 and out.count("near: ") == 4


def test_segments_find_a_change_of_system_and_draw_it(bank, capsys):
    both = np.concatenate([np.tile(tone(system, 7, 2.0), 2) for system in (0, 2)])
    soundfile.write("both.wav", both, 16_000)
    assert run("identify", bank, "both.wav", "--segments", 1, "--picture", "both.png") in (0, 3)
    out = capsys.readouterr().out
    assert "0.00 to   1.00 s: system 0" in out and "7.00 to   8.00 s: system 2" in out
    assert "more than one system leads" in out
    assert (bank.parent / "both.png").read_bytes().startswith(b"\x89PNG")


def test_two_recordings_are_compared(bank, capsys):
    assert run("compare", KNOWN, "data/fake/b/s1/u6.wav", "--bank", bank) == 0
    out = capsys.readouterr().out
    assert "supports the same system over two systems" in out and "the calibration has Cllr" in out
    assert run("compare", KNOWN, UNKNOWN, "--bank", bank, "--json") == 0
    assert json.loads(capsys.readouterr().out)["log10_lr"] < 0
    assert run("compare", KNOWN, "gone.wav", "--bank", bank) == 2


def test_without_a_calibration_nothing_is_named(bank, capsys):
    assert run("remove", bank, "system 3", "--out", "less.npz") == 0
    assert run("identify", "less.npz", KNOWN) == 3
    out = capsys.readouterr().out
    assert "NOT CALIBRATED" in out and "most alike: system 1" in out and "log10 LR" not in out
    assert run("identify", "less.npz", KNOWN, "--against", "system 1", "system 2") == 2


def test_systems_are_added_from_a_folder_and_the_bank_calibrated_again(bank, capsys):
    (bank.parent / "more").mkdir()
    for number in range(3):
        (bank.parent / "more" / "new one").mkdir(exist_ok=True)
        soundfile.write(f"more/new one/{number}.wav", tone(8, number, 0.8), 16_000)
    assert run("enrol", "more", "--into", bank, "--out", "wider.npz") == 0
    assert "new one: 3 utterances" in capsys.readouterr().out
    assert run("enrol", "more", "--into", "wider.npz") == 2
    assert "enrolled already" in capsys.readouterr().err
    assert run("calibrate", "wider.npz", "data/dev.csv", "--path", "data", "--draws", 0) == 0


MISTAKES = [
    (("identify", "gone.npz", KNOWN), "gone.npz: No such file or directory"),
    (("identify", "B", "data/fake/b/s1", "--picture", "x.png", "--segments", 1), "of one recording"),
    (("identify", "B", KNOWN, "--picture", "x.png"), "say how long"),
    (("identify", "B", KNOWN, "--against", "system 1", "system 9"), "system 9 is not enrolled"),
    (("identify", "B", "nothing"), "no audio in this folder"),
    (("identify", "B", KNOWN, "--checkpoint", "gone.model"), "gone.model of the bank is not there"),
    (("identify", "B", KNOWN, "--json", "--csv"), "not allowed with"),
    (("calibrate", "B", "data/enrol.csv", "--path", "data"), "are enrolled in the bank"),
    (("calibrate", "B", "data/dev.csv", "--path", "elsewhere"), "files cannot be used"),
    (("enrol", "data/enrol.csv", "--path", "data"), "name the bank to write"),
    (("enrol", "data/enrol.csv", "--path", "data", "--out", "C"), "name the model"),
    (("remove", "B", "system 7"), "system 7 is not enrolled"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_one_message_and_status_2(words, message, bank, capsys):
    (bank.parent / "nothing").mkdir()
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err


def test_a_bank_of_another_model_is_refused(bank, model, capsys):
    model.digest = "e2"
    assert run("identify", bank, KNOWN) == 2
    assert "another model" in capsys.readouterr().err


def test_a_thousand_recordings_are_streamed_in_bounded_memory(tmp_path):
    soundfile.write(tmp_path / "one.wav", tone(1, 1, 3.0), 16_000)
    model = StubModel()

    def peak(count):
        tracemalloc.start()
        found = recordings.embed_files(model, [str(tmp_path / "one.wav")] * count, 2)
        assert sum(recording.embedding is not None for recording in found) == count
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = peak(100), peak(1000)
    assert many < 1.5 * few
    assert model.most_at_once <= recordings.TOGETHER + 48_000


def test_a_long_recording_is_the_mean_of_its_pieces():
    assert [len(part) for part in recordings.pieces(np.zeros(100), 30)] == [25] * 4
    model = StubModel()
    long = np.concatenate([tone(0, 1, 30.0), tone(3, 1, 30.0)])
    found = recordings.embed_waveforms(model, [long, tone(0, 1, 1.0)])
    halves = recordings.embed_waveforms(model, [long[:480_000], long[480_000:]])
    mean = halves.mean(axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_remarks_name_what_weakens_an_answer():
    speech = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * 0.1
    assert remarks(speech) == []
    assert "under 1 s" in remarks(speech[:8000])[0]
    assert "silent" in remarks(speech * 1e-4)[0]
    assert "clipped" in remarks(np.clip(speech * 20, -1, 1))[0]
    spectrum = np.fft.rfft(speech)
    spectrum[len(spectrum) // 2 :] = 0  # nothing from 4 kHz on
    assert "telephone" in remarks(np.fft.irfft(spectrum).astype(np.float32))[0]
    assert "silence" in remarks(np.concatenate([speech, np.zeros(40_000, np.float32)]))[0]
