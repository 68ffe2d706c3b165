"""Damaged caches, embeddings, banks and back-ends: what is read of them is the original to the last bit, or nothing."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.attacks.damage import damaged, same
from benchmarks.attacks.material import AUDIO, Material
from benchmarks.attacks.worker import EQUAL, OTHER, Attack, Fault
from corpus.build_cache import Part, build_cache
from corpus.cache import open_cache, read_cache
from corpus.embedding_file import read_embeddings
from corpus.lists import read_list
from identification.bank import read_bank
from models._ssl_cache import HiddenStateCache
from scoring.backends import read_backend


def attempt(
    path: Path, others: list[Path], read: Callable, checked: bool, dice: np.random.Generator, folder: Path
) -> str:
    """A damaged copy of a file that `read` is given. `checked`: whether it has a digest, as those of ours have."""
    hostile = folder / path.name
    hostile.write_bytes(damaged(path.read_bytes(), dice, [other.read_bytes() for other in others]))
    found, original = read(hostile), read(path)
    return compared(found, original) if checked or same(found, original) else OTHER


def compared(found: object, original: object) -> str:
    """Raises Fault where they differ."""
    if not same(found, original):
        raise Fault("damage taken for the original")
    return EQUAL


def cached_audio(table, path: Path) -> list:
    """All that training and evaluation read of a cache."""
    audio = open_cache(path.parent, table, AUDIO)
    rows = np.arange(min(4, len(table)))
    return [audio.gather(rows, np.zeros(len(rows), np.int64), 4_000), *map(audio.read, range(len(table)))]


def interrupted(path: Path, names: list[str], folder: Path) -> None:
    """What a build of this cache leaves in `folder` that is killed after half of the files."""
    whole = read_cache(path)
    with Part(folder / path.name, whole.recipe) as part:
        part.resume(names, [whole.entries[name].stamp for name in names])
        for name in names[: len(names) // 2]:
            entry = whole.entries[name]
            part.append(entry, whole.samples[entry.offset : entry.offset + entry.length])
        part.flush()


def attempt_build(path: Path, table, left: Path, kind: str, dice: np.random.Generator, folder: Path) -> str:
    """A build that resumes from damaged remains of one before. Its cache is the undisturbed one's, or is refused."""
    for file in left.iterdir():
        shutil.copy(file, folder)
    hostile = folder / f".{path.stem}.{kind}"
    hostile.write_bytes(damaged(hostile.read_bytes(), dice, [hostile.read_bytes()]))
    build_cache(folder, table, AUDIO, threads=1)
    return compared(cached_audio(table, folder / path.name), cached_audio(table, path))


class FrontEnd(torch.nn.Module):
    """Stands in for a speech model: hidden states that are a product of the samples."""

    normalize = False

    def forward(self, wave: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ARG002
        """(B, T) to (B, F, 16)."""
        return wave[:, : wave.shape[1] // 320 * 320].unflatten(1, (-1, 320))[:, :, :16]

    def frames(self, samples: int) -> int:
        return samples // 320


def attempt_states(dice: np.random.Generator, folder: Path) -> str:
    """Kept hidden states, damaged: they are the same, or made anew."""
    wave, cache = torch.linspace(-1, 1, 6_400)[None], HiddenStateCache(str(folder), FrontEnd())
    original = cache(wave)
    (file,) = (path for path in folder.rglob("*.np*"))
    content = file.read_bytes()
    file.write_bytes(damaged(content, dice, [content]))
    return compared(cache(wave), original)


def attacks(material: Material) -> list[Attack]:
    table, cache = read_list(material.file("train.csv")), material.file("cache/train.cache")
    left = material.file("interrupted")
    left.mkdir()
    interrupted(cache, list(dict.fromkeys(table.paths)), left)
    audio = partial(cached_audio, table)
    npz = {"embeddings": ("train.npz", read_embeddings), "bank": ("bank.npz", read_bank)}
    npz |= {"back-end": ("plda.npz", read_backend), "embeddings of others, no digest": ("others.npz", read_embeddings)}
    np.savez(material.file("others.npz"), **np.load(material.file("train.npz")))
    return [
        Attack("cache", partial(attempt, cache, [material.file("cache/dev.cache")], audio, True)),
        *(
            Attack(name, partial(attempt, material.file(file), [material.file("dev.npz")], read, file != "others.npz"))
            for name, (file, read) in npz.items()
        ),
        *(
            Attack(f"a killed build's {kind}", partial(attempt_build, cache, table, left, kind))
            for kind in ("part", "journal")
        ),
        Attack("hidden states", attempt_states),
    ]
