"""Configurations, sweeps, results, lists: text changed in structure and in bytes, given to what reads it."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

import analyse
import dataprep
import identify
import score
import sweep
from benchmarks.attacks.hostile import NAMES, picked, plain, planted
from benchmarks.attacks.material import AUDIO, Material
from benchmarks.attacks.worker import OTHER, Attack, by_command
from engine import model_folder
from identification.bank import read_bank
from preparation.download.addresses import DEFAULT, read_addresses
from preparation.download.checksums import Verifier
from settings.files import read_json
from sweeping import grid, sweep_file
from sweeping.table import read_paper
from tests.mutations import mutated
from trainSpeakerNet import main as trainer

SECONDS, MEMORY = 60.0, 1 << 30
SNIPPETS = {
    "yaml": (
        "a: &a [x, x, x]\n" + "".join(f"{to}: &{to} [*{of}, *{of}, *{of}]\n" for of, to in pairwise("abcdefghij")),
        "x: !!python/object/apply:os.system ['touch owned']\n",
        "x: !!python/name:os.system\n",
        "!!binary R0lG: !!set {a, b}\n",
        "<<: [{lr: 1}, {lr: 2}]\n",
        "<<: 3\n",
        "&x a: *x\n",
        "a: &a {b: *a}\n",
        "lr: 1\nlr: 2\n",
        "? [a, b]\n: c\n",
        "lr: .nan\n",
        "nOut: 0o17\nseed: 1:30\n",
        "x: 2001-99-99\n",
        "--- a\n--- b\n",
        "%YAML 9.9\n---\n",
        "x: !!int abc\n",
        "x: !!float []\n",
        "x: !!timestamp y\n",
        "\tx: 1\n",
        "x: " + "[" * 5_000,
        "x: " + "{a: " * 3_000,
        "- " * 3_000,
        "x: " + "9" * 5_000 + "\n",
        "x: " + "é" * 300_000 + "\n",
    ),
    "json": (
        '{"a": 1, "a": 2}',
        '{"eer": NaN}',
        '{"eer": Infinity}',
        '{"eer": 1e999}',
        '{"x": ' + "9" * 5_000 + "}",
        "[" * 100_000,
        '{"a":' * 50_000,
        '"\\ud800"',
        '{"\\u0000": "\\u001b[2J"}',
        "\ufeff{}",
        "null",
        "",
    ),
    "csv": (
        '"never closed\n',
        "x" * 200_000 + ",y\n",
        "a,b,c,d,e,f\n",
        ",\n",
        '"a\nb",c\n',
        "../../etc/passwd,x\n",
        "/dev/zero,x\n",
        "=cmd|' /C calc'!A0,+1\n",
        "a\0b,c\n",
        "a;b\n",
        "\ufeffpath,model_name\n",
        "\r\r\r\n",
        "\u2028,\u2029\n",
        "\x1b[2J,\x1b[31m\n",
    ),
}
BYTES = (b"\xff\xfe", b"\0" * 100, b"\xed\xa0\x80", b"\x80", b"\x1b[2J", b"\r", b"\xef\xbb\xbf")


def changed(text: str, kind: str, dice: np.random.Generator) -> bytes:
    """Its values exchanged by hostile ones, hostile lines put in, or its bytes damaged."""
    how = dice.random()
    if how < 0.45:
        return restructured(text, kind, dice).encode("utf-8", "surrogatepass")
    if how < 0.75:
        lines = text.splitlines(keepends=True)
        snippet = picked(dice, SNIPPETS["json" if kind == "jsonl" else kind])
        at = int(dice.integers(len(lines) + 1))
        return "".join([*lines[:at], snippet, *lines[at:]] if dice.random() < 0.7 else [snippet]).encode()
    content = text.encode()
    if how < 0.85:
        at = int(dice.integers(len(content)))
        return content[:at] + picked(dice, BYTES) + content[at:]
    return mutated(content, [int(dice.integers(1 << 31))], [content])


def restructured(text: str, kind: str, dice: np.random.Generator) -> str:
    """The text of the same values, some of them exchanged."""
    if kind == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        row = rows[int(dice.integers(len(rows)))]
        row[int(dice.integers(len(row)))] = picked(dice, NAMES) if dice.random() < 0.5 else str(plain(dice))[:300_000]
        made = io.StringIO()
        csv.writer(made).writerows(rows if dice.random() < 0.8 else rows + [row * 3] + rows[1:])
        return made.getvalue()
    if kind == "jsonl":
        lines = text.splitlines()
        at = int(dice.integers(len(lines)))
        lines[at] = json.dumps(planted(json.loads(lines[at]), dice, plain))
        return "\n".join(lines) + "\n"
    load, dump = (yaml.safe_load, yaml.safe_dump) if kind == "yaml" else (json.loads, json.dumps)
    value = planted(load(text), dice, plain) if dice.random() < 0.9 else plain(dice)
    return dump(value)


def attempt(text: str, kind: str, name: str, use: Callable, dice: np.random.Generator, folder: Path) -> str:
    """A hostile file, used."""
    hostile = folder / name
    hostile.parent.mkdir(parents=True, exist_ok=True)
    hostile.write_bytes(changed(text, kind, dice))
    return use(hostile, folder)


def in_copy(original: Path, text: str, kind: str, name: str, use: Callable, dice: np.random.Generator, folder: Path):
    """A hostile file in the copy of a folder, which is used."""
    copy = folder / original.name
    shutil.copytree(original, copy)
    (copy / name).unlink()
    (copy / name).write_bytes(changed(text, kind, dice))
    return use(copy, folder)


def plain_read(read: Callable) -> Callable:
    """A reader as a use."""

    def use(hostile: Path, folder: Path) -> str:  # noqa: ARG001 all are called alike
        read(hostile)
        return OTHER

    return use


def resealed(folder: Path, material: Material, out: Path) -> str:
    """A model folder whose description is hostile and has the right digest, scored."""
    path = folder / "config.json"
    about = read_json(path)
    path.write_text(json.dumps(about | {"digest": model_folder.digest(about)}))
    return evaluated(material, out, initial_model=folder)


def evaluated(material: Material, out: Path, **changes: object) -> str:
    """--eval of the demo's model or another."""
    given = {"initial_model": material.models / "best.model", "test_list": material.file("dev.csv")} | changes
    nothing = dict.fromkeys(set(material.options) - {"train_path", "device"})
    return by_command(trainer, [*material.words(**nothing | {"save_path": out / "out"} | given), "--eval"])


