"""Commands killed as they write, and started again: nothing is half written, and the end is the undisturbed one's."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml

import dataprep
import identify
import score
import sweep
from benchmarks.attacks.damage import same
from benchmarks.attacks.material import AUDIO, Material
from benchmarks.attacks.worker import EQUAL, Attack, Fault
from benchmarks.soak import metrics
from engine import checkpoints
from identification.bank import read_bank
from tests.killed_runs import die_soon, in_child
from trainSpeakerNet import main as trainer

SECONDS, MEMORY = 600.0, 4 << 30  # of this process; what is killed are others
DELAYS = (1e-6, 1e-4, 1e-3, 1e-2, 0.1)  # seconds after a change of a file has begun
LEARNED = ("encoder", "loss", "unaveraged", "optimizer")
RECIPE = "chain:\n  - {kind: coloured_noise, probability: 0.5, snr: [10, 40]}\n  - {kind: gain, probability: 0.5}\n"


@dataclass(frozen=True)
class Killed:
    """A command to kill.

    Attributes
    ----------
    main, words : the command, given the folder it writes in
    compare : of that folder and the undisturbed one's, complete or not: raises Fault where they differ
    most : changes of files within which it is killed
    again : whether it is started again after the kill, given the folder
    """

    main: Callable[[list[str]], int]
    words: Callable[[Path], list]
    compare: Callable[[Path, Path, bool], None]
    most: int
    again: Callable[[Path], bool] = lambda _: True


def attempt(what: Killed, whole: Path, prepare: Callable, dice: np.random.Generator, folder: Path) -> str:
    """One kill that hits, and the end."""
    most = what.most
    while True:
        run = folder / "run"
        run.mkdir()
        prepare(run)
        changes, delay = int(dice.integers(1, most + 1)), float(dice.choice(DELAYS))
        status = child(what, run, folder / "log", lambda: die_soon(run, changes, delay))  # noqa: B023 at once
        if os.WIFSIGNALED(status):
            break
        if status:
            raise Fault(f"not killed yet: {(folder / 'log').read_text()[-1_000:]}")
        what.compare(run, whole, True)  # it ended first
        shutil.rmtree(run)
        most = max(1, most // 2)
    what.compare(run, whole, False)
    if what.again(run) and child(what, run, folder / "log", lambda: None):
        raise Fault(f"after the kill: {(folder / 'log').read_text()[-1_000:]}")
    what.compare(run, whole, True)
    return EQUAL


def child(what: Killed, run: Path, log: Path, prepare: Callable[[], None]) -> int:
    """The command in a process of its own; how that ended, as `os.waitpid` has it."""
    pid = in_child([str(word) for word in what.words(run)], log, prepare, what.main)
    return os.waitpid(pid, 0)[1]


def compare_runs(run: Path, whole: Path, complete: bool) -> None:
    """Experiments: what was learned, to the last bit; every epoch's metrics; the results."""
    for path in (run / "exp/model").glob("[a-z]*.model"):
        found = checkpoints.read(path)  # sound, whenever the kill came
        if complete:
            expected = checkpoints.read(whole / "exp/model" / path.name)
            for part in set(LEARNED) & expected.keys():
                if not same(found[part], expected[part]):
                    raise Fault(f"{path.name}: another {part}")
    if not complete:
        return
    if metrics(run / "exp") != metrics(whole / "exp"):
        raise Fault("other metrics")
    names = {path.name for path in (whole / "exp/model").iterdir()}
    if names != {path.name for path in (run / "exp/model").iterdir()}:
        raise Fault("other checkpoints, or halves of them")
    for path in (whole / "exp/result").glob("eval_*.json"):
        texts = [(base / "exp/result" / path.name).read_text().replace(str(base), "") for base in (run, whole)]
        if texts[0] != texts[1]:
            raise Fault(f"another {path.name}")


def compare_files(run: Path, whole: Path, complete: bool) -> None:
    """Every file that the undisturbed command writes, byte for byte; paths aside."""
    for path in (path for path in whole.rglob("[!.]*") if path.is_file()):
        found = run / path.relative_to(whole)
        if not found.exists() and not complete:
            continue
        if found.read_bytes().replace(bytes(run), b"") != path.read_bytes().replace(bytes(whole), b""):
            raise Fault(f"another {found.relative_to(run)}")


def compare_banks(before: Path, run: Path, whole: Path, complete: bool) -> None:
    """A bank is the one before or the one after."""
    found = read_bank(run / "bank.npz")
    if not same(found, read_bank(whole / "bank.npz")) and (complete or not same(found, read_bank(before))):
        raise Fault("another bank")


