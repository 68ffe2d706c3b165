"""Whatever the names of files and systems hold, no command writes anything that a terminal would obey."""

import logging
import shutil

import numpy as np
import pytest

import analyse
import dataprep
import identify
import score
import trainSpeakerNet
from corpus.embedding_file import SavedEmbeddings, write_embeddings
from identification import commands
from settings.console import HarmlessLines, log_to, show
from settings.errors import ConfigError
from tests.conftest import command
from tests.identification.stub import StubModel

ESCAPE = "\x1b[2J"  # clears the screen; a list that has it is refused, a file's name may have it
MIRROR = "\u202e"  # what follows is written from right to left; a list may have it


def evil_list(folder, name="train.csv"):
    """A list of the corpus whose systems turn what follows around, with a repeated row and a file that is not there."""
    text = (folder / name).read_text().replace("system 1", f"{MIRROR}1 metsys")
    path = folder / f"{MIRROR}evil.csv"
    path.write_text(text + text.splitlines()[1] + f"\n{MIRROR}lacking.wav,{MIRROR}1 metsys\n")
    return path


def shown_by(run, argv, capsys) -> str:
    """What a command writes, all of it harmless; it quotes the names."""
    capsys.readouterr()
    logging.getLogger().handlers.clear()
    run([str(word) for word in argv])
    text = "".join(capsys.readouterr())
    assert all(c.isprintable() or c == "\n" for c in text), repr(text)
    return text


@pytest.fixture(autouse=True)
def own_handlers():
    """Logging as it is when a command starts, and afterwards as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_log_line_has_its_names_written_out(tmp_path):
    made = HarmlessLines("%(message)s").format(logging.makeLogRecord({"msg": "%s: no\nb", "args": (f"{ESCAPE}a",)}))
    assert made == "\\x1b[2Ja: no\nb"
    handler = logging.FileHandler(tmp_path / "log")
    log_to(handler)
    logging.getLogger("any").warning("%s", MIRROR)
    handler.close()
    assert (tmp_path / "log").read_text() == "\\u202e\n"


def test_the_trainer(options, corpus, capsys):
    options |= {"train_list": evil_list(corpus), "skip_bad_audio": True, "max_epoch": 1, "warmup_epochs": 0}
    text = shown_by(trainSpeakerNet.main, command(options), capsys)
    assert "\\u202eevil.csv: 1 of 18 files cannot be used" in text and "\\u202elacking.wav" in text
    log = (options["save_path"] / "result/scores.txt").read_text()
    assert "\\u202elacking.wav" in log and MIRROR not in log


@pytest.mark.parametrize("words", [["audit"], ["cache", "--out", "c"]])
def test_dataprep(corpus, capsys, monkeypatch, words):
    monkeypatch.chdir(corpus)
    text = shown_by(dataprep.main, [words[0], evil_list(corpus), "--path", corpus, *words[1:]], capsys)
    assert "\\u202elacking.wav" in text and "rows repeat a path" in text


def test_score_and_analyse(tmp_path, capsys):
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    systems = np.repeat([f"{MIRROR}a", "b", "c", "d"], 10)
    paths = np.array([f"{MIRROR}{n}.wav" for n in range(40)])
    languages = np.array(["en", f"{MIRROR}en"] * 20)
    write_embeddings(tmp_path / "e.npz", SavedEmbeddings(rows, systems, paths, languages, np.array([""] * 40)))
    assert "\\u202ea" in shown_by(score.main, [tmp_path / "e.npz"], capsys)
    text = shown_by(analyse.main, ["confusions", tmp_path / "e.npz", "--out", tmp_path / "out"], capsys)
    assert "written" in text or "\\u202ea" in text


def test_identify(corpus, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "load_model", lambda *_: StubModel())
    (tmp_path / "m.model").touch()
    shutil.copy(corpus / "fake/b/s1/u5.wav", tmp_path / f"{ESCAPE}a.wav")
    (tmp_path / f"{ESCAPE}b.wav").write_text("none")
    (corpus / "e.csv").write_text((corpus / "train.csv").read_text().replace("system 1", f"{MIRROR}1 metsys"))
    argv = ["enrol", corpus / "e.csv", "--path", corpus, "--checkpoint", tmp_path / "m.model", "--out", "B"]
    assert "\\u202e1 metsys: 4 utterances" in shown_by(identify.main, argv, capsys)
    text = shown_by(identify.main, ["identify", "B", *tmp_path.glob("*.wav")], capsys)
    assert "\\x1b[2Ja.wav" in text and "\\x1b[2Jb.wav" in text and "\\u202e1 metsys" in text


def test_a_long_table_is_shown_whole_and_a_long_message_ends(capsys):
    table = "\n".join(f"row {number}" for number in range(200))
    show(table)
    assert capsys.readouterr().out == f"{table}\n"
    assert "... and 170 more" in str(ConfigError(table))
