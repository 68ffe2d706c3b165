"""Training with --augment: the same bits whatever befalls a run, copies as classes, dev and test left alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dataprep
import DatasetLoader
from corpus.augmentation.recipe import read_recipe
from corpus.cache import open_cache
from corpus.copies import load, with_copies
from corpus.lists import read_list
from engine import checkpoints
from settings.resolve import resolve
from SpeakerNet import load_model
from tests.conftest import command
from tests.corpus.augmentation.signals import musan, rirs
from tests.engine.test_resume import compare_killed_with_undisturbed
from tests.test_training import refused, said, same, weights
from trainSpeakerNet import main

EVERYTHING = """copies: [speed1.1, mel]
chain:
- {kind: speed, probability: 0.5, factors: [0.9, 1.1]}
- one_of:
  - {kind: noise, probability: 0.3}
  - {kind: room, probability: 0.3}
  - {kind: rawboost_impulsive, probability: 0.3}
- {kind: g711, probability: 0.3}
- {kind: gain, probability: 0.5}
"""


@pytest.fixture
def augmented(options, tmp_path):
    """Options of a run of seconds, with copies, noise from files and changes that need none."""
    (tmp_path / "recipe.yaml").write_text(EVERYTHING)
    return options | {"augment": tmp_path / "recipe.yaml", "musan_path": musan(tmp_path / "musan", 3, 1.0)}


def test_a_killed_run_with_augmentation_ends_bit_for_bit_as_an_undisturbed_one(augmented, tmp_path):
    assert compare_killed_with_undisturbed(augmented | {"max_epoch": 3}, tmp_path, kills=3, most=40) >= 1


def test_threads_change_nothing_and_every_draw_matters(augmented, tmp_path):
    folders = [tmp_path / name for name in ("one", "three", "seed")]
    for folder, threads, seed in zip(folders, (1, 3, 1), (1, 1, 2), strict=True):
        more = {"save_path": folder, "nDataLoaderThread": threads, "seed": seed}
        assert main(command(augmented | more)) == 0
    one, three, seed = map(weights, folders)
    assert same(one, three) and not same(one, seed)


def test_the_batches_are_changed_crops_new_in_every_epoch_and_again_in_a_cycle(augmented):
    config = resolve(command(augmented))
    loader = DatasetLoader.make_loader(config, DatasetLoader.open_lists(config)[0], torch.device("cpu"))

    def batches():
        return [[batch.waveforms.numpy() for batch in loader.epoch(epoch)] for epoch in (0, 1, 2)]

    found = batches()
    assert loader.reads > loader.length and all(b.shape[1] == loader.length for epoch in found for b in epoch)
    assert not np.array_equal(found[0][0], found[1][0])
    loader.crop_cycle = 2
    whole = [{crop.tobytes() for batch in epoch for crop in batch} for epoch in batches()]
    shared = len(whole[0] & whole[2])  # which utterances are drawn is another matter, and a few sit an epoch out
    assert shared >= 0.9 * len(whole[0]) and not whole[0] & whole[1]


def test_two_processes_make_of_their_parts_what_one_makes_of_the_whole(augmented, monkeypatch):
    config = resolve(command(augmented))
    loader = DatasetLoader.make_loader(config, DatasetLoader.open_lists(config)[0], torch.device("cpu"))
    whole = [batch.waveforms for batch in loader.epoch(1)]
    parts = []
    for half in (slice(0, 4), slice(4, 8)):
        monkeypatch.setattr(DatasetLoader, "shard", lambda rows, _, half=half: rows[half])
        parts.append([batch.waveforms for batch in loader.epoch(1)])
    assert all(torch.equal(torch.cat(pair), batch) for *pair, batch in zip(*parts, whole, strict=True))


def test_the_recipe_stands_beside_the_results_and_is_named_in_the_log(augmented, capsys):
    augmented |= {"max_epoch": 1, "warmup_epochs": 0}
    assert main(command(augmented)) == 0
    assert (augmented["save_path"] / "augmentation.yaml").read_text() == EVERYTHING
    line = "recipe.yaml: copies speed1.1, mel; crops through speed, noise|room|rawboost_impulsive, g711, gain"
    assert line in said(capsys)
    assert main(command(augmented | {"augment": augmented["save_path"] / "augmentation.yaml"})) == 0


def test_copies_are_classes_in_training_and_unknown_to_everything_else(augmented, capsys):
    assert main(command(augmented)) == 0
    folder = augmented["save_path"]
    assert "48 utterances of 4 systems and 8 classes of copies" in said(capsys)
    state = checkpoints.read(folder / "model/last.model")
    assert state["classes"] == [f"system {i}" for i in range(4)]
    assert state["copies"] == sorted(f"system {i}@{copy}" for i in range(4) for copy in ("mel", "speed1.1"))
    assert state["loss"]["weight"].shape[0] == 12
    model = load_model(folder / "model/last.model", device="cpu")
    embeddings = model.embed_waveforms([np.random.default_rng(0).standard_normal(8_000).astype(np.float32)] * 3)
    assert model.logits(embeddings).shape == (3, 4)
    assert main(command({"test_list": augmented["test_list"], "train_path": augmented["train_path"]},
                        "--eval", "--initial_model", folder / "model/last.model", "--device", "cpu")) == 0  # fmt: skip


def test_dev_and_test_lists_are_left_alone(augmented):
    train, dev, (test,) = DatasetLoader.open_lists(resolve(command(augmented)))
    assert len(train.table) == 48 and train.augmentation
    for data in (dev, test):
        assert len(data.table) == 8 and data.augmentation is None and not any("@" in path for path in data.table.paths)


def test_another_recipe_or_another_folder_is_refused_and_another_place_for_the_same_is_not(augmented, tmp_path, capsys):
    assert main(command(augmented)) == 0
    other = tmp_path / "other.yaml"
    other.write_text(EVERYTHING)
    moved = augmented | {"augment": other, "musan_path": musan(tmp_path / "moved", 3, 1.0)}
    assert main(command(moved)) == 0
    other.write_text(EVERYTHING.replace("probability: 0.5, factors", "probability: 0.4, factors"))
    assert "what --augment makes of them" in refused(capsys, moved)
    assert "what --augment makes of them" in refused(capsys, augmented | {"augment": "false"})
    (tmp_path / "musan/noise/part/2.wav").unlink()
    assert "what --augment makes of them" in refused(capsys, augmented)


def test_true_is_voxceleb_trainers_way_on_the_command_line_and_in_yaml(options, tmp_path, capsys):
    assert "reverb: needs --rir_path" in refused(capsys, options, "--augment")
    assert "babble: needs --musan_path" in refused(capsys, options, "--augment", "True")
    (tmp_path / "config.yaml").write_text("augment: true\n")
    text = refused(capsys, options, "--config", tmp_path / "config.yaml")
    assert "classic.yaml line" in text and "noise: needs --musan_path" in text
    more = {"augment": "true", "musan_path": musan(tmp_path / "musan", 7, 1.0), "rir_path": rirs(tmp_path / "rirs")}
    assert main(command(options | more)) == 0
    assert "augment: 'true'" in (options["save_path"] / "config.yaml").read_text()


def test_mistakes_of_recipe_and_lists_come_together_and_before_any_work(options, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("chain:\n- {kind: noize, probability: 1}\n")
    text = refused(capsys, options | {"augment": recipe, "dev_list": tmp_path / "absent.csv"})
    assert "recipe.yaml line 2: no kind 'noize' (did you mean noise?)" in text and "absent.csv" in text
    assert "absent.yaml: no such file" in refused(capsys, options | {"augment": tmp_path / "absent.yaml"})
    assert "nothing would be changed" in refused(capsys, options | {"augment": written(recipe, "copies: []\n")})


def written(path, text: str):
    path.write_text(text)
    return path


def test_crops_that_are_changed_do_not_live_on_the_device_and_copies_may(options, tmp_path, capsys):
    chain = written(tmp_path / "chain.yaml", "chain:\n- {kind: gain, probability: 1}\n")
    copies = written(tmp_path / "copies.yaml", "copies: speed1.1\n")
    text = refused(capsys, options | {"augment": chain}, "--data_on_device", "yes")
    assert "--data_on_device yes" in text and "--augment" in text
    assert main(command(options | {"augment": copies}, "--data_on_device", "yes")) == 0


def test_the_classes_of_copies_count_among_nClasses(options, tmp_path, capsys):
    copies = written(tmp_path / "copies.yaml", "copies: [speed1.1]\ncopy_classes: copy\n")
    assert read_recipe(copies).copy_classes == "copy"
    assert main(command(options | {"augment": copies})) == 0
    assert "32 utterances of 4 systems and 1 class of copies" in said(capsys)


def test_copies_drawn_anew_each_epoch_make_it_shorter_and_are_for_the_random_sampler(options, tmp_path, capsys):
    copies = written(tmp_path / "copies.yaml", "copies: [speed1.1, speed0.9]\ncopies_an_epoch: 0.5\n")
    assert main(command(options | {"augment": copies, "batch_size": 4})) == 0
    text = said(capsys)
    assert "copies speed1.1, speed0.9 (0.5 of each utterance in an epoch)" in text
    assert "48 utterances of 4 systems and 8 classes of copies" in text
    rows = [json.loads(line) for line in (Path(options["save_path"]) / "result/metrics.jsonl").read_text().splitlines()]
    assert {(row["utterances_used"], row["utterances_available"]) for row in rows} == {(24, 24)}
    other = written(tmp_path / "copies.yaml", "copies: [speed1.1, speed0.9]\ncopies_an_epoch: 1\n")
    assert "train list" in refused(capsys, options | {"augment": other, "batch_size": 4, "max_epoch": 9})
    balanced = {"augment": copies, "sampler": "balanced", "nPerSpeaker": 2, "save_path": tmp_path / "other"}
    assert "copies_an_epoch is for --sampler random" in refused(capsys, options | balanced)


def test_a_cache_holds_the_copies_and_one_without_them_is_refused_with_the_command_that_mends_it(
    options, corpus, tmp_path, capsys
):
    recipe = written(tmp_path / "copies.yaml", "copies: [mel, speed0.9]\n")
    cached = options | {"augment": recipe, "cache": tmp_path / "cache"}
    build = ["cache", *(str(options[name]) for name in ("train_list", "dev_list", "test_list"))]
    build += ["--path", str(corpus), "--out", str(tmp_path / "cache")]
    assert dataprep.main(build) == 0
    text = refused(capsys, cached)
    assert "u0.wav@mel: not in the cache" in text and "--copies mel speed0.9" in text
    assert dataprep.main([*build[:2], *build[4:], "--copies", "mel", "speed0.9"]) == 0
    assert main(command(cached)) == 0
    assert "48 utterances of 4 systems and 8 classes of copies" in said(capsys)
    table = with_copies(read_list(options["train_list"]), ["mel", "speed0.9"])
    audio = open_cache(tmp_path / "cache", table, corpus)
    for row in (3, 20, 40):
        samples = load(f"{corpus}/{table.paths[row]}")
        assert np.abs(audio.read(row) - samples).max() <= np.abs(samples).max() / 65_000
    assert main(command(options | {"cache": tmp_path / "cache"}, "--restart")) == 0  # the list without copies


def test_copies_that_memory_cannot_hold_are_warned_of(options, tmp_path, capsys):
    recipe = written(tmp_path / "copies.yaml", "copies: [speed1.1]\n")
    assert main(command(options | {"augment": recipe}, "--audio_memory", 0.0001)) == 0
    assert "made again at every use" in said(capsys)