def swept(material: Material) -> tuple[str, Path]:
    """A sweep's text, and the folder of its one run, which is the experiment's copy."""
    fixed = {name: str(value) if isinstance(value, Path) else value for name, value in material.options.items()}
    fixed |= {"ema": 0.9, "average": 2, "test_list": [fixed["test_list"]]}
    del fixed["save_path"], fixed["nOut"]
    content = {"save_path": str(material.file("swept")), "parts": [{"fixed": fixed, "grid": {"nOut": [8]}}]}
    text = yaml.safe_dump(content)
    material.file("sweep.yaml").write_text(text)
    (run,) = grid.runs(sweep_file.read(str(material.file("sweep.yaml"))), [])
    shutil.copytree(material.file("exp"), run.config.save_path)
    (Path(run.config.save_path) / "sweep.json").write_text('{"attempts": 1, "status": "failed", "reason": "error: x"}')
    return text, Path(run.config.save_path)


def tabled(material: Material, copy: Path, folder: Path) -> str:
    """The table of a sweep whose run is this copy."""
    return (
        by_command(sweep.main, [material.file("sweep.yaml"), "--table_only", "--save_path", folder.absolute()], (0, 1))
        if copy.parent == folder
        else OTHER
    )


def verified(hostile: Path, folder: Path) -> str:
    """Notes of checks, in a folder of their own."""
    (folder / "x").write_bytes(b"abc")
    Verifier(hostile.parent).check(folder / "x", "900150983cd24fb0d6963f7d28e17f72")
    return OTHER


