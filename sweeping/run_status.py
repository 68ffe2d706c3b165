"""Where a run stands, read from its experiment folder alone: whoever looks, on whatever machine, sees the same."""

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from evaluation import result_names
from settings.errors import ConfigError
from sweeping.grid import Run

LOCK, RECORD, LOG = "sweep.lock", "sweep.json", "sweep.log"
# Options that change where and how fast a run computes, not what.
MACHINE = ("save_path", "device", "nDataLoaderThread", "audio_memory", "cache", "save_interval")


@dataclass(frozen=True)
class State:
    """`kind` is done, running, failed, interrupted or waiting; rates are fractions, None where not known.

    Attributes
    ----------
    epochs : finished ones
    seconds_per_epoch : mean over them, None before the first
    dev : {'eer', 'macro_eer'} of the checkpoint that is scored on the test lists: the best on dev so far
    tests : the same for each test list, by its short name
    reason : of a failure, in the trainer's words
    """

    kind: str
    epochs: int
    seconds_per_epoch: float | None
    dev: dict
    tests: dict[str, dict]
    reason: str = ""


def finished(run: Run) -> bool:
    """Whether all epochs are trained and all test lists scored."""
    return len(metrics(run)) >= run.config.max_epoch and all(test_results(run).values())


def state(run: Run) -> State:
    """What the run's folder says."""
    rows, tests = metrics(run), test_results(run)
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    evaluated = [row for row in rows if "dev_eer" in row]
    best = min(evaluated, key=lambda row: row["dev_eer"], default={})
    record = read_json(run.folder / RECORD)
    kind = kind_of(run, record)
    return State(
        kind,
        len(rows),
        sum(seconds) / len(seconds) if seconds else None,
        {name: best.get(f"dev_{name}") for name in ("eer", "macro_eer")} if best else {},
        {name: {key: found.get(key) for key in ("eer", "macro_eer")} for name, found in tests.items() if found},
        record.get("reason", "") if kind == "failed" else "",
    )


def kind_of(run: Run, record: dict) -> str:
    """The word for where a run stands."""
    if finished(run):
        return "done"
    if locked(run.folder):
        return "running"
    if record.get("status") == "failed":
        return "failed"
    return "interrupted" if (run.folder / "model" / "last.model").exists() else "waiting"


def metrics(run: Run) -> list[dict]:
    """A row for each finished epoch."""
    return read_rows(run.folder / "result" / "metrics.jsonl")


def test_results(run: Run) -> dict[str, dict]:
    """Short name of each test list to its results, empty where it is not scored yet."""
    names = result_names(run.config.test_list)
    return {name: read_json(run.folder / "result" / f"eval_{name}.json") for name in names}


def read_rows(path: Path) -> list[dict]:
    """The rows of a metrics.jsonl; none where there is no such file yet."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None


def read_json(path: Path) -> dict:
    """The object of a JSON file; empty where there is no such file yet."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None


def locked(folder: Path) -> bool:
    """Whether a process, here or on another machine that shares the folder, is at work on it."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def check_same(runs: list[Run]) -> None:
    """Raises ConfigError where a folder holds a run of another configuration: its result would pass for this one's."""
    mistakes = []
    for run in runs:
        try:
            recorded = yaml.safe_load((run.folder / "config.yaml").read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            mistakes.append(f"{run.folder}/config.yaml cannot be read")
            continue
        wanted = run.config.flat()
        for key in sorted((recorded.keys() & wanted.keys()) - set(MACHINE)):
            if recorded[key] != wanted[key]:
                mistakes.append(f"{run.folder} has {key} {recorded[key]}, and this sweep {wanted[key]}")
    if mistakes:
        shown = mistakes[:10] + [f"... and {len(mistakes) - 10} more"] * (len(mistakes) > 10)
        raise ConfigError("\n".join([*shown, "name another --save_path, or remove the folders"]))
