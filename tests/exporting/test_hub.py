"""--format hf with huggingface_hub itself: what its mixin reads and writes, its cache of models, its model cards."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import load_file

import export
from exporting.hub import HubModel
from SpeakerNet import load_model
from tests.conftest import ROOT, command
from tests.exporting.conftest import speech
from trainSpeakerNet import main

WAVES = [speech(1.0), speech(2.0, 77_777)]


@pytest.fixture(scope="session")
def hub_folder(thin, tmp_path_factory):
    """The untrained network's folder, with a run's results beside its checkpoint."""
    experiment = tmp_path_factory.mktemp("run")
    (experiment / "model").mkdir()
    (experiment / "result").mkdir()
    shutil.copy(thin, experiment / "model/best.model")
    found = {"list": "lists/dev.csv", "utterances": 1_234, "systems": 5, "eer": 0.1234, "macro_eer": 0.0567}
    of_best = found | {"checkpoint": "exps/x/model/best.model", "intervals": {"eer": [0.1, 0.15]}}
    (experiment / "result/eval_dev.json").write_text(json.dumps(of_best))
    of_last = found | {"checkpoint": "exps/x/model/last.model", "list": "lists/other.csv"}
    (experiment / "result/eval_other.json").write_text(json.dumps(of_last))
    terms = ["--license", "mit", "--dataset", "mlaad", "--data_terms", "Tones of our own, CC0."]
    out = experiment / "tracer"
    checkpoint = str(experiment / "model/best.model")
    assert export.main([checkpoint, "--out", str(out), "--format", "hf", *terms]) == 0
    return out


def test_load_model_takes_the_folder(thin, hub_folder):
    ours, theirs = load_model(thin, "cpu"), load_model(hub_folder, "cpu")
    embeddings = ours.embed_waveforms(WAVES)
    assert np.array_equal(theirs.embed_waveforms(WAVES), embeddings)
    assert np.array_equal(theirs.logits(embeddings), ours.logits(embeddings))
    assert (theirs.classes, theirs.languages, theirs.digest) == (ours.classes, ours.languages, ours.digest)


def test_the_mixin_reads_and_writes_it(thin, hub_folder, tmp_path):
    model = HubModel.from_pretrained(hub_folder)
    assert isinstance(model, PyTorchModelHubMixin) and not model.training
    with torch.inference_mode():
        found = model(torch.tensor(WAVES[0])[None]).numpy()
    assert np.array_equal(found, load_model(thin, "cpu").embed_waveforms(WAVES[:1]))
    with torch.no_grad():
        model.encoder.fc.bias += 1
    model.save_pretrained(tmp_path / "again")
    assert np.allclose(load_model(tmp_path / "again", "cpu").embed_waveforms(WAVES[:1]), found + 1, atol=1e-5)


def test_the_weights_are_plain_tensors_under_two_names(hub_folder):
    names = load_file(hub_folder / "model.safetensors")
    assert {name.split(".")[0] for name in names} == {"encoder", "loss"}


def test_the_card_has_the_runs_results_of_this_checkpoint_and_says_what_it_is_not_for(hub_folder):
    card = ModelCard.load(hub_folder / "README.md")
    assert card.data.license == "mit" and card.data.datasets == ["mlaad"] and "source-tracing" in card.data.tags
    assert card.data.language == ["de", "en"]
    assert "| dev.csv | 1,234 | 5 | 12.34% (10.00% to 15.00%) | 5.67% |" in card.text and "other.csv" not in card.text
    assert "Not validated for court use" in card.text and "Tones of our own, CC0." in card.text


def test_the_folder_does_not_say_where_it_was_trained(hub_folder):
    options = json.loads((hub_folder / "config.json").read_text())["options"]
    assert not {"train_list", "train_path", "save_path", "dev_list", "test_list", "initial_model"} & options.keys()


def test_a_name_on_the_hub_is_loaded_from_the_cache_without_a_network(hub_folder, tmp_path):
    model = tmp_path / "hub/models--someone--tracer"
    (model / "refs").mkdir(parents=True)
    (model / "refs/main").write_text("0" * 40)
    shutil.copytree(hub_folder, model / "snapshots" / ("0" * 40))
    code = 'from SpeakerNet import load_model; print(load_model("someone/tracer", "cpu").digest)'
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == load_model(hub_folder, "cpu").digest, done.stderr
    missing = subprocess.run(
        [sys.executable, "export.py", "someone/else", "--out", str(tmp_path / "out")],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("error: someone/else: no such file or folder here")


@pytest.mark.usefixtures("full_size")
def test_training_starts_from_the_folder(hub_folder, options):
    options |= {"nOut": 12, "max_epoch": 1, "warmup_epochs": 0, "lr": 1e-12, "initial_model": hub_folder}
    assert main(command(options)) == 0
    started = load_model(options["save_path"] / "model/last.model", "cpu").encoder.fc.weight
    assert torch.allclose(started, load_model(hub_folder, "cpu").encoder.fc.weight, atol=1e-6)


def test_a_folder_is_scored(hub_folder, corpus, tmp_path):
    options = {"eval": "true", "initial_model": hub_folder, "test_list": corpus / "test.csv", "test_path": corpus}
    assert main(command(options | {"save_path": tmp_path / "exp"})) == 0
    assert (tmp_path / "exp/result/eval_test.json").is_file()
