"""Recipes: what a YAML file may say, and that every mistake in it is named at once with its line."""

import sys

import numpy as np
import pytest

from corpus.augmentation.kinds import KINDS, parameters
from corpus.augmentation.recipe import CLASSIC, find_recipe, read_recipe
from settings.errors import ConfigError
from tests.conftest import ROOT


def written(tmp_path, text: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_recipe(written(tmp_path, text))
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_true_is_voxceleb_trainers_recipe_false_none():
    assert find_recipe("false") is None and find_recipe("") is None and find_recipe("False") is None
    (steps,) = find_recipe("true").chain
    assert [(step.kind, step.probability) for step in steps] == [
        ("reverb", 0.2),
        ("music", 0.2),
        ("babble", 0.2),
        ("noise", 0.2),
    ]
    ratios = {step.kind: (step.parameters["snr"], step.parameters["files"]) for step in steps[1:]}
    assert ratios == {"music": ((5, 15), (1, 1)), "babble": ((13, 20), (3, 7)), "noise": ((0, 15), (1, 1))}


@pytest.mark.parametrize("path", sorted(CLASSIC.parent.glob("*.yaml")), ids=lambda path: path.name)
def test_the_recipes_that_come_along_can_be_read(path):
    if "world" in path.read_text():
        pytest.importorskip("pyworld", reason="pyworld is not installed")
    recipe = read_recipe(path)
    assert recipe.chain or recipe.copies


def test_parameters_are_given_as_ranges_numbers_and_names(tmp_path):
    recipe = read_recipe(
        written(
            tmp_path,
            "copies: [griffinlim, speed0.9]\ncopy_classes: copy\nchain:\n"
            "- {kind: lowpass, probability: 0.25, cutoff: [2000, 3000]}\n"
            "- one_of:\n  - {kind: mp3, probability: 0.5, kbps: 32}\n  - {kind: g711, probability: 0.5, law: alaw}\n"
            "- kind: rawboost_impulsive\n  probability: 1\n  share: 5\n",
        )
    )
    assert recipe.copies == ("griffinlim", "speed0.9") and recipe.copy_classes == "copy"
    assert recipe.copies_an_epoch is None and "copies_an_epoch" not in recipe.described()
    assert [[(s.kind, s.probability, s.parameters) for s in steps] for steps in recipe.chain] == [
        [("lowpass", 0.25, {"cutoff": (2000, 3000)})],
        [("mp3", 0.5, {"kbps": (32, 32)}), ("g711", 0.5, {"law": ("alaw",)})],
        [("rawboost_impulsive", 1, {"share": 5.0, "gain": 2.0})],
    ]


def test_every_mistake_is_named_at_once_with_its_line(tmp_path):
    text = refused(
        tmp_path,
        "copies: [gl, mel, mel]\n"
        "chainn: 3\n"
        "chain:\n"
        "- {kind: noize, probability: 0.3}\n"
        "- {kind: room, rt60: [3, 1]}\n"
        "- {kind: lowpass, probability: 2, cutof: 3}\n"
        "- one_of: [{kind: mp3, probability: 0.7, kbps: 4}, {kind: opus, probability: 0.7}]\n"
        "- 3\n"
        "- {kind: g711, probability: true, law: ulaw}\n"
        "- {kind: babble, probability: 1, files: [1.5, 3]}\n"
        "- {probability: 1}\n"
        "- one_of: [{kind: mp3, probability: 0.7}, {kind: opus, probability: 0.7}]\n"
        "- {kind: gain, probability: 0.1, decibels: .nan}\n",
    )
    for line in (
        "line 1: copies: no copy 'gl'",
        "line 1: copies: one is given twice",
        "line 2: no 'chainn' here (did you mean chain?)",
        "line 4: no kind 'noize' (did you mean noise?)",
        "line 5: room: how probable is it?",
        "line 5: room: rt60: [3, 1] is no range",
        "line 6: no 'cutof' here (did you mean cutoff?)",
        "line 6: lowpass: a probability is above 0 and at most 1",
        "line 7: mp3: kbps: 4 is not between 8 and 160 kbit/s",
        "line 8: a change is {kind",
        "line 9: g711: law: 'ulaw' is none of mulaw, alaw (did you mean mulaw?)",
        "line 9: g711: a probability is above 0",
        "line 10: babble: files: 1.5 is not a whole number",
        "line 11: a change needs a kind",
        "line 12: one_of: its probabilities sum to 1.4",
        "line 13: gain: decibels: .nan is no finite number",
    ):
        assert f"recipe.yaml {line}" in text
    places = [int(line.split("line ")[1].split(":")[0]) for line in text.splitlines()]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a recipe has a list"),
        ("- 1\n", "a recipe has a list"),
        ("chain: []\n", "nothing would be changed"),
        ("chain: 3\n", "chain: a list of changes"),
        ("copies: {a: 1}\n", "expected a plain value"),
        ("chain:\n- {kind: [noise], probability: 1}\n", "a change needs a kind, and it is ['noise']"),
        ("chain:\n- {kind: gain, kind: gain, probability: 1}\n", "'kind' is given twice"),
        ("chain:\n- {? [a, b] : 1, kind: gain, probability: 1}\n", "no '?' here"),
        ("chain:\n- one_of: 3\n", "one_of: a list of"),
        ("chain:\n- {one_of: [], probability: 1}\n", "no 'probability' here"),
        ("chain:\n- {kind: gain, probability: !!python/object:os.system 1}\n", "has no place in a config"),
        ("chain:\n- {kind: noise, probability: 1, snr: }\n", "noise: snr: nothing is given"),
        ("chain:\n- {kind: mp3, probability: 1, kbps: 1" + "0" * 400 + "}\n", "is not between 8 and 160"),
        ("chain: &a [*a]\n", "a change is {kind"),
        ("a: [\n", "line 2"),
        ("chain: \0", "special characters|not allowed|unacceptable"),
        ("copies: [mel, griffinlim]\ncopies_an_epoch: 3\n", "above 0 and at most that of the copies, 2"),
        ("copies: mel\ncopies_an_epoch: 0\n", "a number above 0"),
        ("copies: mel\ncopies_an_epoch: [1]\n", "a number above 0"),
        ("copies_an_epoch: 1\nchain:\n- {kind: gain, probability: 1}\n", "at most that of the copies, 0"),
        ("copy_classes: systems\ncopies: mel\n", "copy_classes: 'systems' is none of system, copy"),
    ],
)
def test_what_is_no_recipe_is_one_message(tmp_path, text, said):
    import re

    assert re.search(said if "|" in said else re.escape(said), refused(tmp_path, text))


