"""List files: both forms, odd names, and what is said of broken ones."""

import os
import time

import pytest

from corpus.lists import read_list, trial_paths
from settings.errors import DataError


def write(tmp_path, text, name="list.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_official_form_with_and_without_a_leading_dot(tmp_path):
    table = read_list(write(tmp_path, "path,model_name\n./fake/de/x/a b.wav,tts/x\nfake/en/x/b.wav,tts/y\n"))
    assert table.paths == ["fake/de/x/a b.wav", "fake/en/x/b.wav"]
    assert table.systems == ["tts/x", "tts/y"]
    assert table.languages == ["de", "en"]
    assert table.lines == [2, 3]


def test_language_and_condition_columns_in_any_order(tmp_path):
    table = read_list(write(tmp_path, "language,model_name,condition,path\nfi,s,seen,fake/de/s/a.wav\n"))
    assert (table.languages, table.conditions) == (["fi"], ["seen"])


def test_two_columns_of_the_ancestor(tmp_path):
    table = read_list(write(tmp_path, "id1 id1/a b.wav\n\nid2\tid2/c.wav\n"))
    assert (table.systems, table.paths, table.lines) == (["id1", "id2"], ["id1/a b.wav", "id2/c.wav"], [1, 3])


def test_bom_crlf_quotes_commas_and_unicode(tmp_path):
    table = read_list(write(tmp_path, '\ufeffpath,model_name\r\n"a, ""b"".wav",Ünïcödé 系统\r\n'))
    assert (table.paths, table.systems) == (['a, "b".wav'], ["Ünïcödé 系统"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("path,model_name\n", "no rows"),
        ("path,label\na.wav,x\n", "no column model_name"),
        ("path,model_name,path\na,b,c\n", "named twice"),
        ("path,model_name\na.wav\n", "line 2: 1 cells where the header has 2"),
        ("path,model_name\n,x\n", "line 2: the path is empty"),
        ("path,model_name\na.wav,\n", "line 2: the model_name is empty"),
        ("path,model_name\n../a.wav,x\n", "line 2: ../a.wav leaves the data folder"),
        ("path,model_name\n/etc/passwd,x\n", "leaves the data folder"),
        ("path,model_name\n..\\a.wav,x\n", "leaves the data folder"),
        ('path,model_name\n"a.wav,x\n', "line"),
        ("a.wav\n", "expected 'label path'"),
        ("1 a.wav b.wav\n", "trial"),
        (b"path,model_name\n\xff.wav,x\n", "not UTF-8"),
        (b"path,model_name\na\0.wav,x\n", "NUL"),
    ],
)
def test_a_broken_list_is_named_with_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_list(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_every_broken_line_is_told_up_to_a_readable_number(tmp_path):
    with pytest.raises(DataError) as caught:
        read_list(write(tmp_path, "path,model_name\n" + "x\n" * 30))
    assert "30 lines" in str(caught.value) and "line 11" in str(caught.value) and "and 20 more" in str(caught.value)


def test_paths_outside_are_read_when_allowed(tmp_path):
    assert read_list(write(tmp_path, "path,model_name\n/a.wav,x\n"), allow_outside=True).paths == ["/a.wav"]


def test_repeats_are_told_and_kept(tmp_path, caplog):
    table = read_list(write(tmp_path, "path,model_name\na.wav,x\nb.wav,x\na.wav,y\n"))
    assert len(table) == 3
    assert "1 rows repeat" in caplog.text and "a.wav: x, y" in caplog.text


def test_labels_follow_the_sorted_systems_and_strangers_are_named(tmp_path):
    table = read_list(write(tmp_path, "path,model_name\na,z\nb,y\nc,z\n"))
    assert table.labels(table.classes()).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="line 3: b"):
        table.labels(["z"])


def test_two_hundred_thousand_rows_load_in_seconds(tmp_path):
    rows = "".join(f"./fake/de/system_{i % 100}/utterance_{i:07d}.wav,system_{i % 100}\n" for i in range(200_000))
    path = write(tmp_path, "path,model_name\n" + rows)
    began = time.process_time()
    assert len(read_list(path)) == 200_000
    assert time.process_time() - began < 6  # a guard against quadratic work, not a benchmark


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_semicolons_and_tabs_between_columns_are_recognised(tmp_path, separator):
    rows = ["path,model_name,language", 'fake/de/a.wav,"tts/x",de', "fake/en/b c.wav,tts/y,en"]
    table = read_list(write(tmp_path, "\n".join(rows).replace(",", separator)))
    assert (table.paths, table.systems) == (["fake/de/a.wav", "fake/en/b c.wav"], ["tts/x", "tts/y"])
    assert table.languages == ["de", "en"]


@pytest.mark.parametrize("header", ["file,label", "Path;Model_Name", "filename\tsystem\tlang", "path;label"])
def test_a_wrong_header_is_shown_once(tmp_path, header):
    with pytest.raises(DataError) as refused:
        read_list(write(tmp_path, header + "\n" + "a.wav,x\nb.wav;x\n" * 20))
    assert str(refused.value).count("\n") == 0
    assert "line 1: no column " in str(refused.value) and repr(header) in str(refused.value)


def test_rows_of_two_columns_are_no_header(tmp_path):
    table = read_list(write(tmp_path, "system\tsystem/a.wav\nlabel label/b.wav\n"))
    assert table.systems == ["system", "label"]


def test_absolute_paths_stand_for_themselves(tmp_path):
    table = read_list(write(tmp_path, "path,model_name\n/data/a.wav,x\nb.wav,x\n"), allow_outside=True)
    assert table.files("root") == ["/data/a.wav", "root/b.wav"]


def test_a_pipe_is_no_list(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a file"):
        read_list(tmp_path / "pipe")
    assert trial_paths(tmp_path / "pipe") == []