def compare_sweeps(run: Path, whole: Path, complete: bool) -> None:
    """Tables, and the weights of every run."""
    if not complete:
        return
    if (run / "table.csv").read_bytes() != (whole / "table.csv").read_bytes():
        raise Fault("another table.csv")
    for path in whole.glob("*/model/last.model"):
        states = [checkpoints.read(base / path.relative_to(whole)) for base in (run, whole)]
        if not all(same(*(state[part] for state in states)) for part in ("encoder", "loss", "optimizer")):
            raise Fault(f"another {path.relative_to(whole)}")


def commands(material: Material) -> dict[str, tuple[Killed, int]]:
    """What is killed, and of twenty kills how many hit it."""
    recipe, bank, npz = material.file("recipe.yaml"), material.file("bank.npz"), material.file("dev.npz")
    recipe.write_text(RECIPE)
    trials = material.file("trials.txt")
    names = np.load(npz)["paths"].tolist()
    trials.write_text("".join(f"{n % 2} {a} {b}\n" for n, (a, b) in enumerate(zip(names, names[1:], strict=False))))
    often = {"save_interval": 0, "max_epoch": 3}  # a checkpoint after every batch
    cached = often | {"cache": material.file("cache"), "ema": 0.9, "average": 2}
    fixed = {name: str(value) if isinstance(value, Path) else value for name, value in material.options.items()}
    fixed = fixed | {"test_list": [fixed["test_list"]]}
    part = {"fixed": {k: v for k, v in fixed.items() if k not in ("save_path", "nOut")}, "grid": {"nOut": [8]}}
    material.file("kill.yaml").write_text(yaml.safe_dump({"save_path": "none", "parts": [part]}))
    scored = {"initial_model": material.models / "best.model", "test_list": material.file("dev.csv")}
    nothing = dict.fromkeys(set(material.options) - {"train_path", "device"})
    return {
        "training: cache, --ema, --average": (
            Killed(trainer, lambda f: material.words(**cached, save_path=f / "exp"), compare_runs, 60),
            8,
        ),
        "training: --augment": (
            Killed(trainer, lambda f: material.words(**often, augment=recipe, save_path=f / "exp"), compare_runs, 60),
            5,
        ),
        "dataprep cache": (
            Killed(
                dataprep.main,
                lambda f: ["cache", material.file("train.csv"), "--path", AUDIO, "--out", f, "--threads", 1],
                compare_files,
                8,
            ),
            2,
        ),
        "identify enrol --into": (
            Killed(
                identify.main,
                lambda f: ["enrol", npz, "--into", f / "bank.npz"],
                partial(compare_banks, bank),
                5,
                lambda f: same(read_bank(f / "bank.npz"), read_bank(bank)),
            ),
            2,
        ),
        "score.py --out, --scores_out": (
            Killed(
                score.main,
                lambda f: [npz, "--trial_list", trials, "--scores_out", f / "s.txt", "--out", f, "--no_progress"],
                compare_files,
                8,
            ),
            1,
        ),
        "--eval --save_embeddings": (
            Killed(
                trainer,
                lambda f: [
                    *material.words(**nothing | scored | {"save_path": f / "exp", "save_embeddings": f / "e.npz"}),
                    "--eval",
                ],
                partial(compare_only, "e.npz"),
                12,
            ),
            1,
        ),
        "a sweep": (
            Killed(sweep.main, lambda f: [material.file("kill.yaml"), "--save_path", f], compare_sweeps, 40),
            1,
        ),
    }


def compare_only(name: str, run: Path, whole: Path, complete: bool) -> None:
    """One file, where it is there or has to be."""
    if (complete or (run / name).exists()) and (run / name).read_bytes() != (whole / name).read_bytes():
        raise Fault(f"another {name}")


def attacks(material: Material) -> list[Attack]:
    """Each command undisturbed first."""
    bank, made = material.file("bank.npz"), []
    torch.set_num_threads(1)
    for number, (name, (what, share)) in enumerate(commands(material).items()):
        prepare = partial(shutil.copy, bank) if "enrol" in name else lambda _: None
        whole = material.file(f"whole{number}")
        whole.mkdir()
        prepare(whole)
        log = material.file(f"whole{number}.log")
        if child(what, whole, log, lambda: None):
            raise SystemExit(log.read_text())
        made += [Attack(name, partial(attempt, what, whole, prepare), SECONDS, MEMORY)] * share
    return made
