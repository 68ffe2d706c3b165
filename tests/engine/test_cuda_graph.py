"""A step as a CUDA graph: what is replayed learns what is computed step by step, whatever changes between the steps."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.launches import Launches
from DatasetLoader import Batch
from engine import cuda_graph, training_state
from engine.cuda_graph import WARM_UP, StepGraph
from engine.devices import seed_all
from models import ThinResNet34
from settings import plugins
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel
from tests.conftest import command
from tests.engine.recorded_graph import RecordedGraph, Stand
from tests.models.speech_models import save_tiny
from tests.test_training import metrics, said, same, weights
from trainSpeakerNet import main

CPU = torch.device("cpu")
STEPS = WARM_UP + 4


@pytest.fixture
def stand(monkeypatch):
    """CUDA graphs that record and replay on the CPU."""
    monkeypatch.setattr(cuda_graph, "usable", lambda device: True)  # noqa: ARG005
    monkeypatch.setattr(ThinResNet34, "BLOCKS", (1, 1, 1, 1))
    return Stand().install(monkeypatch)


@pytest.fixture(scope="module")
def speech_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("ssl") / "tiny")


def new_trainer(graph: bool, **values) -> ModelTrainer:
    config = from_values(
        {"train_list": "-", "nOut": 8, "grad_clip": 1.0, "skip_not_finite": 9} | values | {"cuda_graph": graph}
    )
    torch.manual_seed(0)
    return ModelTrainer(TracingModel(SpeakerNet(config, 4), config, CPU, list("abcd"), []), [None])


def batch(number: int, groups: int, seconds: float = 0.15) -> Batch:
    waveforms = torch.randn(4 * groups, int(16_000 * seconds), generator=torch.Generator().manual_seed(number))
    if number == WARM_UP + 2:
        waveforms[1, 5] = torch.nan
    return Batch(waveforms, torch.arange(4).repeat_interleave(groups).roll(number * groups), None)


def losses(made: ModelTrainer, steps: int = STEPS, first: int = 0) -> np.ndarray:
    """Results (steps, 4) of steps at rates that rise, each from its own seed; one of the batches is not finite.

    Rates are numbers that float32 holds exactly: it is what a graph has them in.
    """
    found = []
    for number in range(first, first + steps):
        seed_all(1, number)
        if number in (0, first):
            made.begin_epoch(0)
        step = made.step(batch(number, made.net.per_system), 2**-10 * (1 + number), stop=number == WARM_UP + 1)
        found.append(step.results())
    return np.array(found)


def assert_alike(one: ModelTrainer, other: ModelTrainer) -> None:
    """Weights, running statistics and moments, to the last bit."""
    for a, b in ((one.net.state_dict(), other.net.state_dict()), (moments(one), moments(other))):
        assert a.keys() == b.keys()
        assert not [name for name in a if not torch.equal(a[name], b[name])]


def moments(made: ModelTrainer) -> dict:
    state = made.optimizer.state_dict()["state"]
    return {f"{number} {name}": t for number, kinds in state.items() for name, t in kinds.items()}


def compared(stand: Stand, **values) -> None:
    eager, graph = new_trainer(False, **values), new_trainer(True, **values)
    wanted, found = losses(eager), losses(graph)
    assert [recorded.replays for recorded in stand.graphs] == [STEPS - WARM_UP]
    assert not np.isfinite(wanted[WARM_UP + 2, 0]) and np.isfinite(np.delete(wanted, WARM_UP + 2, 0)).all()
    np.testing.assert_array_equal(found[:, :3], wanted[:, :3])
    assert found[:, 3].tolist() == [float(n == WARM_UP + 1) for n in range(STEPS)]
    assert_alike(eager, graph)
    assert all(type(group["lr"]) is float for group in graph.optimizer.param_groups)


QUICK = ("aamsoftmax", "aamsoftmax_regmixup", "ge2e")  # a margin, random numbers, groups
LOSSES = [pytest.param(loss, marks=[] if loss in QUICK else pytest.mark.slow) for loss in plugins.names("loss")]


@pytest.mark.parametrize("loss", LOSSES)
def test_replayed_steps_learn_what_steps_learn(stand, loss):
    compared(stand, trainfunc=loss, sampler="balanced", nPerSpeaker=2)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_with_every_optimiser(stand, optimizer, monkeypatch):
    monkeypatch.setattr("engine.optim.on_cuda", lambda groups: True)  # noqa: ARG005 SGD, too, is fused on a GPU
    compared(stand, optimizer=optimizer, ema=0.9)


OTHERS = [pytest.param(options, marks=pytest.mark.slow) for options in ({}, {"freeze_ssl": True})]


@pytest.mark.parametrize("options", [{"ssl_mask": 0.5, "ssl_layer_decay": 0.5}, *OTHERS])
def test_dropout_masks_and_rates_of_layers_are_drawn_anew_at_each_replay(stand, speech_model, options):
    compared(stand, model="Wav2Vec2AASIST", ssl_path=speech_model, ssl_init="random", **options)


def test_the_scale_of_float16_moves_within_the_graph(stand):
    trainers = new_trainer(False), new_trainer(True)
    found = []
    for made in trainers:
        made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
        if made.graph:
            made.graph.scaler = made.scaler
        found.append(losses(made))
    np.testing.assert_array_equal(*found)
    scales = [made.scaler.state_dict() for made in trainers]
    assert scales[0] == scales[1] and scales[0]["scale"] != 2.0**10
    assert_alike(*trainers)
    assert stand.graphs[0].replays == STEPS - WARM_UP


@pytest.mark.usefixtures("stand")
def test_a_rate_from_the_host_would_be_seen_here():
    """The stand-in does hold numbers of the host as they were: else the tests above would prove nothing."""
    eager, graph = new_trainer(False), new_trainer(True)
    update = graph.update
    graph.graph.update = lambda waveforms, labels, rate, stop: update(waveforms, labels, rate.item(), stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.engine.recorded_graph.FORBIDDEN", ())
        losses(eager), losses(graph)
    with pytest.raises(AssertionError):
        assert_alike(eager, graph)


def test_a_replayed_step_launches_a_handful(stand, monkeypatch):  # noqa: ARG001
    made = new_trainer(True)
    losses(made, WARM_UP + 1)
    monkeypatch.setattr(RecordedGraph, "replay", lambda graph: None)  # noqa: ARG005 one launch
    one = batch(0, 1)
    with Launches() as found:
        made.step(one, 2**-10)
    assert found.counts == {"fill_": 2, "copy_": 2}  # rate and stop request, batch; here all is on one device
    eager = new_trainer(False)
    with Launches() as found:
        eager.step(one, 2**-10)
    assert found.counts.total() > 400


def test_a_resumed_run_records_anew_and_ends_with_the_same_bits(stand):
    whole, first, second = (new_trainer(True) for _ in range(3))
    losses(whole, 2 * STEPS)
    losses(first)
    state = training_state.capture(first.net, first.optimizer, first.scaler, None)
    training_state.restore(state, "-", second.net, second.optimizer, second.scaler, None)
    losses(second, STEPS, first=STEPS)
    assert [graph.replays for graph in stand.graphs] == [2 * STEPS - WARM_UP, STEPS - WARM_UP, STEPS - WARM_UP]
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, second.net.state_dict()[name]), name


def test_what_a_plug_in_changes_at_an_epoch_is_recorded_anew(stand):
    made = new_trainer(True, margin=0.3, margin_epochs=2)
    plain = new_trainer(False, margin=0.3, margin_epochs=2)
    for epoch, recordings in ((0, 1), (1, 2), (2, 3), (3, 3)):  # the margin stands from epoch 2 on
        for trainer in (made, plain):
            trainer.begin_epoch(epoch)
            for number in range(WARM_UP + 1):
                trainer.step(batch(number, 1), 2**-10)
        assert len(stand.graphs) == recordings
    assert_alike(plain, made)


def test_the_trainers_command_learns_the_same_with_a_graph(stand, options, tmp_path, capsys):
    options |= {"max_epoch": 3, "test_interval": 3, "scheduler": "steplr", "lr": 2**-10, "lr_decay": 1}
    assert main(command(options | {"save_path": tmp_path / "graph"}, "--cuda_graph")) == 0
    assert len(stand.graphs) == 1 and "--cuda_graph" not in said(capsys)
    assert main(command(options | {"save_path": tmp_path / "plain"})) == 0
    assert same(weights(tmp_path / "graph"), weights(tmp_path / "plain"))
    assert metrics(tmp_path / "graph") == metrics(tmp_path / "plain")


def test_without_a_gpu_the_option_is_ignored_in_one_line(caplog):
    assert new_trainer(True).graph is None
    assert [record.message for record in caplog.records] == ["--cuda_graph is ignored: it needs a GPU"]


class Counts(nn.Module):
    """A loss that does something on the host in each step."""

    def __init__(self, deed):
        super().__init__()
        self.weight, self.steps, self.deed = nn.Parameter(torch.ones(8)), 0, deed

    def forward(self, x, label):
        self.deed(self)
        return (x * self.weight).square().mean(), (label == 0).float().mean()


def count(loss):
    loss.steps += 1


def draw(loss):  # noqa: ARG001
    np.random.rand()  # noqa: NPY002


def wait(loss):  # noqa: ARG001
    warnings.warn("called a synchronizing CUDA operation", stacklevel=2)


@pytest.mark.parametrize(
    ("deed", "why"), [(count, "count something on the host"), (draw, "random numbers on the host"), (wait, "waits")]
)
def test_a_plug_in_that_needs_the_host_is_not_recorded_and_learns_all_the_same(stand, caplog, deed, why):
    trainers = new_trainer(False), new_trainer(True)
    for made in trainers:
        made.net.loss = Counts(deed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses(made)
    assert not stand.graphs and stand.watching == "default"
    assert len(caplog.records) == 1 and why in caplog.records[0].message
    assert_alike(*trainers)


@pytest.mark.parametrize("fails_at", ["within", "end"])
def test_a_recording_that_fails_leaves_the_run_as_it_was(stand, caplog, fails_at):
    trainers = new_trainer(False), new_trainer(True)
    for made in trainers:
        made.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    graph = trainers[1].graph
    graph.scaler = trainers[1].scaler
    if fails_at == "end":
        stand.fails = "CUDA error: operation failed due to a previous error during capture"
    else:
        update = trainers[1].update
        graph.update = lambda *given: (update(*given), given[2].item() if stand_records() else 0)[0]
    for made in trainers:
        losses(made)
    assert not stand.graphs and not stand.streams and stand.state is not None
    assert len(caplog.records) == 1 and "--cuda_graph is off: the step cannot be recorded (" in caplog.text
    assert "more lines" not in caplog.text
    assert_alike(*trainers)


def stand_records() -> bool:
    """Whether a recording is being made."""
    return bool(torch.utils._python_dispatch._get_current_dispatch_mode())


def test_a_batch_of_another_shape_is_computed_and_said_once(stand, caplog):
    trainers = new_trainer(False), new_trainer(True)
    for made in trainers:
        losses(made, WARM_UP + 2)
        for seconds in (0.1, 0.12, 0.15):
            made.step(batch(9, 1, seconds), 2**-10)
    assert stand.graphs[0].replays == 3 and len(caplog.records) == 1
    assert_alike(*trainers)


@pytest.mark.usefixtures("stand")
def test_a_step_graph_copies_batches_in_and_never_keeps_one():
    made = StepGraph(lambda w, l, rate, stop: w.sum() + l.sum() + rate + stop, nn.Linear(1, 1), None, CPU)  # noqa: E741
    for number in range(WARM_UP + 3):
        waveforms, labels = torch.full((2, 3), float(number)), torch.tensor([number, 0])
        assert made(waveforms, labels, 0.5, False) == 7 * number + 0.5
