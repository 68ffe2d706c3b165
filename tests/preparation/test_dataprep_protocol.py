"""dataprep.py protocol: the organisers' zip to lists, exact, and refused where it is not whole."""

import csv
import zipfile
from pathlib import Path

import pytest

import dataprep
from corpus.lists import read_list
from preparation.formats.mlaad_protocol import read_protocol
from preparation.formats.observations import alike, observe
from settings.errors import DataError

OFFICIAL = Path(__file__).parents[2].parent / "shared" / "protocol" / "mlaad4sourcetracing.zip"
ROWS = {
    "train.csv": [("en", "a"), ("de", "b")],
    "dev.csv": [("en", "a"), ("fr", "a"), ("en", "c"), ("fr", "c")],
    "eval.csv": [("en", "b"), ("fr", "b"), ("de", "d"), ("fr", "d")],
}


def text(rows, name):
    return "path,model_name\n" + "".join(f"./fake/{lang}/{s}/{name}_{i}.wav,{s}\n" for i, (lang, s) in enumerate(rows))


def members():
    """A small protocol: each condition once in dev and once in eval."""
    made = {name: text(rows, name[:-4]) for name, rows in ROWS.items()}
    for split in ("dev", "eval"):
        lines = made[f"{split}.csv"].splitlines()
        order = ("lang_seen___model_seen", "lang_not_seen___model_seen")
        order += ("lang_seen___model_not_seen", "lang_not_seen___model_not_seen")
        for condition, line in zip(order, lines[1:], strict=True):
            made[f"fine/{split}___{condition}.csv"] = f"{lines[0]}\n{line}\n"
    return made


