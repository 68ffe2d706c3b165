"""The organisers' source-tracing protocol (zip, folder, or three CSVs) to train, dev and test lists with conditions.

`eval.csv` of the protocol becomes `test`. A row's condition is the name of the list under fine/ that holds it, without
the split: `lang_seen___model_not_seen`. Where fine/ is missing, the condition follows from what the train list holds,
in the same words.
"""

import zipfile
import zlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath

from corpus.conditions import conditions_of, parse_condition
from corpus.lists import UtteranceList, outside, parse_list
from settings.errors import DataError
from settings.files import read_bytes
from settings.text import bulleted, for_terminal

SPLITS = {"train": "train", "dev": "dev", "eval": "test"}  # the protocol's name to ours
FINE = tuple(  # the protocol's words for the conditions, in the order of `corpus.conditions.CONDITIONS`
    f"{language}___{model}" for model in ("model_seen", "model_not_seen") for language in ("lang_seen", "lang_not_seen")
)
TRAIN = "train"  # the condition of train rows
LARGEST = 1 << 27  # bytes of all members together; the real protocol has 11 MB
MOST_MEMBERS = 1_000


def read_protocol(source: str | Path) -> dict[str, UtteranceList]:
    """The lists `train`, `dev`, `test` of a protocol zip or folder. Nothing is repaired.

    Raises
    ------
    DataError
        The source is missing, is no readable zip, lacks a list, holds a path that leaves the folder, or its fine/ lists
        do not hold exactly the rows of dev.csv and eval.csv.
    """
    content = read_members(Path(source))
    folders = {PurePosixPath(name).parent for name in content if PurePosixPath(name).name == "train.csv"}
    if len(folders) != 1:
        where = ", ".join(sorted(str(folder) for folder in folders)) or "none"
        raise DataError(f"{source}: expected one train.csv beside dev.csv and eval.csv, found {where}")
    folder = folders.pop()
    here = {str(PurePosixPath(name).relative_to(folder)): name for name in content if within(name, folder)}
    missing = [f"{split}.csv" for split in SPLITS if f"{split}.csv" not in here]
    if missing:
        raise DataError(f"{source}: no {' and no '.join(missing)} beside train.csv")

    def parse(member: str) -> UtteranceList:
        return parse_list(content[here[member]], f"{source}:{here[member]}")

    tables = {ours: parse(f"{theirs}.csv") for theirs, ours in SPLITS.items()}
    train = replace(tables["train"], conditions=[TRAIN] * len(tables["train"]))
    found = {"train": train}
    for theirs in ("dev", "eval"):
        table = tables[SPLITS[theirs]]
        fine = {c: parse(f"fine/{theirs}___{c}.csv") for c in FINE if f"fine/{theirs}___{c}.csv" in here}
        words = {parse_condition(word): word for word in FINE}
        conditions = conditions_listed(table, fine) if fine else [words[c] for c in conditions_by_train(table, train)]
        found[SPLITS[theirs]] = replace(table, conditions=conditions)
    return found


def within(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).is_relative_to(folder)


def read_members(source: Path) -> dict[str, bytes]:
    """Name to content of every CSV in a zip or folder. A zip with a name that leaves its folder is refused whole."""
    if source.is_dir():
        files = sorted(path for path in source.rglob("*.csv") if len(path.relative_to(source).parts) <= 3)
        return {path.relative_to(source).as_posix(): read_bytes(path, LARGEST, DataError) for path in files}
    if source.exists() and not source.is_file():
        raise DataError(f"{source}: not a file")
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)  # as stated: no more of a member is ever read
            if len(members) > MOST_MEMBERS or total > LARGEST:
                raise DataError(f"{source}: {len(members):,} members, {total:,} bytes: no protocol has so many")
            wrong = [for_terminal(why) for m in members if (why := outside(m.filename, allow=False))]
            if wrong:
                raise DataError(bulleted(f"{source}: {len(wrong)} members refused", wrong))
            return {m.filename: archive.read(m) for m in members if m.filename.endswith(".csv")}
    except OSError as error:
        raise DataError(f"{source}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{source}: not a whole zip file ({error}); fetch it again") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or a compression that Python lacks
        raise DataError(f"{source}: this zip cannot be read ({error})") from None


def conditions_listed(table: UtteranceList, fine: dict[str, UtteranceList]) -> list[str]:
    """The condition of each row: the fine list it stands in. Raises DataError where a row is in none, or in two."""
    homes: dict[tuple, Counter] = defaultdict(Counter)
    for condition, rows in fine.items():
        for key in zip(rows.paths, rows.systems, strict=True):
            homes[key][condition] += 1
    listed = Counter(zip(table.paths, table.systems, strict=True))
    wrong = [f"{table.source}: {path} ({system}) is in no list under fine/" for path, system in listed.keys() - homes]
    wrong += [f"{path} ({system}) is in fine/ and not in {table.source}" for path, system in homes.keys() - listed]
    for (path, system), home in homes.items():
        if len(home) > 1:
            wrong.append(f"{path} ({system}) stands under {' and '.join(sorted(home))}")
        elif (path, system) in listed and home.total() != listed[path, system]:
            wrong.append(
                f"{path} ({system}) stands {home.total()} times in fine/, {listed[path, system]} times in the list"
            )
    if wrong:
        raise DataError(
            bulleted(f"{table.source}: {len(wrong)} rows disagree with the lists under fine/", sorted(wrong))
        )
    return [next(iter(homes[key])) for key in zip(table.paths, table.systems, strict=True)]


def conditions_by_train(table: UtteranceList, train: UtteranceList) -> list[str]:
    """The condition of each row by what the train list holds."""
    return conditions_of(table.systems, table.languages, train.systems, train.languages)
