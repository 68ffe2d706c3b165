"""Where a run stands, read from its experiment folder alone: whoever looks, on whatever machine, sees the same."""

from dataclasses import dataclass
from pathlib import Path

from corpus.cache import cache_path, filters_of, read_cache
from corpus.filters import AudioFilters
from engine.locks import is_held
from engine.run_folder import config_lists, read_config, read_metrics, read_results, result_names
from settings.differences import differences
from settings.errors import ConfigError, DataError
from settings.files import read_json
from settings.schema import MACHINE
from settings.text import bulleted, shown
from sweeping.grid import Run

LOCK, LOG = "sweep.lock", "sweep.log"


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
    return len(read_metrics(run.folder)) >= run.config.max_epoch and all(test_results(run).values())


def state(run: Run) -> State:
    """What the run's folder says."""
    rows, tests = read_metrics(run.folder), test_results(run)
    seconds = [row["seconds"] for row in rows if row.get("seconds") is not None]
    evaluated = [row for row in rows if row.get("dev_eer") is not None]
    best = min(evaluated, key=lambda row: row["dev_eer"], default={})
    record = read_record(run)
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
    if is_held(run.folder / LOCK):
        return "running"
    if record.get("status") == "failed":
        return "failed"
    return "interrupted" if (run.folder / "model" / "last.model").exists() else "waiting"


def test_results(run: Run) -> dict[str, dict]:
    """Short name of each test list to its results, empty where it is not scored yet."""
    names = result_names(config_lists(run.config))
    return {names[path]: read_results(run.folder, names[path]) for path in run.config.test_list}


def record_file(run: Run) -> Path:
    """What the sweep itself notes of a run: how often it was tried, where, and how the last attempt ended."""
    return run.folder / "sweep.json"


def read_record(run: Run) -> dict:
    """The sweep's note; {} before the first attempt. Raises ConfigError where it is damaged."""
    path = record_file(run)
    record = read_json(path) if path.exists() else {}
    kinds = {"attempts": int, "status": str, "reason": str}
    wrong = [name for name, kind in kinds.items() if not isinstance(record.get(name, kind()), kind)]
    if wrong:
        raise ConfigError(f"{path}: {wrong[0]} is {shown(record[wrong[0]])}, which no sweep writes (remove the file)")
    return record


def check_same(runs: list[Run]) -> None:
    """Raises ConfigError where a folder holds a run of another configuration: its result would pass for this one's."""
    mistakes = []
    for run in runs:
        if (run.folder / "config.yaml").exists():
            found = differences(read_config(run.folder), run.config, lambda option: option.scope != MACHINE, "there")
            found += other_filters(run)
            mistakes += [f"{run.folder}: {difference}" for difference in found]
    if mistakes:
        raise ConfigError(bulleted("other runs lie there: name another --save_path, or remove the folders", mistakes))


def other_filters(run: Run) -> list[str]:
    """In what the audio of a run in its folder was filtered otherwise than that of --cache today, in a line or none.

    Where nothing is recorded, or there is no such cache, nothing is said: the trainer has more to say.
    """
    record = run.folder / "environment.json"
    before = read_json(record).get("filters") if record.exists() else None
    now = AudioFilters().settings()
    try:
        if run.config.cache:
            now = filters_of(read_cache(cache_path(run.config.cache, run.config.train_list))).settings()
    except DataError:
        return []
    same = not isinstance(before, dict) or AudioFilters().settings() | before == now
    return [] if same else [f"filters: {shown(before)} there, {shown(now)} now"]
