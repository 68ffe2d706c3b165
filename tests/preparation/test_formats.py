"""Foreign protocols: each form is recognised and read to the same table, and what is broken is named with its line."""

import numpy as np
import pytest
import soundfile

import dataprep
from corpus.conditions import CONDITIONS
from corpus.lists import UtteranceList, read_list
from preparation import formats
from preparation.formats.rows import split_of
from preparation.formats.split import split
from settings.errors import DataError

PROTOCOLS = {
    "asvspoof2019": (
        "ASVspoof2019.LA.cm.train.trn.txt",
        "LA_0079 LA_T_1138215 - - bonafide\nLA_0079 LA_T_1271820 - A01 spoof\n",
        [("ASVspoof2019_LA_train/flac/LA_T_1138215.flac", "bonafide")]
        + [("ASVspoof2019_LA_train/flac/LA_T_1271820.flac", "A01")],
    ),
    "asvspoof5": (
        "ASVspoof5.dev.track_1.tsv",
        "D_0062 D_0000000001 F - - - AC1 A11 spoof -\nD_0755 D_0000000022 M - - - - bonafide bonafide -\n",
        [("flac_D/D_0000000001.flac", "A11"), ("flac_D/D_0000000022.flac", "bonafide")],
    ),
    "stopa": (
        "TEE_train.txt",
        "LA_0087 LA_T_AA12_p267_p307_266.wav - AA12 spoof\nLA_0096 LA_T_AA11_p347_s0071.wav - AA11 spoof\n",
        [("TEE/wav/LA_T_AA12_p267_p307_266.wav", "AA12"), ("TEE/wav/LA_T_AA11_p347_s0071.wav", "AA11")],
    ),
    "add2023": (
        "label.txt",
        "ADD2023_T3_T_00000000.wav 5\nADD2023_T3_T_00000001.wav 0\n",
        [("train/wav/ADD2023_T3_T_00000000.wav", "class_5"), ("train/wav/ADD2023_T3_T_00000001.wav", "class_0")],
    ),
    "list": ("train.txt", "sysA wav/a b.wav\nsysB wav/c.flac\n", [("wav/a b.wav", "sysA"), ("wav/c.flac", "sysB")]),
}


@pytest.mark.parametrize("form", PROTOCOLS)
def test_each_protocol_is_recognised_and_read(tmp_path, form):
    name, text, expected = PROTOCOLS[form]
    source = tmp_path / "train" / name
    source.parent.mkdir()
    source.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    assert formats.recognise(source) == form
    table = formats.read(source)
    assert list(zip(table.paths, table.systems, strict=True)) == expected
    assert table.lines == [1, 2]


def test_stopa_trials_name_a_file_once_for_each_hypothesis_and_the_list_once(tmp_path):
    source = tmp_path / "AA01-nc-1_trials.txt"
    row = "AA01 LA_E_AA{}_p1.wav True False AA{}\n"
    head = "AbstractModel Filename IsTargetATK IsTargetAcousticModel ATK\n"
    source.write_text(head + row.format("01", "01") + row.format("07", "07") + row.format("01", "01"))
    table = formats.read(source)
    assert formats.recognise(source) == "stopa"
    assert table.paths == ["Trials/wav/LA_E_AA01_p1.wav", "Trials/wav/LA_E_AA07_p1.wav"]
    assert table.systems == ["AA01", "AA07"]


@pytest.mark.parametrize("form", ["asvspoof2019", "asvspoof5", "stopa", "add2023"])
@pytest.mark.parametrize("broken", ["one", "a b c d e f g", "x ../../etc/passwd - A01 spoof", "LA_1 LA_T_1 - - spoof"])
def test_broken_lines_are_named(tmp_path, form, broken):
    name, text, _ = PROTOCOLS[form]
    source = tmp_path / name
    source.write_text(text + broken + "\n")
    with pytest.raises(DataError, match="line 3"):
        formats.read(source, form)


