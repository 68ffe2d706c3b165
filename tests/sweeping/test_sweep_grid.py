"""A sweep file becomes checked runs, or all its mistakes are reported."""

import time
from pathlib import Path

import pytest
import yaml

from settings import resolve
from settings.errors import ConfigError
from sweeping import grid, sweep_file
from tests.conftest import ROOT

PART = {
    "fixed": {"train_list": "t.csv", "max_epoch": 20, "nPerSpeaker": 2},
    "grid": {
        "trainfunc": ["softmax", "ge2e"],
        "sampler": ["random", {"sampler": "balanced", "batch_size": 4}],
        "nOut": [10, 50],
    },
    "exclude": [{"trainfunc": "ge2e", "sampler": ["random"]}],
}


def runs(tmp_path, part, *overrides, **more):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"save_path": "exps/s", "parts": [part], **more}, sort_keys=False))
    return grid.runs(sweep_file.read(str(path)), list(overrides))


def test_a_grid_is_the_product_of_its_axes_less_what_is_excluded(tmp_path):
    made = runs(tmp_path, PART)
    assert [run.name for run in made] == [
        f"ThinResNet34-{which}-nOut{n}-seed10"
        for which in ("softmax-random", "softmax-balanced", "ge2e-balanced")
        for n in (10, 50)
    ]
    assert {(run.config.sampler, run.config.batch_size) for run in made} == {("random", 128), ("balanced", 4)}


def test_the_words_of_a_run_resolve_to_its_configuration(tmp_path):
    for run in runs(tmp_path, PART | {"config": str(ROOT / "configs" / "demo.yaml")}, "--lr", "1e-3"):
        assert resolve.resolve(run.words) == run.config


def test_the_command_line_stands_above_the_file_and_narrows_an_axis(tmp_path):
    made = runs(tmp_path, PART, "--nOut", "7", "--max_epoch", "12", "--save_path", "exps/other")
    assert {run.config.nOut for run in made} == {7}
    assert len(made) == 3
    assert made[0].folder == Path("exps/other") / made[0].name


def test_other_axes_appear_in_the_names(tmp_path):
    part = {"fixed": PART["fixed"], "grid": {"lr": [0.1, 0.01], "seed": [1, 2]}}
    assert runs(tmp_path, part)[1].name == "ThinResNet34-aamsoftmax-random-nOut512-seed2-lr=0.1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grid": {"nOutt": [1]}}, "part 1: grid nOutt: no such option .did you mean nOut"),
        ({"grid": {"nOut": ["10"]}}, "grid nOut: '10' is not a whole number"),
        ({"grid": {"nOut": 10}}, "grid nOut must be a list of choices"),
        ({"fixed": {"save_path": "x"}}, "fixed save_path: the sweep itself decides that"),
        ({"grid": {"sampler": [{"batch_size": 3}]}}, "does not say its sampler"),
        ({"exclude": [{"trainfun": "ge2e"}]}, "does not vary: trainfun .did you mean trainfunc"),
        ({"exclude": []}, "ge2e compares utterances of one system"),
        ({"gird": {}}, "no such key gird .did you mean grid"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        runs(tmp_path, PART | change)


def test_all_mistakes_are_told_at_once_each_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        runs(tmp_path, PART | {"fixed": PART["fixed"] | {"lr": "x", "max_epoch": 1.5}})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "- a", "parts: []", "save_path: x", "a: b: c", "save_path: 1\nsave_path: 2"])
def test_a_broken_file_is_a_mistake_not_a_crash(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        sweep_file.read(str(tmp_path / "s.yaml"))


def test_the_demo_half_of_the_papers_table_has_32_cells():
    made = grid.runs(sweep_file.read(str(ROOT / "configs/sweeps/table1_demo.yaml")), [])
    assert len(made) == 32


@pytest.mark.skipif(not (ROOT / "models/Wav2Vec2AASIST.py").exists(), reason="models/Wav2Vec2AASIST.py is not there")
def test_the_papers_table_has_its_48_cells_and_every_one_has_a_published_value():
    from sweeping.table import ROW, read_paper

    made = grid.runs(sweep_file.read(str(ROOT / "configs/sweeps/table1.yaml")), [])
    cells = {tuple(run.config.flat()[key] for key in (*ROW, "nOut")) for run in made}
    assert len(made) == 48
    assert cells == set(read_paper(str(ROOT / "docs/paper_table1.csv")))


def test_a_grid_of_millions_is_refused_by_its_count(tmp_path):
    part = {"fixed": PART["fixed"], "grid": {name: list(range(200)) for name in ("nOut", "seed", "batch_size")}}
    began = time.monotonic()
    with pytest.raises(ConfigError, match="8,000,000 cells; a sweep has at most 10,000"):
        runs(tmp_path, part)
    assert time.monotonic() - began < 5


def test_the_folder_may_be_given_behind_an_equals_sign(tmp_path):
    assert runs(tmp_path, PART, "--save_path=exps/other")[0].folder.parent == Path("exps/other")


@pytest.mark.parametrize(
    "text", ["parts: [1]", "save_path: x\nparts: [{grid: [1]}]", "1: 2", "save_path: x\nparts: &a [*a]"]
)
def test_sweep_files_of_other_shapes_are_refused(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        sweep_file.read(str(tmp_path / "s.yaml"))