def test_a_damaged_recipe_is_read_or_refused_and_nothing_else(tmp_path):
    """Bytes changed, dropped and repeated in a recipe that uses every form."""
    text = (
        b"copies: [mel, speed0.9]\ncopy_classes: copy\n"
        b"chain:\n- {kind: lowpass, probability: 0.25, cutoff: [2e3, 3000]}\n"
        b"- one_of:\n  - {kind: mp3, probability: 0.5, kbps: 32}\n  - {kind: g711, probability: 5e-1, law: [alaw]}\n"
    )
    (tmp_path / "whole.yaml").write_bytes(text)
    assert len(read_recipe(tmp_path / "whole.yaml").chain) == 2
    random = np.random.default_rng(0)
    path, refusals = tmp_path / "recipe.yaml", 0
    for _ in range(1_500):
        damaged = bytearray(text)
        for place in random.integers(0, len(text), random.integers(1, 4)):
            how = random.integers(3)
            part = bytes(random.choice(list(b"[]{}:,-&*!#'\"\n \t0.x\xff"), 1).astype(np.uint8))
            damaged[place : place + int(random.integers(1, 9))] = (b"", part, damaged[place : place + 20])[how]
        path.write_bytes(damaged)
        try:
            read_recipe(path)
        except ConfigError as error:
            refusals += 1
            assert "recipe.yaml" in str(error) and len(str(error)) < 4_000
    assert refusals > 1_000


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="--augment nowhere.yaml: no such file .a YAML file, true or false"):
        find_recipe("nowhere.yaml")


def test_an_optional_package_is_asked_for_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "pyworld", None)
    text = refused(tmp_path, "copies: world\nchain:\n- {kind: amr, probability: 1}\n")
    assert text.count("pip install -r requirements-augment.txt") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented_and_its_parameters_are_bounded(kind):
    assert KINDS[kind].__doc__
    text = (ROOT / "docs/augmentation.md").read_text(encoding="utf-8")
    assert f"`{kind}`" in text
    for name, parameter in parameters(kind).items():
        assert name == "path" or parameter.limits is not None
        assert name == "path" or f"`{name}`" in text