def tree(folder):
    """MLAAD's tree: two languages, three systems, one of them in both."""
    head = "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript"
    for language, system, label in [("en", "a_b", "a/b"), ("de", "a_b", "a/b"), ("de", "c", "c")]:
        place = folder / "fake" / language / system
        place.mkdir(parents=True)
        lines = [head]
        for i in range(10):
            path = f"./fake/{language}/{system}/{i}.wav" if i % 2 else f"{i}.wav"
            lines.append(f'{path}|x|{language}|True|1.0|d|{label}|arch|he said "no')
        (place / "meta.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("inside", ["", "fake"])
def test_mlaad_tree_is_read_from_its_metadata(tmp_path, inside):
    source = tree(tmp_path) / inside
    assert formats.recognise(source) == "mlaad"
    table = formats.read(source)
    assert len(table) == 30 and table.classes() == ["a/b", "c"]
    assert table.paths[:2] == ["fake/de/a_b/0.wav", "fake/de/a_b/1.wav"]
    assert set(table.languages) == {"de", "en"}


def test_mlaad_tree_with_broken_metadata_is_named(tmp_path):
    file = tree(tmp_path) / "fake/de/c/meta.csv"
    file.write_text(file.read_text() + "only|three|cells\n")
    (tmp_path / "fake/en/a_b/meta.csv").write_text("file|label\nx|y\n")
    with pytest.raises(DataError, match=r"c/meta.csv line 12: 3 cells[\s\S]*no column path and model_name"):
        formats.read(tmp_path)


def test_folder_of_systems_and_mlaad_layout_without_metadata(tmp_path):
    for path in ("plain/sysA/x/1.wav", "plain/sysB/2.flac", "laid/fake/en/sysC/3.ogg", "plain/sysA/.4.wav"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    table = formats.read(tmp_path / "plain")
    assert (table.paths, table.systems) == (["sysA/x/1.wav", "sysB/2.flac"], ["sysA", "sysB"])
    table = formats.read(tmp_path / "laid")
    assert (table.systems, table.languages) == (["sysC"], ["en"])
    (tmp_path / "plain" / "stray.wav").write_bytes(b"")
    with pytest.raises(DataError, match="stray.wav: not in a folder of a system"):
        formats.read(tmp_path / "plain")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no audio files"):
        formats.read(tmp_path / "none")


def test_unknown_forms_and_missing_sources_are_refused(tmp_path, capsys):
    (tmp_path / "x.txt").write_text("who knows\n")
    with pytest.raises(DataError, match="not recognised; name it with --format"):
        formats.read(tmp_path / "x.txt")
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="not recognised"):
        formats.read(tmp_path / "x.bin")
    assert dataprep.main(["lists", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    with pytest.raises(DataError, match="Is a directory"):
        formats.read(tmp_path, "asvspoof5")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ASVspoof2019.LA.cm.train.trn.txt", "train"),
        ("ASVspoof2019.LA.cm.dev.trl.txt", "dev"),
        ("ASVspoof5.eval.track_1.tsv", "test"),
        ("mine.txt", "mine"),
    ],
)
def test_protocol_files_name_their_split(tmp_path, name, expected):
    assert split_of(tmp_path / name) == expected


def test_genuine_speech_is_left_out_unless_asked_for(tmp_path, capsys):
    for split_name in ("train", "dev"):
        (tmp_path / f"ASVspoof2019.LA.cm.{split_name}.txt").write_text(PROTOCOLS["asvspoof2019"][1])
    sources = [str(path) for path in sorted(tmp_path.glob("*.txt"))]
    assert dataprep.main(["lists", *sources, "--out", str(tmp_path / "a")]) == 0
    assert "1 rows of genuine speech skipped" in capsys.readouterr().out
    assert read_list(tmp_path / "a" / "train.csv").systems == ["A01"]
    assert read_list(tmp_path / "a" / "dev.csv").conditions == ["seen_system_seen_language"]
    assert dataprep.main(["lists", *sources, "--out", str(tmp_path / "b"), "--bonafide"]) == 0
    assert read_list(tmp_path / "b" / "train.csv").systems == ["bonafide", "A01"]


def big(systems=8, languages=4, each=20):
    """Every system speaks two neighbouring languages."""
    rows = [
        (f"fake/l{(s + k) % languages}/s{s}/{i}.wav", f"s{s}", f"l{(s + k) % languages}")
        for s in range(systems)
        for k in range(2 if languages > 1 else 1)
        for i in range(each)
    ]
    paths, names, spoken = (list(column) for column in zip(*rows, strict=True))
    return UtteranceList("big", paths, names, spoken, [""] * len(rows), list(range(len(rows))))


@pytest.mark.parametrize("seed", range(5))
def test_split_has_the_four_conditions_and_shares_no_utterance(seed):
    table = big()
    lists = split(table, seed)
    paths = [set(found.paths) for found in lists.values()]
    assert set().union(*paths) == set(table.paths) and sum(map(len, paths)) == len(table)
    train = lists["train"]
    for name in ("dev", "test"):
        found = lists[name]
        assert set(found.conditions) == set(CONDITIONS)
        for system, language, condition in zip(found.systems, found.languages, found.conditions, strict=True):
            assert condition.startswith("seen_system") == (system in train.systems)
            assert condition.endswith("_seen_language") == (language in train.languages)
    unseen = [set(lists[name].systems) - set(train.systems) for name in ("dev", "test")]
    assert unseen[0] and unseen[1] and not unseen[0] & unseen[1]


def test_split_depends_on_the_seed_alone():
    assert split(big(), 1) == split(big(), 1)
    assert split(big(), 1) != split(big(), 2)


def test_split_of_one_language_or_none_and_of_too_few_systems():
    for language in ("en", ""):
        lists = split(UtteranceList(**(big(8, 1).__dict__ | {"languages": [language] * 160})), 0)
        assert set(lists["test"].conditions) == {"seen_system_seen_language", "unseen_system_seen_language"}
    with pytest.raises(DataError, match="3 systems; a split needs 4"):
        split(big(3), 0)
    systems, languages = ["a"] * 20 + list("bcdef"), ["common"] * 20 + ["rare"] * 5
    paths = [f"{i}.wav" for i in range(25)]
    with pytest.raises(DataError, match="only 1 system speaks any of common"):
        split(UtteranceList("lonely", paths, systems, languages, [""] * 25, list(range(25))), 0)


def test_folders_to_lists_that_the_trainer_reads(tmp_path, capsys):
    for system in range(6):
        for i in range(10):
            file = tmp_path / "data" / f"sys{system}" / f"{i}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, np.zeros(4_000), 16_000)
    out = tmp_path / "lists"
    assert dataprep.main(["lists", str(tmp_path / "data"), "--out", str(out), "--split"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["dev.csv", "test.csv", "train.csv"]
    assert len(read_list(out / "train.csv").classes()) == 3
    assert "unseen system, seen language" in capsys.readouterr().out


def test_control_characters_of_names_are_refused_before_a_list_is_written(tmp_path):
    (tmp_path / "a\x1bb").mkdir()
    (tmp_path / "a\x1bb" / "1.wav").touch()
    with pytest.raises(DataError, match="holds a NUL or another control character"):
        formats.read(tmp_path)
