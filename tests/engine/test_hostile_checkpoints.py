"""Checkpoints that are well-formed and wrong: no memory is corrupted, no bit flips unnoticed, none grows."""

import random
import resource
import struct
import zipfile

import pytest
import torch

from corpus.filters import AudioFilters
from engine import checkpoints, optim
from engine.optim import restore_optimizer
from settings.errors import ConfigError
from settings.text import shown


def stepped(kind: str = "adam", shape: tuple = (8, 4, 3, 3)) -> torch.optim.Optimizer:
    """An optimiser after two steps of one channels-last parameter."""
    parameter = torch.nn.Parameter(torch.randn(shape).to(memory_format=torch.channels_last))
    optimizer = optim.OPTIMIZERS[kind]([{"params": [parameter]}], lr=1e-3, weight_decay=0.0)
    for _ in range(2):
        parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return optimizer


WRONG = {
    "empty": torch.zeros(0),
    "short": torch.zeros(3),
    "expanded": torch.zeros(1).expand(8, 4, 3, 3),
    "long": torch.zeros(400, 4, 3, 3),
    "half": torch.zeros(8, 4, 3, 3, dtype=torch.float16),
    "not finite": torch.full((8, 4, 3, 3), torch.nan),
    "below zero": torch.full((8, 4, 3, 3), -1.0),
    "no tensor": [0.0] * 288,
    "none": None,
}


@pytest.mark.parametrize("what", [name for name in WRONG if name != "expanded"])
def test_moments_that_do_not_fit_their_parameter_are_refused(what):
    optimizer = stepped()
    state = optimizer.state_dict()
    state["state"][0]["exp_avg_sq"] = WRONG[what]
    with pytest.raises(ValueError, match="moment of the optimiser"):
        restore_optimizer(stepped(), state)


@pytest.mark.parametrize("step", [torch.tensor(-1.0), torch.tensor(torch.nan), torch.zeros(2), 3, None])
def test_a_count_of_steps_that_cannot_be_is_refused(step):
    state = stepped().state_dict()
    state["state"][0]["step"] = step
    with pytest.raises(ValueError, match="moment of the optimiser"):
        restore_optimizer(stepped(), state)


@pytest.mark.parametrize("change", ["exp_avg", "more"])
def test_moments_that_are_missing_or_too_many_are_refused(change):
    state = stepped().state_dict()
    if change == "more":
        state["state"][0]["max_exp_avg_sq"] = torch.zeros(8, 4, 3, 3)
    else:
        del state["state"][0][change]
    with pytest.raises(ValueError, match="the moments of parameter 0 are"):
        restore_optimizer(stepped(), state)


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_restored_moments_step_as_the_saved_ones_and_own_their_memory(kind):
    saved = stepped(kind)
    fresh = stepped(kind)
    state = saved.state_dict()
    contiguous = {name: t.contiguous() if t is not None else t for name, t in state["state"][0].items()}
    state["state"][0] = contiguous  # as a checkpoint that was saved in another layout has them
    restore_optimizer(fresh, state)
    (one,), (other,) = saved.param_groups[0]["params"], fresh.param_groups[0]["params"]
    with torch.no_grad():
        other.copy_(one)
    gradient = torch.randn_like(one)
    for optimizer, parameter in ((saved, one), (fresh, other)):
        parameter.grad = gradient.clone()
        optimizer.step()
    assert torch.equal(one, other)
    for name, moment in fresh.state[other].items():
        assert name == "step" or moment.data_ptr() != contiguous[name].data_ptr()


def test_rates_and_decay_come_from_the_configuration():
    state = stepped().state_dict()
    state["param_groups"][0] |= {"weight_decay": 50, "betas": (0.0, 0.0), "amsgrad": True, "lr": 1e9}
    fresh = stepped()
    restore_optimizer(fresh, state)
    group = fresh.param_groups[0]
    assert group["weight_decay"] == 0.0 and group["betas"] == (0.9, 0.999) and not group["amsgrad"]


@pytest.mark.parametrize(
    "tensor", [WRONG["expanded"], torch.eye(3).to_sparse(), torch.ones(4).as_strided((4, 4), (1, 0))]
)
def test_sparse_and_expanded_tensors_are_refused_wherever_they_are(tmp_path, tensor):
    for state in ({"encoder": {"w": tensor}}, {"config": {}, "optimizer": {"state": {0: {"exp_avg": [tensor]}}}}):
        torch.save(state, tmp_path / "a.model")
        with pytest.raises(ConfigError, match="sparse, expanded or without values"):
            checkpoints.read(tmp_path / "a.model")


def test_a_tensor_without_values_is_refused(tmp_path):
    torch.save({"encoder": {"w": torch.empty(3, device="meta")}}, tmp_path / "a.model")
    with pytest.raises(ConfigError, match="without values"):
        checkpoints.read(tmp_path / "a.model")


