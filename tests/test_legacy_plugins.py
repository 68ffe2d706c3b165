"""Models and losses in voxceleb_trainer's manner (**kwargs, utils, tuneThreshold, .cuda()) drop in unchanged."""

import sys

import pytest
import torch

from tests.conftest import command
from trainSpeakerNet import main
from utils import LegacyTorchSemantics, PreEmphasis, accuracy

LOSS = '''
"""A prototypical loss as the family writes it."""
import torch, torch.nn as nn, torch.nn.functional as F
from utils import accuracy
from tuneThreshold import tuneThresholdfromScore

class LossFunction(nn.Module):
    def __init__(self, hard_rank=0, hard_prob=0, **kwargs):
        super().__init__()
        self.test_normalize = True
        assert (type(hard_rank), hard_prob) == (int, 0.5)
        assert kwargs["nOut"] == 8 and kwargs["max_frames"] == 40
        print("Initialised")

    def forward(self, x, label=None):
        assert x.size()[1] >= 2
        anchor, positive = torch.mean(x[:, 1:, :], 1), x[:, 0, :]
        output = -1 * (F.pairwise_distance(positive.unsqueeze(-1), anchor.unsqueeze(-1).transpose(0, 2)) ** 2)
        assert output.shape == (x.size(0), x.size(0))
        label = torch.arange(x.size(0)).cuda()
        errors = tuneThresholdfromScore([0.1, 0.9, 0.4], [0, 1, 0], [])
        assert errors[1] == 0
        return nn.CrossEntropyLoss()(output, label), accuracy(output.detach(), label, topk=(1,))[0]
'''
SOFTMAXPROTO = '''
"""Two losses of the folder in one, each called with all keywords that it was called with itself."""
import torch.nn as nn
import loss.softmax as softmax
import loss.angleproto as angleproto

class LossFunction(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.softmax = softmax.LossFunction(**kwargs)
        self.angleproto = angleproto.LossFunction(**kwargs)

    def forward(self, x, label=None):
        assert x.size()[1] == 2
        classified, hits = self.softmax(x.reshape(-1, x.size()[-1]), label.repeat_interleave(2))
        compared, _ = self.angleproto(x, None)
        return classified + compared, hits
'''
MODEL = '''
"""An encoder as the family writes it."""
import torch, torch.nn as nn
from utils import PreEmphasis

class Net(nn.Module):
    def __init__(self, nOut, log_input=True, **kwargs):
        super().__init__()
        self.pre, self.fc = PreEmphasis(), nn.Linear(3, nOut)

    def forward(self, x):
        x = self.pre(x)
        return self.fc(torch.stack([x.abs().mean(1), x.std(1), x.amax(1)], 1))

def MainModel(nOut=256, **kwargs):
    return Net(nOut, **kwargs)
'''


@pytest.fixture
def dropped_in(tmp_path, monkeypatch):
    """The files above, in a models/ and a loss/ on Python's path, which the trainer finds beside its own."""
    for folder, name, text in (
        ("models", "FamilyNet", MODEL),
        ("loss", "familyproto", LOSS),
        ("loss", "familysoftmaxproto", SOFTMAXPROTO),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("models.FamilyNet", "loss.familyproto", "loss.familysoftmaxproto"):
        sys.modules.pop(name, None)


def test_a_familys_model_and_metric_loss_train(dropped_in, options, capsys):  # noqa: ARG001
    options |= {
        "model": "FamilyNet",
        "trainfunc": "familyproto",
        "sampler": "balanced",
        "batch_size": 3,
        "nPerSpeaker": 2,
    }
    assert main(command(options, "--hard_rank", 1, "--hard_prob", 0.5)) == 0
    assert "EER" in capsys.readouterr().out


def test_a_familys_loss_made_of_ours_trains(dropped_in, options):  # noqa: ARG001
    """voxceleb_trainer's softmaxproto hands the trainer's every option on to softmax and angleproto, which are ours."""
    options |= {"trainfunc": "familysoftmaxproto", "sampler": "balanced", "batch_size": 4, "nPerSpeaker": 2}
    assert main(command(options)) == 0


def test_a_familys_metric_loss_is_known_to_need_groups(dropped_in, options, capsys):  # noqa: ARG001
    options |= {"model": "FamilyNet", "trainfunc": "familyproto"}
    assert main(command(options)) == 2
    assert "needs --sampler balanced" in capsys.readouterr().err


def test_pairwise_distance_means_what_it_meant():
    a, b = torch.randn(4, 6), torch.randn(4, 6)
    with LegacyTorchSemantics(torch.device("cpu")):
        distances = torch.nn.functional.pairwise_distance(a[..., None], b[..., None].transpose(0, 2))
        assert torch.zeros(2).cuda().device.type == "cpu"
    torch.testing.assert_close(distances, torch.cdist(a, b), rtol=0, atol=1e-4)


def test_accuracy_counts_the_k_highest():
    output = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.4, 0.2]])
    first, second = accuracy(output, torch.tensor([1, 1, 2]), topk=(1, 2))
    assert first.item() == pytest.approx(100 / 3) and second.item() == pytest.approx(200 / 3)


def test_pre_emphasis_is_the_difference_equation():
    x = torch.randn(2, 50)
    expected = x - 0.97 * torch.cat([x[:, 1:2], x[:, :-1]], dim=1)
    torch.testing.assert_close(PreEmphasis()(x), expected)
