"""score.py paired: files of two recipes to a table by condition, and mistakes in what is given."""

import json

import numpy as np
import pytest

import score
from corpus.conditions import CONDITIONS
from corpus.embedding_file import SavedEmbeddings, write_embeddings


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two seeds of two recipes and their dev lists; the rows of the second seed stand in another order."""
    folder, generator = tmp_path_factory.mktemp("paired"), np.random.default_rng(0)
    labels = np.repeat([f"system {i}" for i in range(12)], 6)
    conditions = np.array([CONDITIONS[2 * (i >= 36) + i % 2] for i in range(72)])  # of six systems each
    centres = np.repeat(generator.standard_normal((12, 8)), 6, axis=0)
    for recipe, spread in (("before", 1.0), ("after", 0.5)):
        for seed in (10, 11):
            for which in ("test", "dev"):
                rows = (centres + spread * generator.standard_normal(centres.shape)).astype(np.float32)
                saved = SavedEmbeddings(rows, labels, conditions=conditions, checkpoint=f"{recipe}{seed}")
                order = np.random.default_rng(seed).permutation(72)
                write_embeddings(folder / f"{recipe}_{which}{seed}.npz", saved.take(order))
    return {
        f"{recipe}{which}": [str(folder / f"{recipe}_{which}{seed}.npz") for seed in (10, 11)]
        for recipe in ("before", "after")
        for which in ("test", "dev")
    }


def test_every_part_is_compared(files, tmp_path, capsys):
    out = tmp_path / "paired.json"
    given = ["--before", *files["beforetest"], "--after", *files["aftertest"], "--draws", "50", "--json", str(out)]
    assert score.main(["paired", *given]) == 0
    printed, found = capsys.readouterr().out, json.loads(out.read_text())
    parts = ["all", "seen systems", "unseen systems"]
    parts += [
        f"{system} system, {language} language" for system in ("seen", "unseen") for language in ("seen", "unseen")
    ]
    assert list(found) == parts
    assert all(f"{part} " in printed for part in parts)  # and no column runs into it
    assert len(found["unseen systems"]["pooled"]["before"]) == 2
    assert found["all"]["macro"]["ratio"] < 1


def test_a_back_end_is_of_each_file_its_own(files, capsys):
    given = ["paired", "--before", *files["beforetest"], "--after", *files["aftertest"], "--draws", "20"]
    wccn = ["--backend", "wccn", "--before_backend_from", *files["beforedev"], "--after_backend_from"]
    assert score.main(given) == 0
    cosine = capsys.readouterr().out
    assert score.main([*given, *wccn, *files["afterdev"]]) == 0
    assert capsys.readouterr().out != cosine
    assert score.main([*given, *wccn, *files["beforedev"]]) == 2
    assert "another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--before", "beforetest", "--after", "aftertest", "--backend", "lda"], "--before_backend_from: 0 files"),
        (["--before", "beforetest", "beforetest", "--after", "aftertest"], "4 and 2 files"),
        (["--before", "nowhere.npz", "--after", "aftertest"], "nowhere.npz"),
        (["--before", "beforetest"], "--after"),
    ],
)
def test_mistakes_are_one_message(files, capsys, given, said):
    words = [path for word in given for path in files.get(word, [word])]
    try:
        status = score.main(["paired", *words])
    except SystemExit as end:  # of the parser
        status = end.code
    error = capsys.readouterr().err
    assert status == 2
    assert said in error
    assert "Traceback" not in error