def zipped(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return path


def run(*argv):
    return dataprep.main([str(a) for a in argv])


def test_zip_becomes_lists_with_conditions(tmp_path, capsys):
    assert run("protocol", zipped(tmp_path / "p.zip", members()), "--out", tmp_path / "lists") == 0
    test = read_list(tmp_path / "lists" / "test.csv")
    assert test.paths[0] == "fake/en/b/eval_0.wav"
    assert test.languages == ["en", "fr", "de", "fr"]
    assert test.conditions == [
        "lang_seen___model_seen",
        "lang_not_seen___model_seen",
        "lang_seen___model_not_seen",
        "lang_not_seen___model_not_seen",
    ]
    assert set(read_list(tmp_path / "lists" / "train.csv").conditions) == {"train"}
    assert "MLAADv5 has 33900" in capsys.readouterr().out


def test_zip_folder_and_the_three_lists_alone_give_the_same(tmp_path):
    folder = tmp_path / "folder" / "mlaad4sourcetracing"
    alone = tmp_path / "alone"
    for name, body in members().items():
        for where in [folder] if "fine" in name else [folder, alone]:
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            (where / name).write_text(body)
    expected = read_protocol(zipped(tmp_path / "p.zip", members()))
    for source in (folder.parent, alone):
        found = read_protocol(source)
        assert {n: (t.paths, t.conditions) for n, t in found.items()} == {
            n: (t.paths, t.conditions) for n, t in expected.items()
        }


@pytest.mark.parametrize("name", ["../train.csv", "/etc/x.csv", "a/../../b.txt", "..\\x.csv"])
def test_zip_with_a_member_that_leaves_the_folder_is_refused(tmp_path, capsys, name):
    source = zipped(tmp_path / "p.zip", members() | {name: "x"})
    assert run("protocol", source, "--out", tmp_path / "lists") == 2
    assert "leaves the data folder" in capsys.readouterr().err
    assert not (tmp_path / "lists").exists()


def broken(tmp_path):
    whole = zipped(tmp_path / "p.zip", members()).read_bytes()
    row = "path,model_name\n./fake/en/a/x.wav,a\n"
    good = members()
    return {
        "half": whole[: len(whole) // 2],
        "flipped": whole.replace(b"dev_1.wav", b"dev_9.wav"),
        "empty": b"",
        "text": b"path,model_name\n",
        "no dev": {k: v for k, v in good.items() if k != "dev.csv"},
        "other columns": good | {"eval.csv": "file,label\nx,y\n"},
        "no rows": good | {"train.csv": "path,model_name\n"},
        "leaving path": good | {"train.csv": "path,model_name\n../../etc/passwd,a\n"},
        "fine row lost": good | {"fine/dev___lang_seen___model_seen.csv": row},
        "in two": good | {"fine/dev___lang_seen___model_seen.csv": good["dev.csv"]},
        "two trains": good | {"other/train.csv": row},
    }


CASES = ["half", "flipped", "empty", "text", "no dev", "other columns", "no rows", "leaving path", "fine row lost"]


@pytest.mark.parametrize("case", [*CASES, "in two", "two trains"])
def test_broken_protocol_is_one_error_and_nothing_is_written(tmp_path, capsys, case):
    content = broken(tmp_path)[case]
    source = tmp_path / "broken.zip"
    source.write_bytes(content) if isinstance(content, bytes) else zipped(source, content)
    assert run("protocol", source, "--out", tmp_path / "lists") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "Traceback" not in err
    assert not (tmp_path / "lists").exists()


def test_missing_source_and_unwritable_out_are_named(tmp_path, capsys):
    assert run("protocol", tmp_path / "none.zip", "--out", tmp_path / "lists") == 2
    assert "none.zip: No such file" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run("protocol", zipped(tmp_path / "p.zip", members()), "--out", tmp_path / "file" / "lists") == 2
    assert "cannot be made" in capsys.readouterr().err


def test_repeats_and_disagreements_are_told_and_repaired_only_when_asked(tmp_path, capsys):
    content = members()
    content["eval.csv"] += "./fake/en/b/eval_0.wav,b\n"
    content["fine/eval___lang_seen___model_seen.csv"] += "./fake/en/b/eval_0.wav,b\n"
    content["eval.csv"] += "./fake/en/a/new.wav,a\n"
    content["fine/eval___lang_seen___model_not_seen.csv"] += "./fake/en/a/new.wav,a\n"
    source = zipped(tmp_path / "p.zip", content)
    assert run("protocol", source, "--out", tmp_path / "as_is") == 0
    out = capsys.readouterr().out
    assert "test: 1 rows repeat a path listed before (1 of b)" in out
    assert "test: 1 rows of a stand under unseen system, seen language" in out
    assert len(read_list(tmp_path / "as_is" / "test.csv")) == 6
    assert run("protocol", source, "--out", tmp_path / "mended", "--repair", "repeats", "conditions") == 0
    mended = read_list(tmp_path / "mended" / "test.csv")
    assert len(mended) == 5
    assert mended.conditions[-1] == "seen_system_seen_language"


def test_paths_shared_by_two_lists_are_told(tmp_path):
    content = members()
    content["train.csv"] += "./fake/en/a/dev_0.wav,a\n"
    remarks = observe(read_protocol(zipped(tmp_path / "p.zip", content)))
    assert any("train and dev share 1 paths" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("tts_models/en/ljspeech/vits", "tts_models/en/ljspeech/vits--neon", True),
        ("suno/bark", "tts_models/multilingual/multi-dataset/bark", True),
        ("suno/bark", "suno/bark-small", True),
        ("parler_tts_mini_v1", "parler_tts_mini_v0.1", True),
        ("tts_models/fr/css10/vits", "tts_models/de/css10/vits", False),
        ("tts_models/en/ljspeech/vits", "tts_models/en/ljspeech/glow-tts", False),
        ("facebook/mms-tts-deu", "facebook/mms-tts-fra", False),
        ("A01", "A02", False),
        ("AA01", "AA13", False),
        ("class_1", "class_2", False),
        ("system 1", "system 10", False),
        ("1", "1-2", False),
        ("v1", "v2", False),
        ("bark-1.5", "bark-2.0", True),
    ],
)
def test_near_aliases(a, b, expected):
    assert alike(a, b) is expected


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official protocol zip is not at ../shared/protocol")
def test_official_zip_has_the_official_counts(tmp_path, capsys):
    assert run("protocol", OFFICIAL, "--out", tmp_path) == 0
    out = capsys.readouterr().out
    assert out.count("as official") == 3
    assert "109 rows repeat a path listed before (55 of suno/bark-small, 54 of" in out
    assert "91 rows of tts_models/en/ljspeech/vits--neon stand under unseen system, seen language" in out
    assert "21 of 24 systems speak one language only" in out
    assert "suno/bark (train+test), suno/bark-small (train+test), tts_models/multilingual/multi-dataset/bark" in out
    with (tmp_path / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 33_900
    assert len({(row["path"], row["model_name"]) for row in rows}) == 33_791


def test_unknown_option_is_refused(tmp_path):
    assert run("protocol", "x", "--ou", tmp_path) == 2
    with pytest.raises(DataError, match="No such file"):
        read_protocol(tmp_path / "none.zip")
