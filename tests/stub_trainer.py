"""Stands in for the trainer where a sweep is tested: epochs of no work, results out of thin air, failures on request.

Its nOut says how it behaves: 13 always fails, 14 fails at first, 15 is a user's mistake; all others succeed.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(words: list[str]) -> int:
    options = {word.removeprefix("--"): words[i + 1] for i, word in enumerate(words) if word.startswith("--")}
    folder, dimension = Path(options["save_path"]), int(options["nOut"])
    for part in ("model", "result"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    tried = len((folder / "tries").read_text()) if (folder / "tries").exists() else 0
    (folder / "tries").write_text("x" * (tried + 1))
    if dimension == 13 or (dimension == 14 and not tried):
        print("something\nValueError: out of luck")  # noqa: T201
        return 1
    if dimension == 15:
        print("error: no such thing")  # noqa: T201
        return 2
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))  # like the trainer, it stops between two epochs
    metrics = folder / "result" / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    for epoch in range(len(rows) + 1, int(options["max_epoch"]) + 1):
        time.sleep(0.05)
        eer = 1 / (dimension + epoch + int(options["seed"]))
        rows.append({"epoch": epoch, "seconds": 0.05, "dev_eer": eer, "dev_macro_eer": eer / 2})
        temporary = folder / "result" / f"{os.getpid()}.tmp"
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        temporary.replace(metrics)
        (folder / "model" / "last.model").write_text("")
        with (folder / "trained").open("a") as file:
            file.write(f"{epoch}\n")
        if stop:
            return 128 + signal.SIGTERM
    results = json.dumps({"eer": 1 / (1 + dimension), "macro_eer": 0.1})
    (folder / "result" / "eval_test.json").write_text(results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
