"""Recordings by the thousand: found, read by threads, embedded a few at a time, in bounded memory and in order."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.audio import IN_FLIGHT, SAMPLE_RATE, load_audio
from corpus.decoding import promised_samples
from engine.parallel import in_order, usable_cores
from identification.remarks import remarks
from scoring.embeddings import unit_rows
from settings.errors import DataError, UserError
from SpeakerNet import TracingModel

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".m4a", ".wma", ".aac"}
LONGEST = 30 * SAMPLE_RATE  # embedded in one piece; longer recordings in pieces of equal length, whose mean counts
TOGETHER = 60 * SAMPLE_RATE  # samples embedded at once


@dataclass(frozen=True)
class Recording:
    """One file: its embedding (D,) float32 and what is to be said of it, or the reason why there is none."""

    path: str
    seconds: float = 0.0
    embedding: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    reason: str = ""


def find(sources: Sequence[str]) -> list[str]:
    """The files that sources stand for: files as they are, folders searched for audio, `-` a list on standard input.

    A file that is not there stays in the list; reading it gives the reason. Raises DataError for a folder of no audio.
    """
    found = []
    for source in sources:
        if source == "-":
            found += [line.strip() for line in sys.stdin if line.strip()]
        elif Path(source).is_dir():
            inside = sorted(str(path) for path in Path(source).rglob("*") if path.suffix.lower() in SUFFIXES)
            if not inside:
                raise DataError(f"{source}: no audio in this folder ({', '.join(sorted(SUFFIXES))})")
            found += inside
        else:
            found.append(source)
    return found


def embed_files(model: TracingModel, paths: Iterable[str], threads: int | None = None) -> Iterator[Recording]:
    """Every file's recording, in order. What cannot be read or embedded is a recording with its reason."""
    waiting: list[tuple[str, np.ndarray | None, Recording]] = []
    samples_waiting = 0

    def read(path: str) -> tuple:
        return _read(path, model.filters.apply)

    for found in in_order(read, paths, threads or usable_cores(), weigh=promised_samples, most=IN_FLIGHT):
        waiting.append(found)
        samples_waiting += 0 if found[1] is None else len(found[1])
        del found
        if samples_waiting >= TOGETHER:
            yield from _embedded(model, waiting)
            waiting, samples_waiting = [], 0
    yield from _embedded(model, waiting)


def _read(path: str, prepare: Callable) -> tuple[str, np.ndarray | None, Recording]:
    """Path, samples or None, and what is known before embedding."""
    try:
        samples = load_audio(path)
    except UserError as error:
        return path, None, Recording(path, reason=str(error).removeprefix(f"{path}: "))
    return path, prepare(samples), Recording(path, len(samples) / SAMPLE_RATE, remarks=tuple(remarks(samples)))


def pieces(samples: np.ndarray, longest: int = LONGEST) -> list[np.ndarray]:
    """Samples (T,) cut into as few pieces of nearly equal length as keep to `longest`."""
    return np.array_split(samples, -(-len(samples) // longest))


def _embedded(model: TracingModel, waiting: list) -> Iterator[Recording]:
    """The recordings of what was read, embedded together; one by one where the model refuses one of them."""
    good = [(samples, known) for _, samples, known in waiting if samples is not None]
    try:
        found = iter(embed_waveforms(model, [samples for samples, _ in good]))
    except UserError:
        found = iter([_alone(model, samples) for samples, _ in good])
    for _, samples, known in waiting:
        if samples is None:
            yield known
            continue
        result = next(found)
        if isinstance(result, str):
            yield Recording(known.path, known.seconds, remarks=known.remarks, reason=result)
        else:
            yield Recording(known.path, known.seconds, result, known.remarks)


def _alone(model: TracingModel, samples: np.ndarray) -> np.ndarray | str:
    try:
        return embed_waveforms(model, [samples])[0]
    except UserError as error:
        return str(error)


def embed_waveforms(model: TracingModel, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """(N, D) float32 embeddings of length one; of a long recording, the mean of those of its pieces.

    Raises DataError for a waveform that cannot be embedded, or whose embedding is not finite.
    """
    if not waveforms:
        return np.empty((0, model.config.nOut), np.float32)
    parts = [pieces(samples) for samples in waveforms]
    flat = [piece for own in parts for piece in own]
    try:
        rows = unit_rows(model.embed_waveforms(flat))
        ends = np.cumsum([len(own) for own in parts])
        return unit_rows(np.stack([own.mean(axis=0) for own in np.split(rows, ends[:-1])]))
    except UserError as error:
        raise DataError(str(error)) from None