@pytest.mark.parametrize("name", ["\ud800", "a\x1b[2J", "a\nb"])
def test_classes_that_no_list_can_have_are_refused(tmp_path, name):
    torch.save({"format": 1, "classes": ["a", name]}, tmp_path / "a.model")
    with pytest.raises(ConfigError, match="see its classes"):
        checkpoints.read(tmp_path / "a.model")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64, torch.bool, torch.int32])
def test_weights_of_another_kind_of_number_are_refused(dtype):
    module = torch.nn.Linear(2, 2)
    state = {"weight": torch.ones(2, 2).to(dtype), "bias": torch.ones(2, dtype=torch.float16)}
    with pytest.raises(ConfigError, match="weight: of torch") as refusal:
        checkpoints.load_weights(module, state, "a.model")
    assert "bias" not in str(refusal.value)


@pytest.mark.parametrize("wrong", [{"lowpass": torch.ones(3)}, {"trim_silence": 1}, {"lowpass": "x"}])
def test_filters_of_other_types_are_refused(wrong):
    with pytest.raises(ConfigError, match="see its filters"):
        AudioFilters.of_checkpoint({"filters": wrong})


def test_a_record_that_became_a_folder_is_noticed_without_a_digest(tmp_path):
    torch.save({"w": torch.ones(64)}, tmp_path / "foreign.model")
    content = bytearray((tmp_path / "foreign.model").read_bytes())
    at = content.find(b"PK\1\2")
    while at >= 0:  # bit 4 of each record's external attributes, which no checksum covers
        content[at + 38] |= 0x10
        at = content.find(b"PK\1\2", at + 1)
    (tmp_path / "foreign.model").write_bytes(content)
    with pytest.raises(ConfigError, match="called a folder"):
        checkpoints.read(tmp_path / "foreign.model")


@pytest.mark.parametrize("error", [AssertionError("storage key"), OverflowError(), MemoryError(), struct.error("x")])
def test_whatever_torch_raises_over_a_damaged_file_is_one_message(small, monkeypatch, error):
    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ConfigError, match="not a checkpoint, or damaged"):
        checkpoints.read(small)


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "a.model"
    checkpoints.write(path, {"encoder": {"w": torch.arange(40.0), "b": torch.ones(3)}, "config": {"nOut": 3}})
    return path


def test_no_flipped_bit_goes_unnoticed(small):
    content = small.read_bytes()
    drawn = random.Random(0).sample(range(8 * len(content)), 1500) + list(
        range(8 * (len(content) - 700), 8 * len(content))
    )
    for bit in drawn:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        small.write_bytes(flipped)
        with pytest.raises(ConfigError, match="a.model"):
            checkpoints.read(small)
    small.write_bytes(content)
    assert checkpoints.read(small)["encoder"]["b"].tolist() == [1, 1, 1]


def test_no_cut_goes_unnoticed(small):
    content = small.read_bytes()
    for size in [*range(0, len(content), 37), len(content) - 1]:
        small.write_bytes(content[:size])
        with pytest.raises(ConfigError, match="a.model"):
            checkpoints.read(small)


def test_a_checkpoint_without_a_digest_is_read_as_before(tmp_path):
    torch.save({"format": 1, "encoder": {"w": torch.ones(3)}}, tmp_path / "old.model")
    assert checkpoints.read(tmp_path / "old.model")["encoder"]["w"].tolist() == [1, 1, 1]


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"encoder": {"w": torch.zeros(1 << 26)}}, tmp_path / "large.model")
    packed = zipfile.ZipFile(tmp_path / "bomb.model", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with zipfile.ZipFile(tmp_path / "large.model") as large, packed:
        for name in large.namelist():
            packed.writestr(name, large.read(name))
    (tmp_path / "large.model").unlink()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigError, match="it would unpack to more than the file holds"):
        checkpoints.read(tmp_path / "bomb.model")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def bomb(depth: int = 60) -> list:
    """A list that takes a few kilobytes and is endless to print."""
    value = ["x"]
    for _ in range(depth):
        value = [value] * 8
    return value


def test_nested_lists_are_neither_walked_nor_printed_to_their_end(tmp_path):
    assert len(shown(bomb())) < 200
    assert "too long to print" in shown(10**10_000)
    torch.save({"format": 1, "encoder": {}, "config": {"nOut": bomb(), "lr": 1}}, tmp_path / "a.model")
    assert set(checkpoints.read(tmp_path / "a.model")["config"]) == {"nOut", "lr"}
    torch.save({"format": bomb()}, tmp_path / "b.model")
    with pytest.raises(ConfigError, match=r"of format \[\["):
        checkpoints.read(tmp_path / "b.model")


@pytest.mark.parametrize("path", ["/dev/zero", "fifo"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, path):
    import os

    if path == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a regular file"):
        checkpoints.read(path)
