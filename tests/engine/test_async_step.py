"""Steps that nobody waits for: a GPU's results are taken down later, and nothing that is learned depends on when."""

import os
import signal

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

import SpeakerNet
from DatasetLoader import Batch
from engine import embedding, optim
from engine.averaging import MovingAverage
from engine.optim import parameter_groups
from engine.progress import Progress
from settings import plugins
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, TracingModel
from tests.conftest import command
from tests.test_training import metrics, refused, said, same, weights
from trainSpeakerNet import main


def trainer_of(config, systems: int, loader) -> ModelTrainer:
    """A trainer of a new network on the CPU."""
    return ModelTrainer(
        TracingModel(SpeakerNet.SpeakerNet(config, systems), config, torch.device("cpu"), [], []), loader
    )


def without_values(trainer: ModelTrainer, mode: FakeTensorMode) -> None:
    """Every tensor of the trainer becomes one that has a shape and no values: to read one is an error."""
    for module in trainer.net.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(mode.from_tensor(parameter).detach())
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = mode.from_tensor(buffer)
    groups = parameter_groups(trainer.net.encoder, trainer.net.loss)
    trainer.parameters = [p for group in groups for p in group["params"]]
    trainer.optimizer = optim.build_optimizer(trainer.config, groups)
    trainer.average = MovingAverage(trainer.net, trainer.config.ema)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("loss", plugins.names("loss"))
def test_a_step_reads_no_value_back_from_the_device(loss, optimizer):
    values = {"train_list": "-", "trainfunc": loss, "sampler": "balanced", "nPerSpeaker": 2, "optimizer": optimizer}
    config = from_values(values | {"nOut": 8, "grad_clip": 1.0, "skip_not_finite": 3, "ema": 0.9})
    trainer = trainer_of(config, 4, [None])
    with FakeTensorMode() as mode:
        without_values(trainer, mode)
        trainer.net.train()
        batch = Batch(torch.randn(8, 8000), torch.zeros(8, dtype=torch.long), None)
        steps = [trainer.step(batch, 1e-3) for _ in range(2)]
        with pytest.raises(DataDependentOutputException):
            steps[-1].results()


@pytest.fixture
def behind(monkeypatch):
    """Makes trainers take results down so many steps late, as on a GPU."""

    def late(lag: int) -> None:
        made = ModelTrainer.__init__

        def init(self, *args, **options):
            made(self, *args, **options)
            self.steps.lag = lag

        monkeypatch.setattr(ModelTrainer, "__init__", init)

    return late


@pytest.fixture
def third_not_finite(monkeypatch):
    """The loss of every third batch is NaN."""
    forward, calls = SpeakerNet.SpeakerNet.forward, []

    def spoilt(self, waveforms, labels):
        loss, accuracy = forward(self, waveforms, labels)
        calls.append(0)
        return loss * (torch.nan if len(calls) % 3 == 0 else 1.0), accuracy

    monkeypatch.setattr(SpeakerNet.SpeakerNet, "forward", spoilt)
    return calls


def test_results_taken_down_late_are_the_same(options, tmp_path, behind):
    options |= {"max_epoch": 3, "save_interval": 0}
    assert main(command(options | {"save_path": tmp_path / "at once"})) == 0
    behind(3)
    assert main(command(options | {"save_path": tmp_path / "late"})) == 0
    assert same(weights(tmp_path / "at once"), weights(tmp_path / "late"))
    assert metrics(tmp_path / "at once") == metrics(tmp_path / "late")


def test_a_batch_left_out_late_is_left_out_all_the_same(options, tmp_path, behind, third_not_finite, capsys):
    options |= {"max_epoch": 3, "skip_not_finite": 9}
    assert main(command(options | {"save_path": tmp_path / "at once"})) == 0
    first = said(capsys)
    third_not_finite.clear()
    behind(3)
    assert main(command(options | {"save_path": tmp_path / "late"})) == 0
    assert first.count("skipped") == said(capsys).count("skipped") >= 2
    assert same(weights(tmp_path / "at once"), weights(tmp_path / "late"))
    assert metrics(tmp_path / "at once") == metrics(tmp_path / "late")
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "late").values())


