"""Files made to do harm: refused in words, nothing run, nothing written elsewhere, no name taken for HTML."""

import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch

import analyse
import score
from corpus import cache
from corpus.build_cache import build_cache
from corpus.cache import Entry, index_bytes, read_cache
from corpus.lists import read_list
from engine import checkpoints
from engine.atomic_files import write_text
from settings.errors import DataError
from tests.conftest import command
from tests.test_training import refused, said
from trainSpeakerNet import main


class Attack:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("owned",))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small trained checkpoint's state, and the corpus and options behind it."""
    from tests.conftest import make_corpus

    folder = tmp_path_factory.mktemp("trained")
    corpus = make_corpus(folder / "data")
    lists = {f"{name}_list": corpus / f"{name}.csv" for name in ("train", "dev", "test")}
    sizes = {"nOut": 8, "batch_size": 8, "max_frames": 40, "max_epoch": 2, "warmup_epochs": 1, "test_interval": 1}
    options = lists | sizes | {"train_path": corpus, "lr": 1e-3, "device": "cpu", "save_path": folder / "exp"}
    assert main(command(options)) == 0
    return options, checkpoints.read(folder / "exp/model/last.model")


def everything_below(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


EVIL = {
    "config is a list": {"config": [1]},
    "config is text": {"config": "lr: 1"},
    "config has numbers for names": {"config": {1: 2}},
    "config has tensors": {"config": {"lr": torch.ones(100), "nOut": 8}},
    "config has an unknown option": {"config": {"__class__": "x"}},
    "another folder's model": {"config": {"model": "../../evil"}},
    "a model of another type": {"config": {"model": ["ThinResNet34"]}},
    "newlines in a name": {"config": {"model": "a\nb\x1b[31m"}},
    "NUL in a path": {"config": {"train_path": "a\0b"}},
    "an embedding of a billion": {"config": {"nOut": 10**9}},
    "an embedding below zero": {"config": {"nOut": -1}},
    "as many mel bands as bytes": {"config": {"n_mels": 2**31}},
    "no mel bands": {"config": {"n_mels": 0}},
    "classes is a number": {"classes": 3},
    "classes are tensors": {"classes": [torch.ones(2)]},
    "encoder is a list": {"encoder": [1, 2]},
    "encoder is empty": {"encoder": {}},
    "encoder has numbers for names": {"encoder": {1: torch.ones(1)}},
    "encoder has text for weights": {"encoder": {"conv1.weight": "x"}},
    "another format": {"format": 99},
    "format is a tensor": {"format": torch.ones(3, 3)},
}


@pytest.mark.parametrize("name", EVIL)
def test_scoring_with_a_checkpoint_that_was_tampered_with_is_refused(trained, tmp_path, capsys, name):
    options, state = trained
    changes = EVIL[name]
    config = changes.get("config")
    if isinstance(config, dict) and all(isinstance(key, str) for key in config):
        changes = changes | {"config": state["config"] | config}
    torch.save(state | changes, tmp_path / "evil.model")
    argv = {"initial_model": tmp_path / "evil.model", "test_list": options["test_list"], "save_path": tmp_path / "out"}
    text = refused(capsys, argv, "--eval")
    assert "Traceback" not in text and "\x1b" not in text and len(text) < 2_000
    assert "evil.model" in text or "checkpoint" in text or "cannot be built" in text or "no models/" in text


def test_weights_that_are_not_finite_are_refused_by_name(trained, tmp_path, capsys):
    options, state = trained
    encoder = {name: value.clone() for name, value in state["encoder"].items()}
    encoder["fc.bias"][0] = torch.nan
    torch.save(state | {"encoder": encoder}, tmp_path / "evil.model")
    argv = {"initial_model": tmp_path / "evil.model", "test_list": options["test_list"], "save_path": tmp_path / "out"}
    assert "fc.bias: NaN or infinite" in refused(capsys, argv, "--eval")


def test_scoring_writes_where_it_was_told_and_reads_outside_only_when_told(trained, tmp_path, capsys):
    options, state = trained
    evil = {name: str(tmp_path / "evil") for name in ("save_path", "save_embeddings", "cache")} | {"cache": ""}
    evil |= {"allow_outside": True, "restart": True, "eval": False, "initial_model": "elsewhere"}
    torch.save(state | {"config": state["config"] | evil}, tmp_path / "a.model")
    argv = {"initial_model": tmp_path / "a.model", "test_list": options["test_list"], "save_path": tmp_path / "out"}
    before = everything_below(options["save_path"])
    assert main(command(argv, "--eval")) == 0
    assert {path.split("/")[0] for path in everything_below(tmp_path)} == {"a.model", "out"}
    assert everything_below(options["save_path"]) == before
    write_text(tmp_path / "outside.csv", "path,model_name\n../../etc/passwd,x\n")
    said(capsys)
    assert "leaves the data folder" in refused(capsys, argv | {"test_list": tmp_path / "outside.csv"}, "--eval")


PROGRESS = {
    "is text": "x",
    "has an unknown name": {"evil": 1},
    "stands below zero": {"batch": -1},
    "stands beyond the epoch": {"batch": 10**6},
    "claims epochs that were not": {"epoch": 7},
    "has text for a number": {"loss": "x"},
    "has a history of numbers": {"history": [1, 2]},
    "has a tensor for the best": {"best_eer": torch.ones(3)},
}


@pytest.mark.parametrize("name", PROGRESS)
def test_resuming_from_progress_that_cannot_be_is_refused(trained, tmp_path, capsys, name):
    options, state = trained
    change = PROGRESS[name]
    path = tmp_path / "exp/model/last.model"
    path.parent.mkdir(parents=True)
    torch.save(state | {"progress": state["progress"] | change if isinstance(change, dict) else change}, path)
    text = refused(capsys, options | {"save_path": tmp_path / "exp"})
    assert "last.model" in text and "Traceback" not in text


@pytest.mark.parametrize("missing", ["config", "data", "loss", "optimizer", "scaler", "progress", "encoder"])
def test_resuming_from_a_checkpoint_that_lacks_a_part_is_refused(trained, tmp_path, capsys, missing):
    options, state = trained
    path = tmp_path / "exp/model/last.model"
    path.parent.mkdir(parents=True)
    torch.save({name: value for name, value in state.items() if name != missing}, path)
    assert "last.model" in refused(capsys, options | {"save_path": tmp_path / "exp"})


@pytest.mark.parametrize("state", [{"model": 3}, {"model_state_dict": [1]}, {1: torch.ones(1)}, {"model": {2: 3}}, {}])
def test_a_foreign_checkpoint_without_weights_is_refused(trained, tmp_path, capsys, state):
    torch.save(state, tmp_path / "foreign.model")
    options = trained[0] | {"save_path": tmp_path / "exp"}
    assert "not in the checkpoint" in refused(capsys, options, "--initial_model", tmp_path / "foreign.model")


@pytest.fixture
def cached(corpus, tmp_path):
    """A finished cache and its content."""
    build_cache(tmp_path / "cache", read_list(corpus / "train.csv"), corpus, threads=1)
    return tmp_path / "cache/train.cache"


def lie(path, change) -> None:
    """Give the first entry of a cache other values, under a checksum that is right."""
    whole = read_cache(path)
    entries = [vars(entry) for entry in whole.entries.values()]
    index = index_bytes(whole.recipe, [Entry(**(e | change if n == 0 else e)) for n, e in enumerate(entries)])
    content = path.read_bytes()[: 2 * sum(e["length"] for e in entries)] + index
    path.unlink()
    path.write_bytes(content)


LIES = [{"offset": 10**15}, {"offset": -8}, {"offset": "0"}, {"length": -5}, {"length": 10**12}, {"length": 1.5}]
LIES += [{"scale": float("nan")}, {"scale": float("inf")}, {"scale": -1.0}, {"scale": None}, {"path": 3}, {"wrong": 1}]
LIES += [{"offset": 10**40}, {"length": True}]


@pytest.mark.parametrize("change", LIES, ids=str)
def test_a_cache_whose_index_lies_is_refused(cached, change):
    lie(cached, change)
    with pytest.raises(DataError, match=r"train\.cache: .* build it again"):
        read_cache(cached)


INDEXES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff",
    b"[" * 100_000,
    b'{"entries": 3, "recipe": {}}',
    b'{"entries": [[1], []]}',
]
INDEXES += [b'{"entries": [[], [], [], [], [], [], []], "recipe": 3}', b'{"recipe": {}}', b"NaN", b'"x"']


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: index[:20])
def test_a_cache_whose_index_is_none_is_refused(cached, index):
    content = index + cache.FOOTER.pack(len(index), zlib.crc32(index), cache.MAGIC)
    cached.unlink()
    cached.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.cache: "):
        read_cache(cached)


