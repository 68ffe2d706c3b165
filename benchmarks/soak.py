"""Training under random kills, a disk that fills, files that vanish. Run: python -m benchmarks.soak --minutes 30

Trains on data/demo with a tiny configuration, undisturbed first, to measure; then, for the minutes given, runs of the
same command are killed (SIGKILL), asked to stop (SIGTERM, SIGINT), bereft of an audio file, or find their disk full,
at random moments. When a run has come to its end it is compared with the undisturbed one, and the next begins. Exit
status 0 where every weight was bit-identical, every metric equal and every fault reported in words.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from benchmarks.demo_runs import ROOT, different_weights, thinned_lists

CLOCK = {"seconds", "utterances_per_s", "data_wait"}
FAULTS = ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "vanished file", "full disk")
DISK_MB = 120


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    options.add_argument("--minutes", type=float, default=30.0, help="how long to disturb (default: %(default)s)")
    options.add_argument("--epochs", type=int, default=30, help="of each run (default: %(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of the disturbances (default: %(default)s)")
    return options


class Soak:
    """The runs, their disturbances, and the counts of both."""

    def __init__(self, folder: Path, minutes: float, epochs: int, seed: int):
        self.folder, self.epochs, self.dice = folder, epochs, random.Random(seed)
        self.until = time.monotonic() + 60 * minutes
        self.counts, self.wrong = Counter(), []
        self.disk = folder / "disk"
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", self.disk]
        self.fills = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self.audio = folder / "audio"
        shutil.copytree(ROOT / "data/demo", self.audio)
        rows = (ROOT / "data_lists/demo/train.csv").read_text(encoding="utf-8").splitlines()
        self.trained = [self.audio / row.split(",")[0].removeprefix("./") for row in rows[1::6]]
        thinned_lists(folder)

    def command(self, save_path: Path) -> list[str]:
        """The trainer's command line: small crops, no audio kept in memory, a checkpoint after every batch."""
        options = {f"{name}_list": self.folder / f"{name}.csv" for name in ("train", "dev", "test")}
        options |= {"train_path": self.audio, "save_path": save_path, "max_epoch": self.epochs, "warmup_epochs": 2}
        options |= {"nOut": 8, "batch_size": 8, "max_frames": 40, "test_interval": 5, "lr": 1e-3, "device": "cpu"}
        options |= {"save_interval": 0, "keep": 1, "audio_memory": 0, "eval_frames": 60, "num_eval": 1}
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        return [sys.executable, "trainSpeakerNet.py", *words]

    def start(self, save_path: Path) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(save_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def undisturbed(self) -> None:
        began = time.monotonic()
        process = self.start(self.folder / "whole")
        text = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"the undisturbed run failed:\n{text}")
        self.seconds = time.monotonic() - began
        self.until += self.seconds
        print(f"an undisturbed run: {self.epochs} epochs in {self.seconds:.0f} s", flush=True)

    def disturbed(self, save_path: Path) -> None:
        """Start the command again and again, disturbing it while there is time, until it ends by itself."""
        while True:
            fault = self.dice.choice(FAULTS if self.fills else FAULTS[:-1]) if time.monotonic() < self.until else ""
            process = self.start(save_path)
            undo = self.disturb(process, fault)
            text = process.communicate()[0]
            undo()
            self.judge(fault, process.returncode, text)
            if process.returncode == 0 or self.wrong:
                return

    def disturb(self, process: subprocess.Popen, fault: str):
        """Do it at a random moment, while the process lives; returns what undoes it."""
        if not fault:
            return lambda: None
        moment = time.monotonic() + self.dice.uniform(0, 0.4 * self.seconds)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.005)
        if process.poll() is None and fault.startswith("SIG"):
            process.send_signal(signal.Signals[fault])
        if fault == "vanished file":
            file = self.dice.choice(self.trained)
            away = file.with_suffix(".away")
            file.rename(away)
            return lambda: away.rename(file)
        if fault == "full disk":
            filling = self.disk / "filling"
            free = shutil.disk_usage(self.disk).free
            with suppress(OSError), filling.open("wb", buffering=0) as file:  # the trainer may fill it first: as good
                file.write(bytes(max(0, free - self.dice.choice([0, 4_096, 1_000_000]))))
            return filling.unlink
        return lambda: None

    def judge(self, fault: str, status: int, text: str) -> None:
        """Count how a disturbed process ended; what it should not have done is kept in `wrong`."""
        expected = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130, "vanished file": 2, "full disk": 2}
        unwarned = fault in ("SIGTERM", "SIGINT") and status == -signal.Signals[fault]  # before it could listen
        expected_words = {"vanished file": "No such file", "full disk": "No space left"}.get(fault, "")
        if status == 0:
            self.counts[f"{fault or 'nothing'}: ended by itself"] += 1
        elif status == expected.get(fault) and expected_words in text and "Traceback" not in text:
            self.counts[f"{fault}: survived"] += 1
        elif unwarned or (fault == "SIGINT" and "KeyboardInterrupt" in text and "epoch" not in text):
            self.counts[f"{fault}: before the trainer had begun"] += 1
        else:
            self.wrong.append(f"after {fault or 'nothing'}: exit status {status}\n{text[-3_000:]}")

    def compare(self, save_path: Path) -> None:
        """The finished run beside the undisturbed one: all weights, all metrics, the results."""
        whole = self.folder / "whole"
        for name in ("last", "best"):
            differing = different_weights(*(path / f"model/{name}.model" for path in (whole, save_path)))
            self.wrong += [f"{save_path.name}: {name}.model differs in {key}" for key in differing]
        if metrics(whole) != metrics(save_path):
            self.wrong.append(f"{save_path.name}: metrics.jsonl differs")
        for name in ("dev", "test"):
            first, second = (json.loads((path / f"result/eval_{name}.json").read_text()) for path in (whole, save_path))
            if first | {"checkpoint": ""} != second | {"checkpoint": ""}:
                self.wrong.append(f"{save_path.name}: eval_{name}.json differs")
        self.counts["bytes lost"] += sum(
            max(0, (whole / name).stat().st_size - (save_path / name).stat().st_size)
            for name in ("model/last.model", "model/best.model")
        )
        self.counts["half-written checkpoints left behind"] += len(list((save_path / "model").glob(".*.tmp")))
        self.counts["runs compared, bit-identical"] += not self.wrong

    def run(self) -> int:
        """Until the time is up; 0 where nothing went wrong."""
        self.undisturbed()
        began = time.monotonic()
        number = 0
        while not self.wrong and (number == 0 or time.monotonic() < self.until):
            number += 1
            save_path = (self.disk if self.fills else self.folder) / f"run{number}"
            self.disturbed(save_path)
            if not self.wrong:
                self.compare(save_path)
            shutil.rmtree(save_path)
        print(f"disturbed for {(time.monotonic() - began) / 60:.1f} minutes")
        if not self.fills:
            print("no disk was filled: mounting a small one (tmpfs) needs root")
        for name, count in sorted(self.counts.items()):
            print(f"{count:6d}  {name}")
        print("\n".join(self.wrong) or "nothing went wrong")
        return 1 if self.wrong else 0


def metrics(folder: Path) -> list[dict]:
    """The rows of metrics.jsonl without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "result/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in rows]


def main() -> int:
    asked = parser().parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors: more threads only wait for each other
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), asked.minutes, asked.epochs, asked.seed)
        try:
            return soak.run()
        finally:
            if soak.fills:
                subprocess.run(["umount", soak.disk], check=True)


if __name__ == "__main__":
    sys.exit(main())