def attacks(material: Material) -> list[Attack]:
    """All text files that a user may write, or be given."""
    text, run = swept(material)
    exp, bank, npz = material.file("exp"), material.file("bank.npz"), material.file("dev.npz")
    sound = sorted(AUDIO.rglob("*.ogg"))[0]
    training = material.words(max_epoch=2, warmup_epochs=1)
    listed = material.file("dev.csv").read_text()
    paths = [line.split(",")[0] for line in listed.splitlines()[1:]]
    systems = [*read_bank(bank).systems, "unknown"]
    prior = "system,prior\n" + "".join(f"{name},{1 / len(systems)}\n" for name in systems)
    paper = "model,trainfunc,sampler,nOut,dev_eer_percent,test_eer_percent\nThinResNet34,ge2e,balanced,8,1.5,2\n"
    recipe = "chain:\n  - {kind: lowpass, probability: 0.5, cutoff: [2000, 7000]}\n  - one_of:\n"
    recipe += (
        "      - {kind: coloured_noise, probability: 0.3, snr: [10, 40]}\n      - {kind: gain, probability: 0.5}\n"
    )
    identified = ["identify", bank, sound]
    single = {  # what: its text, kind, name, and who reads it
        "config": (
            (exp / "config.yaml").read_text(),
            "yaml",
            "c.yaml",
            lambda m, f: by_command(trainer, ["--config", m, *material.words(save_path=f / "out")]),
        ),
        "recipe": (
            recipe,
            "yaml",
            "r.yaml",
            lambda m, f: by_command(trainer, [*training, "--save_path", f / "out", "--augment", m]),
        ),
        "sweep": (text, "yaml", "s.yaml", lambda m, _: by_command(sweep.main, [m, "--dry_run"])),
        "addresses": (Path(DEFAULT).read_text(), "yaml", "a.yaml", plain_read(read_addresses)),
        "list, scored": (listed, "csv", "l.csv", lambda m, f: evaluated(material, f, test_list=m)),
        "list, audited": (
            listed,
            "csv",
            "l.csv",
            lambda m, f: by_command(dataprep.main, ["audit", m, "--path", AUDIO, "--out", f / "out"], (0, 1)),
        ),
        "list, converted": (
            listed,
            "csv",
            "l.csv",
            lambda m, f: by_command(dataprep.main, ["lists", m, "--out", f / "out"]),
        ),
        "trial list": (
            "".join(f"{n % 2} {a} {b}\n" for n, (a, b) in enumerate(zip(paths, paths[1:], strict=False))),
            "csv",
            "t.txt",
            lambda m, _: by_command(score.main, [npz, "--trial_list", m, "--no_progress"]),
        ),
        "prior": (prior, "csv", "p.csv", lambda m, _: by_command(identify.main, [*identified, "--prior", m], (0, 3))),
        "scale": (
            "log10_lr,words\n0,none\n1,some\n2,strong\n",
            "csv",
            "w.csv",
            lambda m, _: by_command(identify.main, [*identified, "--scale", m], (0, 3)),
        ),
        "calibration list": (
            listed,
            "csv",
            "l.csv",
            lambda m, f: by_command(
                identify.main, ["calibrate", bank, m, "--path", AUDIO, "--draws", "2", "--out", f / "bank.npz"]
            ),
        ),
        "published figures": (paper, "csv", "p.csv", plain_read(lambda path: read_paper(str(path)))),
        "notes of checks": ('{"x": [3, 1, "900150983cd24fb0d6963f7d28e17f72"]}', "json", ".verified.json", verified),
    }
    kinds = {".yaml": "yaml", ".json": "json", ".jsonl": "jsonl"}
    inside = {
        "report": (exp, ("config.yaml", "result/metrics.jsonl", "result/eval_dev.json", "environment.json")),
        "table": (run, ("config.yaml", "result/metrics.jsonl", "result/eval_test.json", "sweep.json")),
        "model folder": (material.file("hf"), ("config.json",)),
    }
    uses = {
        "report": lambda copy, f: by_command(analyse.main, ["report", copy, "--no_embeddings", "--out", f / "page"]),
        "table": partial(tabled, material),
        "model folder": lambda copy, f: resealed(copy, material, f),
    }
    made = [Attack(name, partial(attempt, *what), SECONDS, MEMORY) for name, what in single.items()]
    for what, (folder, names) in inside.items():
        for name in names:
            case = partial(in_copy, folder, (folder / name).read_text(), kinds[Path(name).suffix], name, uses[what])
            made.append(Attack(f"{what}: {name}", case, SECONDS, MEMORY))
    return made
