"""`python -m benchmarks.gpu_check` runs on the processor as it does on a GPU, and what fails is seen."""

import numpy as np
import pytest
import torch

from benchmarks import gpu_check, gpu_parts
from benchmarks.demo_runs import different_weights
from benchmarks.gpu_check import PARTS
from benchmarks.gpu_parts import Check, Failed, same_eer, same_embeddings
from corpus.audio import Waveforms
from SpeakerNet import TracingModel
from tests.conftest import tone


def test_every_part_passes_on_the_processor_and_is_in_the_report(tmp_path, capsys):
    path = tmp_path / "report.md"
    status = gpu_check.main(["--device", "cpu", "--out", str(path)])
    text = path.read_text()
    assert status == 0, text
    assert text in capsys.readouterr().out
    assert all(f"## {part}\n" in text for part in PARTS)
    checks = text.count("\n| ") - 2 * (1 + len(PARTS)) - 3  # less the headers, and the machine's rows
    assert f"{checks} of {checks} checks passed." in text and "failed" not in text


def test_a_check_that_fails_is_a_row_with_its_error_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def broken():
        raise torch.OutOfMemoryError("no room\nfor | this")

    checks = [Check("first", broken), Check("second", lambda: "found")]
    monkeypatch.setattr(gpu_check, "PARTS", {"A part": lambda setup: checks})  # noqa: ARG005
    assert gpu_check.main(["--device", "cpu", "--out", str(tmp_path / "report.md")]) == 1
    text = (tmp_path / "report.md").read_text()
    assert "| first | **failed:** OutOfMemoryError: no room for \\| this |" in text
    assert "| second | found |" in text and "1 of 2 checks passed." in text
    assert "FAILED first" in capsys.readouterr().out


def test_without_a_gpu_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main(["--out", str(tmp_path / "report.md")]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "--device cpu tries the same parts" in said.err and not said.out
    assert not list(tmp_path.iterdir())


def test_embeddings_that_differ_between_devices_fail(monkeypatch):
    embed, calls = TracingModel.embed_list, []

    def noisy(self, *args):
        calls.append(0)
        return embed(self, *args) + (0.01 if len(calls) == 2 else 0)

    audio = Waveforms([tone(0, n) for n in range(3)])
    audio.lengths = lambda threads: (np.full(3, 9600), {})  # noqa: ARG005
    assert "3 utterances" in same_embeddings(gpu_parts.CPU, audio, "ThinResNet34", {})
    monkeypatch.setattr(TracingModel, "embed_list", noisy)
    calls.clear()
    with pytest.raises(Failed, match="largest difference"):
        same_embeddings(gpu_parts.CPU, audio, "ThinResNet34", {})


def test_error_rates_that_differ_between_devices_fail(monkeypatch):
    rates = {"cpu": 0.1, "cpu:0": 0.1001}
    monkeypatch.setattr(
        gpu_parts.scoring,
        "evaluate",
        lambda *_, device, **how: {"eer": rates[device], "macro_eer": 0.1},  # noqa: ARG005
    )
    with pytest.raises(Failed, match=r"eer 0\.10010000, on the CPU 0\.10000000"):
        same_eer(torch.device("cpu", 0), 100, 2)


def test_a_step_that_learns_nothing_fails(tmp_path):
    setup = gpu_parts.Setup(gpu_parts.CPU, True, False, tmp_path, "")
    made = gpu_parts.new_trainer(setup, setup.loader(4, 3))
    step = made.step
    made.step = lambda batch, lr: step(batch, 0 * lr)
    with pytest.raises(Failed, match="the weights have to change"):
        gpu_parts.some_steps(made, None)


def test_weights_that_differ_in_one_bit_are_named(tmp_path):
    weights = {"encoder": {"a": torch.ones(2), "b": torch.ones(2)}, "loss": {}}
    torch.save(weights, tmp_path / "one.model")
    weights["encoder"]["b"] = torch.tensor([1.0, 1.0000001])
    torch.save(weights, tmp_path / "two.model")
    assert different_weights(tmp_path / "one.model", tmp_path / "two.model") == ["encoder b"]
