"""Utterances of known origin, embedded: a folder for each system, a list of files, or saved embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from corpus.conditions import resolve_conditions
from corpus.embedding_file import read_embeddings
from corpus.lists import read_list
from identification.recordings import SUFFIXES, embed_files
from settings.errors import DataError
from settings.text import bulleted
from SpeakerNet import TracingModel


@dataclass(frozen=True)
class Listed:
    """N utterances: embeddings (N, D), and of each the system, the file, and the language and condition where known."""

    source: str
    embeddings: np.ndarray
    systems: list[str]
    paths: list[str]
    languages: list[str] | None
    conditions: list[str] | None


def read_saved(source: str) -> tuple[Listed, str]:
    """Saved embeddings, and the digest of the model that made them. Raises DataError where they lack what is needed."""
    saved = read_embeddings(source)
    if saved.labels is None or saved.paths is None or not saved.checkpoint:
        raise DataError(
            f"{source}: has no labels, paths or digest of its model (`checkpoint`): save it with --save_embeddings"
        )
    columns = [None if c is None else c.tolist() for c in (saved.languages, saved.conditions)]
    conditions = resolve_conditions(columns[1], saved.labels, columns[0])
    return Listed(source, saved.embeddings, saved.labels.tolist(), saved.paths.tolist(), columns[0], conditions), (
        saved.checkpoint
    )


def read_files(
    model: TracingModel, source: str, root: str, *, skip: bool = False, threads: int | None = None
) -> Listed:
    """Embed a list file, its paths starting from `root`, or a folder that has one folder for each system.

    Raises
    ------
    DataError
        Naming every file that cannot be used, unless `skip` goes on without them.
    """
    if Path(source).is_dir():
        paths, systems = _folders(Path(source))
        languages = given = None
    else:
        table = read_list(source)
        paths, systems, languages, given = table.files(root), table.systems, table.languages, table.conditions
    bar = tqdm(total=len(paths), desc="embedding", unit="utt", leave=False, disable=None)
    kept, rows, wrong = [], [], []
    with bar:
        for number, recording in enumerate(embed_files(model, paths, threads)):
            bar.update()
            if recording.embedding is None:
                wrong.append(f"{recording.path}: {recording.reason}")
                continue
            kept.append(number)
            rows.append(recording.embedding)
    if wrong and (not skip or not kept):
        more = " (--skip_bad_audio goes on without them)" if kept else ""
        raise DataError(bulleted(f"{source}: {len(wrong)} of {len(paths)} files cannot be used{more}", wrong))

    def of(column: Sequence[str] | None) -> list[str] | None:
        return None if column is None else [column[number] for number in kept]

    systems, languages = of(systems), of(languages)
    conditions = resolve_conditions(of(given), systems, languages, model.classes, model.languages)
    return Listed(source, np.stack(rows), systems, [str(Path(path)) for path in of(paths)], languages, conditions)


def _folders(folder: Path) -> tuple[list[str], list[str]]:
    """Audio files below the folders of a folder, and the names of these: their systems."""
    paths, systems = [], []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(str(path) for path in inside.rglob("*") if path.suffix.lower() in SUFFIXES)
        paths += files
        systems += [inside.name] * len(files)
    if not paths:
        raise DataError(f"{folder}: no folder with audio in it; a folder for each system is expected")
    return paths, systems
