"""export.py as a command: mistakes in one line, folders written whole, packages asked for by name."""

import os
from pathlib import Path

import pytest

import export
from engine.atomic_files import atomic_folder
from exporting import ancestor
from exporting.packages import need
from settings.errors import ConfigError


def refused(capsys, *words: object) -> str:
    """The one line of an export that is refused."""
    assert export.main([str(word) for word in words]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


def test_a_changed_byte_of_the_checkpoint_is_one_line(thin, tmp_path, capsys):
    content = bytearray(Path(thin).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "mutated.model").write_bytes(content)
    refused(capsys, tmp_path / "mutated.model", "--out", tmp_path / "out", "--format", "hf")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"RIFF1234WAVE", os.urandom(3_000)])
def test_a_foreign_file_is_one_line(tmp_path, capsys, content):
    (tmp_path / "foreign").write_bytes(content)
    assert "not a checkpoint" in refused(capsys, tmp_path / "foreign", "--out", tmp_path / "out") or content
    assert [path.name for path in tmp_path.iterdir()] == ["foreign"]


def test_a_folder_that_is_there_is_left_alone(thin, tmp_path, capsys):
    (tmp_path / "note.txt").write_text("mine")
    assert "is there already" in refused(capsys, thin, "--out", tmp_path, "--format", "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_options_of_another_format_are_named(thin, tmp_path, capsys):
    words = [thin, "--out", tmp_path / "out", "--format", "hf", "--quantize", "int8"]
    assert "--quantize does not go with --format hf" in refused(capsys, *words)
    words = [thin, "--out", tmp_path / "out", "--license", "mit"]
    assert "--license does not go with --format onnx" in refused(capsys, *words)
    words = [thin, "--out", tmp_path / "out", "--calibration_list", "x.csv"]
    assert "--calibration_list goes with --quantize int8" in refused(capsys, *words)


def test_an_export_that_fails_leaves_nothing(thin, tmp_path, monkeypatch):
    def write_half(model, path):
        path.write_bytes(b"half")
        raise RuntimeError(f"broken {model.config.model}")

    monkeypatch.setattr(ancestor, "write_state", write_half)
    with pytest.raises(RuntimeError, match="broken"):
        export.main([thin, "--out", str(tmp_path / "out"), "--format", "voxceleb_trainer"])
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ConfigError, match="^no_such_package is not installed: pip install -r requirements-export.txt$"):
        need("no_such_package.part")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with atomic_folder(tmp_path / "a/b") as folder:
        (folder / "sub").mkdir()
        (folder / "sub/file").write_text("x")
        assert not (tmp_path / "a/b").exists()
    assert (tmp_path / "a/b/sub/file").read_text() == "x" and len(list((tmp_path / "a").iterdir())) == 1
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"), atomic_folder(tmp_path / "file/b"):
        pass
