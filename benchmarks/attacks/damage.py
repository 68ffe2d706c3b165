"""Damage to files that carry their own checksums, and whether what was read of them is what they held."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import fields, is_dataclass

import numpy as np
import torch

from tests.mutations import mutated

END = 4096  # bytes at a file's end, where zip files and caches keep what says where everything is


def damaged(content: bytes, dice: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Bits flipped anywhere or at the end, cuts, stretches moved; of a zip file also records and their directory."""
    while True:
        kind = int(dice.integers(6))
        if kind < 2:
            result = flipped(content, dice, len(content) if kind == 0 else min(END, len(content)))
        elif kind == 2:
            result = content[: int(len(content) * dice.random())] if dice.random() < 0.5 else content + dice.bytes(99)
        elif kind < 5 and zipfile.is_zipfile(io.BytesIO(content)):
            digest = zipfile.ZipFile(io.BytesIO(content)).comment  # rewritten without one it is just another file
            result = rewritten(content, dice) if kind == 3 and digest else redirected(content, dice)
        else:
            result = mutated(content, [int(dice.integers(1 << 31))], others)
        if result != content:
            return result


def flipped(content: bytes, dice: np.random.Generator, last: int) -> bytes:
    """One to four bits among the last bytes flipped."""
    result = bytearray(content)
    for place in dice.integers(last, size=int(dice.choice([1, 1, 1, 2, 4]))):
        result[len(content) - 1 - int(place)] ^= 1 << int(dice.integers(8))
    return bytes(result)


def rewritten(content: bytes, dice: np.random.Generator) -> bytes:
    """The zip file with two records' contents exchanged, one twice, one missing, or one packed; the comment stays."""
    source, made = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    names, kind = source.namelist(), int(dice.integers(4))
    first, second = (names[int(place)] for place in dice.integers(len(names), size=2))
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            if kind == 1 and name == first:
                continue
            taken = {first: second, second: first}.get(name, name) if kind == 0 else name
            packing = zipfile.ZIP_DEFLATED if kind == 2 and name == first else zipfile.ZIP_STORED
            archive.writestr(name, source.read(taken), packing)
        if kind == 3:
            archive.writestr(second.upper(), source.read(first))
        archive.comment = source.comment
    return made.getvalue()


def redirected(content: bytes, dice: np.random.Generator) -> bytes:
    """A number in a record's entry of the directory, or in its local header, becomes another."""
    signature = b"PK\1\2" if dice.random() < 0.7 else b"PK\3\4"
    places = places_of(content, signature)
    if not places:
        return content
    at = places[int(dice.integers(len(places)))]
    field = at + int(dice.integers(4, 46 if signature == b"PK\1\2" else 30))
    size = int(dice.choice([1, 2, 4]))
    value = int(dice.choice([0, 1, 8, 12, 16, 0xFFFF, 0xFFFF_FFFF, int(dice.integers(1 << 32))])) % (1 << 8 * size)
    return content[:field] + value.to_bytes(size, "little") + content[field + size :]


def places_of(content: bytes, signature: bytes) -> list[int]:
    """Where a signature stands."""
    places, at = [], content.find(signature)
    while at >= 0:
        places.append(at)
        at = content.find(signature, at + 1)
    return places


def same(one: object, other: object) -> bool:
    """Whether two values are equal, arrays and tensors to the last bit, and of one type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other
