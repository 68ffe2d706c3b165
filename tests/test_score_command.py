"""`python score.py`: what it writes, and what it says to a user's mistakes."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import score
from tests.conftest import ROOT


@pytest.fixture
def saved(tmp_path):
    """An .npz of 60 utterances of six systems."""
    generator = np.random.default_rng(0)
    codes = np.arange(60) % 6
    embeddings = generator.standard_normal((60, 5)) + 2 * generator.standard_normal((6, 5))[codes]
    np.savez(
        tmp_path / "dev.npz",
        embeddings=embeddings.astype(np.float32),
        labels=np.array([f"s{code}" for code in codes]),
        paths=np.array([f"./wav/{i % 57}.wav" for i in range(60)]),
        conditions=np.where(codes < 3, "seen-seen", "unseen-seen"),
        languages=np.where(codes % 2, "en", "fi"),
    )
    np.savez(tmp_path / "cohort.npz", embeddings=generator.standard_normal((40, 5)))
    return tmp_path


def run(*words):
    return score.main([str(word) for word in words] + ["--no_progress"])


def test_a_run_prints_a_table_and_writes_numbers_and_pictures(saved, capsys):
    assert (
        run(saved / "dev.npz", "--out", saved / "result", "--draws", 50, "--threshold", 0.5, "--threshold_from", "dev")
        == 0
    )
    printed = capsys.readouterr()
    assert (
        "60 utterances of 6 systems" in printed.out
        and "unseen system, seen language" in printed.out
        and not printed.err
    )
    assert sorted(path.name for path in (saved / "result").iterdir()) == [
        "det_dev.png",
        "eval_dev.json",
        "scores_dev.png",
    ]
    result = json.loads((saved / "result" / "eval_dev.json").read_text())
    assert result["repeated"] == 3 and result["at_dev_threshold"]["threshold"] == 0.5
    assert result["at_dev_threshold"]["threshold_from"] == "dev" and result["passes"] >= 1
    for picture in ("det", "scores"):
        assert (saved / "result" / f"{picture}_dev.png").read_bytes().startswith(b"\x89PNG")


def test_dedup_drops_repeated_paths(saved, capsys):
    assert run(saved / "dev.npz", "--dedup", "--draws", 0) == 0
    assert "57 utterances" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["txt", "npz"])
@pytest.mark.parametrize("labelled", [True, False])
def test_given_trials_are_scored_and_written(saved, capsys, ending, labelled):
    pairs = [(0, 6), (1, 2), (3, 9), (4, 5)]
    lines = [f"{'10'[(i - j) % 6 != 0] + ' ' if labelled else ''}wav/{i}.wav ./wav/{j}.wav\n" for i, j in pairs]
    (saved / "trials.txt").write_text("".join(lines) + "\n")
    out = saved / f"scores.{ending}"
    assert run(saved / "dev.npz", "--trial_list", saved / "trials.txt", "--scores_out", out) == 0
    assert ("2 target and 2 non-target trials" in capsys.readouterr().out) == labelled
    rows = np.load(saved / "dev.npz")["embeddings"].astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    wanted = [rows[i] @ rows[j] for i, j in pairs]
    if ending == "npz":
        given = np.load(out)["scores"]
    else:
        assert [line.rsplit(" ", 1)[0].split()[-2:] for line in out.read_text().splitlines()][1][0] == "./wav/1.wav"
        given = [float(line.split()[-1]) for line in out.read_text().splitlines()]
    np.testing.assert_allclose(given, wanted, atol=1e-6)


def test_normalised_scores_are_told_for_pairs_and_for_trials(saved, capsys):
    norm = ["--score_norm", "asnorm", "--cohort", saved / "cohort.npz", "--top", 10]
    assert run(saved / "dev.npz", "--draws", 0, *norm) == 0
    (saved / "t").write_text("1 wav/0.wav wav/6.wav\n0 wav/1.wav wav/2.wav\n")
    assert run(saved / "dev.npz", "--trial_list", saved / "t", *norm) == 0
    assert capsys.readouterr().out.count("EER") >= 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.npz"], "none.npz: No such file"),
        (["text.npz"], "text.npz cannot be read"),
        (["broken.npz"], "broken.npz cannot be read"),
        (["pickled.npz"], "pickled.npz cannot be read"),
        (["array.npy"], "array.npy cannot be read"),
        (["unlabelled.npz"], "no array `labels`"),
        (["noembeddings.npz"], "no array `embeddings`; it has labels"),
        (["short.npz"], "(60, 2) embeddings, but labels (3,)"),
        (["cohort.npz", "--dedup"], "no paths"),
        (["dev.npz", "--scores_out", "x.txt"], "--scores_out needs --trial_list"),
        (["dev.npz", "--trial_list", "t", "--scores_out", "x.csv"], "as .npz or .txt"),
        (["dev.npz", "--trial_list", "nolist"], "nolist cannot be read"),
        (["dev.npz", "--trial_list", "empty"], "has no trial in it"),
        (["dev.npz", "--trial_list", "unknown"], "no embedding of wav/99.wav (line 2)"),
        (["dev.npz", "--trial_list", "mixed"], "mixed line 2"),
        (["dev.npz", "--trial_list", "words"], "label must be 1"),
        (["dev.npz", "--trial_list", "targets"], "no non-target trial"),
        (["dev.npz", "--trial_list", "unlabelled"], "give --scores_out"),
        (["dev.npz", "--score_norm", "asnorm"], "belong together"),
        (["dev.npz", "--cohort", "cohort.npz"], "belong together"),
        (["dev.npz", "--cost", "2", "1", "1"], "p_target"),
        (["dev.npz", "--threads", "0"], "--threads: '0' is not"),
        (["dev.npz", "--device", "warp"], "device warp cannot be used"),
        (["dev.npz", "--out", "dev.npz/x"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(saved, capsys, monkeypatch, words, said):
    monkeypatch.chdir(saved)
    (saved / "text.npz").write_text("no archive")
    (saved / "broken.npz").write_bytes((saved / "dev.npz").read_bytes()[:400])
    np.savez(saved / "pickled.npz", embeddings=np.array([{}], dtype=object))
    np.save(saved / "array.npy", np.ones(3))
    np.savez(saved / "unlabelled.npz", embeddings=np.ones((3, 2)))
    np.savez(saved / "noembeddings.npz", labels=np.ones(3, int))
    np.savez(saved / "short.npz", embeddings=np.ones((60, 2)), labels=np.ones(3, int))
    lists = {
        "t": "1 wav/0.wav wav/6.wav\n",
        "empty": "\n\n",
        "unknown": "1 wav/0.wav wav/6.wav\n0 wav/99.wav wav/1.wav\n",
        "mixed": "1 wav/0.wav wav/6.wav\nwav/0.wav wav/1.wav\n",
        "words": "yes wav/0.wav wav/6.wav\n",
        "targets": "1 wav/0.wav wav/6.wav\n",
        "unlabelled": "wav/0.wav wav/6.wav\n",
    }
    for name, text in lists.items():
        (saved / name).write_text(text)
    before = sorted(saved.iterdir())
    assert run(*words) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert sorted(saved.iterdir()) == before


def test_a_picture_that_fails_leaves_nothing_half_written(saved, monkeypatch):
    from scoring import files

    def fail(result, path, title, condition_name):  # noqa: ARG001
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "draw_det", fail)
    assert run(saved / "dev.npz", "--out", saved / "result", "--draws", 0) == 2
    assert [path.name for path in (saved / "result").iterdir()] == ["eval_dev.json"]


def test_scoring_on_the_processor_imports_no_torch(saved):
    code = "import sys, score; assert not score.main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-c", code, str(saved / "dev.npz"), "--draws", "0", "--no_progress"]
    modules = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stderr.split()
    assert "numba" in modules and not {"torch", "torchaudio", "transformers"} & set(modules)


def test_what_is_saved_is_a_plain_archive(saved):
    assert all(name.endswith(".npy") for name in zipfile.ZipFile(saved / "dev.npz").namelist())
