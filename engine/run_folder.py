"""An experiment folder as others read it: its configuration, epochs, results by list, and the checkpoint to use.

What lies there may be damaged or another's: every file is read within bounds, and values have the types they should.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from settings.errors import ConfigError
from settings.files import read_json, read_json_lines
from settings.options import Config
from settings.plain_yaml import read_yaml
from settings.project import located
from settings.text import shown

NUMBERS = ("epoch", "loss", "accuracy_percent", "lr", "seconds", "utterances_per_s", "data_wait")  # of an epoch's row
RATES = ("eer", "macro_eer")  # fractions of a list's results, and with `dev_` before them of an epoch's row


def result_names(lists: Iterable[str]) -> dict[str, str]:
    """The short name of each list's results (`eval_NAME.json`): dev and test lists of a run together, by path.

    It is the file's stem, with the folder before it where two lists would be called the same.

    Examples
    --------
    >>> result_names(["dev/list.csv", "test/list.csv", "other.csv"])
    {'dev/list.csv': 'dev_list', 'test/list.csv': 'test_list', 'other.csv': 'other'}
    """
    files = {path: Path(path).resolve() for path in lists}
    first = {file: path for path, file in reversed(files.items())}  # a file has one name, however it is spelled
    names = {file: Path(path).stem for file, path in first.items()}
    count = Counter(names.values())
    names = {
        file: name if count[name] == 1 else f"{Path(first[file]).parent.name}_{name}" for file, name in names.items()
    }
    count = Counter(names.values())
    names = {file: name if count[name] == 1 else f"{n}_{name}" for n, (file, name) in enumerate(names.items(), 1)}
    return {path: names[file] for path, file in files.items()}


def config_lists(config: Config | dict) -> list[str]:
    """The lists that a run scores when training ends, dev first: what `result_names` is to name."""
    values = config if isinstance(config, dict) else vars(config)
    return [path for path in (values["dev_list"], *values["test_list"]) if path]


def read_config(folder: Path) -> dict:
    """Option to value of config.yaml, today's defaults for what it does not say. Raises ConfigError."""
    path, defaults = folder / "config.yaml", Config().flat()
    if not path.exists():
        raise ConfigError(f"{folder}: no experiment (there is no config.yaml in it)")
    recorded = read_yaml(path)
    if not isinstance(recorded, dict):
        raise ConfigError(f"{path}: a config is 'option: value', one a line")
    wrong = [name for name, value in recorded.items() if name in defaults and not alike(value, defaults[name])]
    if wrong:
        raise ConfigError(f"{path}: {wrong[0]} is {shown(recorded[wrong[0]])}, which no run has")
    return located(defaults | recorded, path)


def alike(value: object, default: object) -> bool:
    """Whether a value is of the kind that an option's default is of."""
    if isinstance(default, list):
        return isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    return isinstance(value, float | int if isinstance(default, float) else type(default))


def read_metrics(folder: Path) -> list[dict]:
    """The row of each finished epoch; [] before the first. Raises ConfigError with the line."""
    path = folder / "result" / "metrics.jsonl"
    rows = read_json_lines(path) if path.exists() else []
    for n, row in enumerate(rows, 1):
        check_numbers(row, NUMBERS, f"{path} row {n}")
        check_numbers(row, [f"dev_{name}" for name in RATES], f"{path} row {n}", most=1)
        if "epoch" not in row:
            raise ConfigError(f"{path} row {n}: no epoch in it")
    return rows


def read_results(folder: Path, name: str) -> dict:
    """The results of a list by its short name; {} where it is not scored yet. Raises ConfigError."""
    path = folder / "result" / f"eval_{name}.json"
    results = read_json(path) if path.exists() else {}
    check_numbers(results, RATES, str(path), most=1)
    return results


def check_numbers(values: dict, names: Iterable[str], place: str, most: float = float("inf")) -> None:
    """Raises ConfigError where one of these values, if it is there and not None, is no number from 0 to `most`."""
    for name in names:
        value = values.get(name, 0)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most
        ):
            raise ConfigError(f"{place}: {name} is {shown(value)}, which no run has")


def checkpoint_of(folder: Path) -> Path:
    """The best checkpoint on dev; the last where there is no dev list. Raises ConfigError where there is none."""
    models = folder / "model"
    found = [path for path in (models / "best.model", models / "last.model") if path.exists()]
    if not found:
        raise ConfigError(f"{folder}: no checkpoint in it (neither best.model nor last.model in {models})")
    return found[0]
