"""One dropped recording as parts of a page: the answer in HTML, pictures, the nearest files of the bank."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import soundfile

from corpus.audio import SAMPLE_RATE, load_audio
from identification.answers import Answer, answer
from identification.bank import UNKNOWN
from identification.output import verdict_line
from identification.recordings import Recording, embed_waveforms
from identification.remarks import remarks
from identification.scores import Prepared, against, nearest
from identification.segments import figure, windows_of
from identification.verbal import Scale
from settings.errors import DataError, UserError
from SpeakerNet import TracingModel

NEAREST = 3
WINDOW = 1.0  # seconds, of scores over time


@dataclass(frozen=True)
class Limits:
    """What is taken: `seconds` of a recording."""

    seconds: float = 120.0


@dataclass(frozen=True)
class Examined:
    """An answer, the samples (T,) that it is about, and its embedding; `samples` None where there is a reason."""

    answer: Answer
    samples: np.ndarray | None = None


def examine(
    model: TracingModel, prepared: Prepared, path: str, name: str, prior: np.ndarray | None, limits: Limits
) -> Examined:
    """The answer to a file, whatever is in it; `name` is what it was called where it came from."""
    try:
        samples = bounded(path, limits)
        embedding = embed_waveforms(model, [model.filters.apply(samples)])[0]
    except UserError as error:
        return Examined(Answer(name, reason=str(error).replace(path, name).removeprefix(f"{name}: ")))
    recording = Recording(name, len(samples) / SAMPLE_RATE, embedding, tuple(remarks(samples)))
    scores = against(prepared, embedding[None])[0]
    near = nearest(prepared, embedding, NEAREST)
    return Examined(answer(prepared.bank, recording, scores, prior=prior, nearest=near), samples)


def bounded(path: str, limits: Limits) -> np.ndarray:
    """(T,) float32 at 16 kHz. Raises DataError for a file longer than is taken, and as `load_audio`."""
    try:
        seconds = soundfile.info(path).duration
    except (soundfile.SoundFileError, OSError, TypeError):
        seconds = 0.0  # load_audio finds the words
    if seconds > limits.seconds:
        raise DataError(f"{path}: {seconds:.0f} s long, and at most {limits.seconds:.0f} s are taken: cut it up")
    samples = load_audio(path)  # a header is not to be trusted
    if len(samples) > limits.seconds * SAMPLE_RATE:
        raise DataError(f"{path}: longer than the {limits.seconds:.0f} s that are taken: cut it up")
    return samples


def as_html(one: Answer, scale: Scale) -> str:
    """The answer as HTML, every name in it escaped."""
    if not one.candidates:
        return f"<p><b>{escape(one.path)}</b> cannot be examined: {escape(one.reason)}</p>"
    parts = [f"<h3>{escape(verdict_line(one, scale))}</h3>", f"<p>{escape(one.path)}, {one.seconds:.1f} s</p>"]
    rows = []
    for rank, c in enumerate(one.candidates, 1):
        cells = [str(rank), c.system, f"{c.score:.3f}"]
        if c.log10_lr is not None:
            cells += [f"{c.log10_lr:+.2f} [{c.low:+.2f}, {c.high:+.2f}]", scale_words(c.log10_lr, scale)]
        cells += [] if c.posterior is None else [f"{100 * c.posterior:.1f} %"]
        rows.append(cells)
    heads = ["", "system", "score", "log10 LR against another system", "in words", "posterior"][: len(rows[0])]
    if one.unknown_posterior is not None:
        rows.append(["", f"{UNKNOWN} (none of them)", "", "", "", f"{100 * one.unknown_posterior:.1f} %"])
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    if one.remarks:
        parts.append("<ul>" + "".join(f"<li>{escape(remark)}</li>" for remark in one.remarks) + "</ul>")
    return "".join(parts)


def scale_words(log10_lr: float, scale: Scale) -> str:
    """The words, and for which of the two propositions."""
    words = scale.of(log10_lr)
    return words if words == scale.words[0] else f"{words} for {'it' if log10_lr > 0 else 'another system'}"


def over_time(model: TracingModel, prepared: Prepared, found: Examined):
    """A figure of ratios over time; None without a calibration or samples."""
    if found.samples is None or prepared.bank.calibration is None:
        return None
    try:
        windows = windows_of(model, prepared, model.filters.apply(found.samples), WINDOW)
    except UserError:
        return None
    return figure(windows, prepared.bank, "likelihood ratio over time, windows of 1 s")


def spectrogram(samples: np.ndarray | None):
    """A figure of the power of (T,) samples over time and frequency, 0 to 8 kHz, 80 dB; None without samples."""
    from matplotlib.figure import Figure

    if samples is None:
        return None
    made = Figure(figsize=(8, 3), layout="constrained")
    axes = made.add_subplot()
    hop = max(128, len(samples) // 2000)  # no more columns than a picture has
    samples = np.pad(samples, (0, max(0, 512 - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::hop] * np.hanning(512)
    power = 10 * np.log10(np.square(np.abs(np.fft.rfft(frames, axis=1))).T + 1e-10)
    extent = (0, len(samples) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
    axes.imshow(power, origin="lower", aspect="auto", extent=extent, vmin=power.max() - 80, cmap="magma")
    axes.set(xlabel="seconds", ylabel="kHz")
    axes.set_title("spectrogram", fontsize=10, loc="left")
    return made


def audible(path: str, folder: str | None) -> tuple[int, np.ndarray] | None:
    """A file of the bank to listen to: rate and (T,) int16; None where it is not there any more."""
    for place in (Path(path), Path(folder or ".") / path):
        try:
            return SAMPLE_RATE, np.clip(load_audio(place) * 32767, -32768, 32767).astype(np.int16)
        except UserError:
            continue
    return None
