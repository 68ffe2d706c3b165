"""A recipe at work: its folders opened, and every crop of a batch changed by draws of its own."""

from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np

from corpus.audio import cut
from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.kinds import parameters
from corpus.augmentation.recipe import Recipe, Step
from corpus.augmentation.tempo import speed
from settings.errors import ConfigError, UserError

STREAM = 2  # of one (seed, epoch): batches and crops have 0 and 1


@dataclass
class Link:
    """One place of the chain: one of `changes` with the probability that its part of `edges` (cumulative) gives it."""

    edges: np.ndarray
    changes: list[partial]

    def apply(self, samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
        chosen = int(np.searchsorted(self.edges, random.random(), side="right"))
        return self.changes[chosen](samples, random) if chosen < len(self.changes) else samples

    @property
    def fastest(self) -> float:
        """The largest factor by which audio is shortened here."""
        return max([1.0, *(max(change.keywords["factors"]) for change in self.changes if change.func is speed)])

    @property
    def changes_length(self) -> bool:
        return any(change.func is speed for change in self.changes)


class Augmentation:
    """What `augment` in a run's configuration asks for, applied to crops.

    Everything is a function of (seed, epoch, utterance, which use of it in the epoch): not of threads, devices,
    processes or restarts.

    Parameters
    ----------
    recipe : Recipe
    musan_path : str
        Folder with noise/, music/ and speech/, for the kinds noise, music and babble that name no `path`.
    rir_path : str
        Folder of room impulse responses, for the kind reverb where it names no `path`.
    threads : int
        To look at the folders' files with.

    Raises
    ------
    ConfigError
        A folder is not given, is not there, or holds no audio, or files that cannot be used. Everything at once.
    """

    def __init__(self, recipe: Recipe, musan_path: str = "", rir_path: str = "", threads: int = 2):
        self.recipe = recipe
        defaults = {kind: f"{musan_path}/{name}" for kind, name in MUSAN.items()} if musan_path else {}
        defaults |= {"reverb": rir_path} if rir_path else {}
        self.folders: dict[str, AudioFolder] = {}
        mistakes: dict[str, None] = {}
        self.links = []
        for steps in recipe.chain:
            changes = []
            for step in steps:
                try:
                    changes.append(self.bound(step, defaults.get(step.kind, ""), threads))
                except UserError as mistake:
                    mistakes[f"{step.place}: {step.kind}: {mistake}"] = None
            self.links.append(Link(np.array(list(accumulate(step.probability for step in steps))), changes))
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        places = [number for number, link in enumerate(self.links) if link.changes_length]
        self.cut_after = places[-1] if places else -1
        self.fastest = float(np.prod([link.fastest for link in self.links]))

    def bound(self, step: Step, folder: str, threads: int) -> partial:
        """The function of a step with its parameters; `folder` is where its files are if it does not say."""
        values = dict(step.parameters)
        if "path" in parameters(step.kind):
            path = values.get("path") or folder
            if not path:
                option = "--rir_path" if step.kind == "reverb" else "--musan_path"
                raise ConfigError(f"needs {option}, or a path of its own")
            if path not in self.folders:
                opened = AudioFolder(path)
                opened.check(threads)
                self.folders[path] = opened
            values["path"] = self.folders[path]
        return partial(step.function, **values)

    def described(self) -> dict:
        """What decides the draws' outcome: the recipe, and the names of the folders' files. Of plain values."""
        names = {path: folder.names for path, folder in self.folders.items()}
        return self.recipe.described() | {"files": list(names.values())}

    def reads(self, length: int) -> int:
        """Samples that a crop of `length` has to be cut from, so that speeding it up leaves enough."""
        return int(np.ceil(length * self.fastest)) + (1 if self.fastest > 1 else 0)

    def batch(
        self, crops: np.ndarray, length: int, rows: np.ndarray, uses: np.ndarray, seed: int, epoch: int
    ) -> np.ndarray:
        """(B, length) float32 of crops (B, reads(length)), which are left as they are.

        Parameters
        ----------
        crops : (B, reads(length)) float32
        length : int
        rows : (B,) int64
            Of the train list.
        uses : (B,) int64
            How often the epoch has used each row before.
        seed, epoch : int
        """
        changed = np.empty((len(crops), length), np.float32)
        for place, crop, row, use in zip(changed, crops, rows.tolist(), uses.tolist(), strict=True):
            place[:] = self.crop(crop, length, np.random.default_rng([seed, epoch, STREAM, row, use]))
        return changed

    def crop(self, samples: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
        """(length,) float32 of (reads(length),): every link of the chain in turn."""
        for number, link in enumerate(self.links):
            samples = link.apply(samples, random)
            if number == self.cut_after:
                samples = cut(samples, 0, length)
        return cut(samples, 0, length)


MUSAN = {"noise": "noise", "music": "music", "babble": "speech"}  # kind to MUSAN's folder