def test_a_thousand_damaged_caches_are_refused_or_give_finite_samples(cached, corpus):
    dice, whole = np.random.default_rng(0), cached.read_bytes()
    table, refusals = read_list(corpus / "train.csv"), 0
    index = len(whole) - cache.FOOTER.unpack(whole[-cache.FOOTER.size :])[0] - cache.FOOTER.size
    for _ in range(1_000):
        content = bytearray(whole)
        for place in dice.integers(index, len(content), dice.integers(1, 4)):
            content[place] ^= 1 << int(dice.integers(8))
        if dice.random() < 0.3:
            del content[int(dice.integers(len(content))) :]
        cached.unlink()
        cached.write_bytes(content)
        try:
            audio = cache.open_cache(cached.parent, table, corpus)
            assert all(np.isfinite(audio.read(row)).all() for row in range(len(table)))
        except DataError:
            refusals += 1
    assert refusals == 1_000  # the checksum catches every one


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def evil_npz(tmp_path) -> list:
    """Files of embeddings that hold Python objects, or are none."""
    good = {
        "embeddings": np.eye(4, dtype=np.float32),
        "labels": np.array(list("aabb")),
        "paths": np.array(list("abcd")),
    }
    objects = np.array([Attack()] * 4, dtype=object)
    paths = [npz(tmp_path / f"{name}.npz", **good | {name: objects}) for name in good]
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Attack()))
    np.save(tmp_path / "array.npy", objects)
    with zipfile.ZipFile(tmp_path / "member.npz", "w") as archive:
        archive.writestr("embeddings.npy", pickle.dumps(Attack()))
        archive.writestr("../../labels.npy", b"x")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(tmp_path / "claims.npz", "w") as archive:
        archive.writestr("embeddings.npy", header.getvalue() + struct.pack("<f", 1.0))
        archive.writestr("labels.npy", header.getvalue())
        archive.writestr("paths.npy", header.getvalue())
    return [*paths, *(tmp_path / name for name in ("pickle.npz", "array.npy", "member.npz", "claims.npz"))]


