"""Scores over time: a recording in windows, each against the whole bank."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.audio import SAMPLE_RATE, load_audio
from engine.atomic_files import atomic_write
from identification.bank import Bank
from identification.recordings import embed_waveforms
from identification.scores import Prepared, against
from SpeakerNet import TracingModel

AT_ONCE = 64  # windows embedded at once
LINES = 6  # systems in a picture
COLOURS = ("#3366cc", "#dc3912", "#109618", "#990099", "#e69f00", "#0099a8")


@dataclass(frozen=True)
class Windows:
    """W windows of a recording: when each begins and ends, in seconds, and (W, S) log10 ratios, before their bounds."""

    starts: np.ndarray
    ends: np.ndarray
    log10_lr: np.ndarray


def segments(model: TracingModel, prepared: Prepared, path: str, seconds: float) -> Windows:
    """Windows that overlap by half; the last ends with the recording. Raises DataError as `load_audio`."""
    return windows_of(model, prepared, model.filters.apply(load_audio(path)), seconds)


def windows_of(model: TracingModel, prepared: Prepared, samples: np.ndarray, seconds: float) -> Windows:
    """The same of samples (T,) float32 at 16 kHz."""
    length = min(int(seconds * SAMPLE_RATE), len(samples))
    starts = np.unique(np.r_[np.arange(0, len(samples) - length + 1, max(1, length // 2)), len(samples) - length])
    scores = []
    for begin in range(0, len(starts), AT_ONCE):
        parts = [samples[start : start + length] for start in starts[begin : begin + AT_ONCE]]
        scores.append(against(prepared, embed_waveforms(model, parts)))
    ratios = prepared.bank.calibration.identify.natural(np.concatenate(scores)) / np.log(10)
    return Windows(starts / SAMPLE_RATE, (starts + length) / SAMPLE_RATE, ratios)


def segment_lines(windows: Windows, bank: Bank, *, as_json: bool) -> Iterator[str]:
    """A line for each window, and one where different systems lead in different windows."""
    best, bounded = windows.log10_lr.argmax(axis=1), bounds(windows, bank)
    threshold = bank.calibration.threshold / np.log(10)
    for start, end, system, ratios in zip(windows.starts, windows.ends, best, bounded, strict=True):
        if as_json:
            found = {"start": float(start), "end": float(end), "system": bank.systems[system]}
            yield json.dumps(found | {"log10_lr": float(ratios[system])}, ensure_ascii=False)
        else:
            yield f"  {start:6.2f} to {end:6.2f} s: {bank.systems[system]}  log10 LR {ratios[system]:+.2f}"
    leading = {bank.systems[s] for s, ratios in zip(best, windows.log10_lr, strict=True) if ratios[s] >= threshold}
    if len(leading) > 1 and not as_json:
        yield f"  note: more than one system leads ({', '.join(sorted(leading))}): is it one recording?"


def bounds(windows: Windows, bank: Bank) -> np.ndarray:
    """(W, S) log10 ratios within the calibration's bounds."""
    ratios = bank.calibration.identify
    return np.clip(windows.log10_lr, ratios.low / np.log(10), ratios.high / np.log(10))


def figure(windows: Windows, bank: Bank, title: str):
    """A matplotlib figure: log10 ratios over time of the systems that are ever high, and the threshold."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(8, 3.6), layout="constrained")
    axes = made.add_subplot()
    middles = (windows.starts + windows.ends) / 2
    order = np.argsort(-windows.log10_lr.max(axis=0), kind="stable")[:LINES]
    for system, colour in zip(order, COLOURS, strict=False):
        values = bounds(windows, bank)[:, system]
        axes.plot(middles, values, "o-", color=colour, markersize=3, linewidth=1.4, label=bank.systems[system])
    limit = min(bank.calibration.threshold, bank.calibration.identify.high) / np.log(10)
    axes.axhline(limit, color="black", linestyle="--", linewidth=0.9, label="threshold")
    axes.set(xlabel="seconds", ylabel="log10 LR against another system", xlim=(0, windows.ends[-1]))
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(True, linewidth=0.4, alpha=0.6)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


def draw_segments(windows: Windows, bank: Bank, path: str | Path, title: str) -> None:
    """The figure as a PNG file."""
    with atomic_write(path) as temporary:
        figure(windows, bank, title).savefig(temporary, format="png", dpi=130)
