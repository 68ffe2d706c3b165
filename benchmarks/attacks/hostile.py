"""Values that no file of ours holds, and the places of a tree of plain values where they may go."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch

Dice = np.random.Generator
NAMES = (
    "\x1b[2J\x1b[31mred",
    "a\0b",
    "line\nline",
    "\u202egnp",
    "../../etc/passwd",
    "/dev/zero",
    "~",
    "-",
    "",
    " ",
    "=1+1",
)
NUMBERS = (-1, 0, 1, 2, 3, 1 << 31, -(1 << 63), 1 << 64, 10**40, 10**9, 0.5, -0.0, 1e-320, 1e308)
NOT_FINITE = (float("nan"), float("inf"), -float("inf"))


def plain(dice: Dice) -> object:
    """What JSON and YAML can hold, except that some numbers are not finite."""
    kind = int(dice.integers(8))
    if kind == 0:
        return picked(dice, (None, True, False, [], {}, [[]], [None], {"": ""}))
    if kind == 1:
        return picked(dice, NAMES)
    if kind == 2:
        return picked(dice, ("x", "é", "\U0001f600")) * int(dice.choice([5_000, 300_000]))
    if kind == 3:
        return nested(int(dice.choice([3, 30, 90])), picked(dice, (lambda v: [v], lambda v: {"a": v})))
    if kind == 4:
        return [picked(dice, NUMBERS)] * int(dice.choice([1, 2, 10_000]))
    if kind == 5:
        return str(picked(dice, NUMBERS))
    return picked(dice, NUMBERS + NOT_FINITE)


def any_value(dice: Dice) -> object:
    """What a checkpoint can hold besides."""
    if dice.random() < 0.6:
        return plain(dice)
    makers: tuple[Callable, ...] = (
        lambda: torch.ones(3, 3),
        lambda: torch.tensor(float("nan")),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.zeros(1).expand(1 << 40),
        lambda: torch.empty(1 << 40, device="meta"),
        lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.quint8),
        lambda: torch.ones(2, dtype=torch.complex64).conj(),
        lambda: torch.nn.Parameter(torch.ones(2)),
        lambda: "\ud800",
        lambda: bomb(),
        lambda: around_itself(),
        lambda: "x" * (200 << 20) if dice.random() < 0.1 else "x" * (5 << 20),
        lambda: (1, 2),
        lambda: OrderedDict(a=1),
        lambda: {1: 2, None: 3, (1, 2): 4},
        lambda: torch.Size([1, 2]),
        lambda: torch.float16,
        lambda: b"bytes",
        lambda: {1, 2},
        lambda: 10**5_000,
        lambda: complex(1, 2),
    )
    return picked(dice, makers)()


def other_tensor(tensor: torch.Tensor, dice: Dice) -> object:
    """A tensor that is nearly this one: of another shape, kind or layout, or with values that none has."""
    if tensor.is_quantized or tensor.is_sparse or tensor.is_meta:
        return None
    floats = tensor.float()
    makers: tuple[Callable, ...] = (
        lambda: tensor.flatten()[:-1].clone(),
        lambda: torch.zeros(0),
        lambda: torch.zeros(3),
        lambda: tensor[None].clone(),
        lambda: torch.cat([tensor.flatten()] * 3),
        lambda: torch.zeros(1, dtype=tensor.dtype).expand(tensor.numel()).reshape(tensor.shape),
        lambda: torch.zeros(1, dtype=tensor.dtype).expand(tensor.shape),
        lambda: tensor.flatten().flip(0).reshape(tensor.shape),
        lambda: tensor.double(),
        lambda: tensor.half(),
        lambda: tensor.to(torch.bfloat16),
        lambda: tensor.to(torch.float8_e4m3fn),
        lambda: tensor.to(torch.complex64),
        lambda: tensor.bool(),
        lambda: floats.clamp(-100, 100).to(torch.uint8),
        lambda: tensor.long(),
        lambda: torch.full_like(floats, float("nan")),
        lambda: floats * float("inf"),
        lambda: torch.full_like(floats, 3e38),
        lambda: -floats.abs() - 1,
        lambda: torch.full_like(floats, 1e-45),
        lambda: tensor.to_sparse(),
        lambda: tensor.to("meta"),
        lambda: tensor.tolist(),
        lambda: None,
    )
    return picked(dice, makers)()


def planted(tree: dict, dice: Dice, value: Callable[[Dice], object]) -> dict:
    """A copy of a tree of dicts and lists, with one to three values exchanged, keys renamed, added or taken out."""
    tree = copied(tree)
    for _ in range(int(dice.choice([1, 1, 2, 3]))):
        place = tree
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = keys[int(dice.integers(len(keys)))]
            below = place[key]
            if not isinstance(below, dict | list) or not below or dice.random() < 0.15:
                break
            place = below
        exchange(place, key, dice, value)
        if not tree:
            break
    return tree


def exchange(place: dict | list, key: object, dice: Dice, value: Callable[[Dice], object]) -> None:
    """Do one of these things to `place[key]`."""
    kind, before = dice.random(), place[key]
    if kind < 0.08:
        del place[key]
    elif kind < 0.14 and isinstance(place, dict):
        place[picked(dice, (*NAMES, "evil", "__class__"))] = place.pop(key)
    elif kind < 0.2 and isinstance(place, list):
        place.extend([value(dice)] * 3)
    elif kind < 0.3 and isinstance(before, list | dict):
        place[key] = [before] * 3
    elif isinstance(before, torch.Tensor) and kind < 0.8:
        place[key] = other_tensor(before, dice)
    else:
        place[key] = value(dice)


def copied(tree: object) -> object:
    """Its dicts and lists anew; the values in them are shared."""
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list) else tree


def nested(depth: int, around: Callable[[object], object]) -> object:
    value: object = 1
    for _ in range(depth):
        value = around(value)
    return value


def bomb() -> list:
    """A list that is small in memory and endless to walk."""
    value: list = ["x"]
    for _ in range(60):
        value = [value] * 8
    return value


def around_itself() -> list:
    """A list that holds itself."""
    value: list = [1]
    value.append(value)
    return value


def picked(dice: Dice, items: tuple) -> object:
    return items[int(dice.integers(len(items)))]