def test_embeddings_that_hold_objects_or_lies_are_refused_and_nothing_is_run(tmp_path, capsys):
    for path in evil_npz(tmp_path):
        assert score.main([str(path), "--no_progress"]) == 2, path
        assert analyse.main(["neighbours", str(path)]) == 2, path
        shown = capsys.readouterr()
        assert "owned" not in shown.out + shown.err and "Traceback" not in shown.err
        assert path.name in shown.err


def test_names_are_escaped_in_html_and_harmless_in_tensorboard(corpus, options, tmp_path):
    evil = "<script>alert(1)</script>&\"'"
    for name in ("train", "dev", "test"):
        text = (corpus / f"{name}.csv").read_text().replace("system 0", '"' + evil.replace('"', '""') + '"')
        write_text(corpus / f"{name}.csv", text)
    folder = tmp_path / "<b>exp"
    assert main(command(options | {"save_path": folder})) == 0
    argv = {"initial_model": folder / "model/last.model", "test_list": corpus / "test.csv", "save_path": tmp_path / "e"}
    assert main(command(argv | {"save_embeddings": tmp_path / "<i>e.npz"}, "--eval")) == 0
    assert analyse.main(["umap", str(tmp_path / "<i>e.npz"), "--method", "pca", "--out", str(tmp_path / "views")]) == 0
    assert analyse.main(["report", str(folder), "--method", "pca", "--out", str(tmp_path)]) == 0
    for page in (tmp_path / "views/pca.html", tmp_path / "report.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text and "<b>exp" not in text and "<i>e" not in text
    events = b"".join(path.read_bytes() for path in (folder / "tensorboard").iterdir())
    assert b"alert" not in events
    assert json.loads((folder / "result/eval_test.json").read_text())["systems"] == 4


def test_a_list_that_is_a_link_or_no_file_is_named(tmp_path):
    with pytest.raises(DataError, match="Is a directory"):
        read_list(tmp_path)
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(DataError, match=r"loop\.csv"):
        read_list(tmp_path / "loop.csv")
