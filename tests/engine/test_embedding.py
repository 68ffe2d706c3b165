"""What is too long for the memory is refused before the memory is gone, with what helps."""

import numpy as np
import pytest
import torch

from engine import embedding
from engine.embedding import fits_in_memory, free_memory
from engine.network import SpeakerNet
from settings.errors import DataError
from settings.resolve import for_embedding
from SpeakerNet import TracingModel
from tests.conftest import command, tone
from trainSpeakerNet import main


def model_of(**options):
    config = for_embedding({}, {"nOut": 8, "device": "cpu"} | options)
    return TracingModel(SpeakerNet(config, 2), config, torch.device("cpu"), ["a", "b"], [])


def test_an_utterance_that_is_too_long_is_named_and_crops_of_it_are_taken(monkeypatch):
    waveforms = [tone(0, 0, 1.0), tone(0, 1, 2.0)]
    whole = model_of().embed_waveforms(waveforms)
    monkeypatch.setattr(embedding, "free_memory", lambda: 50e6 * 1.5 / 60)
    with pytest.raises(DataError, match=r"cpu .* utterance 1 is the longest \(2 s\): --eval_frames 400 embeds"):
        model_of().embed_waveforms(waveforms)
    assert whole.shape == model_of(eval_frames=40).embed_waveforms(waveforms).shape == (2, 8)
    assert model_of().embed_waveforms(waveforms[:1]).shape == (1, 8)


def test_a_run_whose_dev_list_is_too_long_does_not_begin(options, monkeypatch, capsys):
    monkeypatch.setattr(embedding, "free_memory", lambda: 1e5)
    assert main(command(options)) == 2
    assert (
        "not enough memory on cpu" in capsys.readouterr().err
        and not (options["save_path"] / "model/last.model").exists()
    )


def test_only_a_cpu_that_says_what_is_free_is_asked(monkeypatch):
    assert free_memory() > 1e6
    encoder = model_of().encoder
    assert not fits_in_memory(encoder, 1e9, torch.device("cpu")) and fits_in_memory(encoder, 1e9, torch.device("cuda"))
    assert fits_in_memory(torch.nn.Identity(), 1e9, torch.device("cpu"))
    monkeypatch.setattr(embedding, "MEMORY", embedding.Path("/none/such"))
    assert free_memory() == np.inf


def test_files_are_embedded_in_parts_that_fit_into_memory(corpus, monkeypatch):
    files = sorted(corpus.rglob("*.wav"))
    model = model_of()
    together = model.embed(files)
    held = []
    whole = model.embed_waveforms
    monkeypatch.setattr(model, "embed_waveforms", lambda waveforms: held.append(len(waveforms)) or whole(waveforms))
    monkeypatch.setattr("SpeakerNet.IN_FLIGHT", 30_000)
    assert np.allclose(model.embed(files), together, atol=1e-5)
    assert sum(held) == len(files) and max(held) <= 4
    assert model.embed([]).shape == (0, 8)