def test_the_batch_that_was_not_finite_is_named_however_late(options, tmp_path, behind, third_not_finite, capsys):
    texts = []
    for lag in (0, 5):
        third_not_finite.clear()
        behind(lag)
        texts.append(refused(capsys, options | {"save_path": tmp_path / str(lag), "max_epoch": 9}))
    named = [text[text.index("the loss is nan") :].replace(str(tmp_path / "0"), str(tmp_path / "5")) for text in texts]
    assert named[0] == named[1] and "fake/" in named[0]


def test_a_second_signal_in_the_middle_of_a_step_keeps_nothing_torn(options, tmp_path, monkeypatch):
    options |= {"max_epoch": 4, "test_interval": 4, "save_interval": 60}
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert main(command(options | {"save_path": whole})) == 0
    update, calls = optim.apply_gradients, []

    def interrupted(*args):
        update(*args)
        calls.append(0)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(optim, "apply_gradients", interrupted)
    assert main(command(options | {"save_path": torn})) == 128 + signal.SIGINT
    monkeypatch.setattr(optim, "apply_gradients", update)
    assert main(command(options | {"save_path": torn})) == 0
    assert same(weights(whole), weights(torn)) and metrics(whole) == metrics(torn)


def test_a_run_too_short_to_earn_compiling_back_is_not_compiled(options, tmp_path, capsys):
    assert main(command(options | {"save_path": tmp_path / "asked"}, "--compile")) == 0
    assert "--compile is ignored: " in said(capsys)
    assert main(command(options | {"save_path": tmp_path / "plain"})) == 0
    assert same(weights(tmp_path / "asked"), weights(tmp_path / "plain"))


def test_a_compiled_encoder_trains_and_says_how_long_compiling_took(options, tmp_path, capsys, monkeypatch):
    compiled = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled(module, backend="eager"))  # but for codegen
    monkeypatch.setattr(optim, "WORTH_COMPILING", 0)
    options |= {"max_epoch": 1, "warmup_epochs": 0, "lr": 1e-5}  # so small that the rounding of features stays as small
    assert main(command(options | {"save_path": tmp_path / "compiled"}, "--compile")) == 0
    assert "compiled with the first batch, in " in said(capsys)
    assert main(command(options | {"save_path": tmp_path / "plain"})) == 0
    for compiled, plain in zip(metrics(tmp_path / "compiled"), metrics(tmp_path / "plain"), strict=True):
        assert compiled["loss"] == pytest.approx(plain["loss"], rel=1e-4)


def test_a_deterministic_run_asks_torch_for_it_and_gives_the_cpus_bits(options, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda wanted, **_: asked.append(wanted))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    assert main(command(options | {"save_path": tmp_path / "plain"})) == 0
    assert main(command(options | {"save_path": tmp_path / "asked"}, "--deterministic")) == 0
    assert asked == [False, True] and os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "asked"))


def test_evaluation_convolves_in_true_float32_and_training_as_fast_as_may_be(options, monkeypatch):
    seen, flags = set(), torch.backends.cudnn

    def noted(kind, function):
        def call(*args):
            seen.add((kind, flags.allow_tf32, flags.benchmark))
            return function(*args)

        return call

    monkeypatch.setattr(SpeakerNet.SpeakerNet, "forward", noted("training", SpeakerNet.SpeakerNet.forward))
    monkeypatch.setattr(
        embedding, "all_reduce_rows", noted("evaluation", embedding.all_reduce_rows)
    )  # the end of embed
    assert main(command(options)) == 0
    assert seen == {("training", True, True), ("evaluation", False, False)}


@pytest.mark.parametrize("saved_after", [None, 4])
def test_a_stop_comes_after_the_same_step_whoever_learns_of_it_earlier(saved_after):
    config = from_values({"train_list": "-", "nOut": 8, "max_epoch": 30, "batch_size": 2})
    trainer, progress = trainer_of(config, 2, Batches(12)), Progress()
    trainer.steps.lag = 3
    trainer.begin_epoch(0)
    for batch in trainer.loader.epoch(0, 0):
        trainer.train_step(batch, progress, stop=trainer.steps.begun == 2)
        if trainer.steps.begun == saved_after:
            trainer.flush(progress)
        if trainer.steps.stop:
            break
    assert trainer.steps.begun == 6  # the third step asked, and is known everywhere when three more have begun


class Batches:
    """A loader of random batches."""

    waited = 0.0

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int, first: int):  # noqa: ARG002 as TrainLoader's
        return (Batch(torch.randn(2, 4000), torch.arange(2), None) for _ in range(first, self.count))
