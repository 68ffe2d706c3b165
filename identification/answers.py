"""A recording's scores to an answer: ranked systems with likelihood ratios, or that it is none of them."""

import csv
import io
from dataclasses import dataclass

import numpy as np

from identification.bank import Bank
from identification.calibration import Calibration
from identification.recordings import Recording
from identification.words import UNKNOWN
from settings.errors import DataError
from settings.files import read_text
from settings.text import enumerated

LARGEST = 1 << 24  # bytes of a prior
ANOTHER = "another system"


@dataclass(frozen=True)
class Candidate:
    """A system in the ranking. Ratios are log10, None without a calibration; `at_bound`: no more is supported."""

    system: str
    score: float
    log10_lr: float | None = None
    low: float | None = None
    high: float | None = None
    posterior: float | None = None
    at_bound: bool = False


@dataclass(frozen=True)
class Answer:
    """What is said of one recording.

    Attributes
    ----------
    path, seconds, remarks, reason : of the recording; with a reason there is nothing else
    verdict : the system that is named, `UNKNOWN`, or "" where nothing can be: no calibration, or a reason
    candidates : systems, the most likely first
    unknown_posterior : of none of the bank's systems
    against : log10 ratio of two systems that were asked for, with the ends of its interval
    nearest : path, system, cosine of the bank's nearest files
    """

    path: str
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    reason: str = ""
    verdict: str = ""
    candidates: tuple[Candidate, ...] = ()
    unknown_posterior: float | None = None
    against: tuple[float, float, float] | None = None
    nearest: tuple[tuple[str, str, float], ...] = ()


def answer(
    bank: Bank,
    recording: Recording,
    scores: np.ndarray,
    *,
    prior: np.ndarray | None = None,
    top: int = 5,
    against: tuple[str, str] | None = None,
    language: str = "",
    nearest: list = (),
) -> Answer:
    """The answer to one recording with scores (S,) against the bank.

    Parameters
    ----------
    prior : (S + 1,) of the bank's systems and, last, of none of them; None for no posterior
    top : how many systems to rank
    against : two systems whose ratio is wanted
    language : that is spoken, where it is known
    nearest : of `identification.scores.nearest`
    """
    calibration, order = bank.calibration, np.argsort(-scores, kind="stable")
    known = {"path": recording.path, "seconds": recording.seconds, "nearest": tuple(nearest)}
    if calibration is None:
        found = tuple(Candidate(bank.systems[s], float(scores[s])) for s in order[:top])
        return Answer(**known, remarks=recording.remarks, candidates=found)
    ratios = calibration.identify
    log10, (low, high) = ratios.log10(scores), ratios.interval(scores)
    posterior = None if prior is None else posteriors(log10, prior)
    found = tuple(
        Candidate(
            bank.systems[s],
            float(scores[s]),
            float(log10[s]),
            float(low[s]),
            float(high[s]),
            None if posterior is None else float(posterior[s]),
            ratios.at_bound(scores[s]),
        )
        for s in order[:top]
    )
    return Answer(
        **known,
        remarks=(*recording.remarks, *language_remarks(calibration, language)),
        verdict=bank.systems[order[0]] if ratios.natural(scores[order[0]]) >= calibration.threshold else UNKNOWN,
        candidates=found,
        unknown_posterior=None if posterior is None else float(posterior[-1]),
        against=None if against is None else two_systems(bank, scores, *against),
    )


def language_remarks(calibration: Calibration, language: str) -> list[str]:
    """What is to be said of a language that the calibration list does not have; nothing where none is known."""
    known = calibration.about["languages"]
    if not language or not known or language in known:
        return []
    return [f"the calibration list has no {language}: its ratios need not hold for this language"]


def posteriors(log10_lr: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(S + 1,) posterior of each system and, last, of none of them.

    A ratio is of a system against another one; it is taken for the ratio against none of the bank's systems, too, for
    which the ratio is 1. That is an approximation: the "other" systems of a calibration are of both kinds.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(prior) + np.append(log10_lr, 0.0) * np.log(10)
    odds = np.exp(logs - logs.max())
    return odds / odds.sum()


def two_systems(bank: Bank, scores: np.ndarray, first: str, second: str) -> tuple[float, float, float]:
    """Log10 ratio of one system against another, and its interval: the difference of their two ratios, bounded."""
    ratios = bank.calibration.identify
    apart = scores[bank.number(first)] - scores[bank.number(second)]
    slopes = ratios.drawn[:, 0] if len(ratios.drawn) else np.array([ratios.line.slope])
    value = np.clip(ratios.line.slope * apart, ratios.low, ratios.high)
    low, high = np.clip(np.percentile(slopes * apart, [2.5, 97.5]), ratios.low, ratios.high)
    tens = np.array([value, min(low, value), max(high, value)]) / np.log(10)
    return float(tens[0]), float(tens[1]), float(tens[2])


def read_prior(bank: Bank, source: str) -> np.ndarray:
    """(S + 1,) prior of the bank's systems and of none of them: "uniform", or a CSV file `system,prior`.

    Raises DataError where the file does not give every system and `unknown` a share, or the shares do not sum to one.
    """
    if source == "uniform":
        return np.full(len(bank.systems) + 1, 1 / (len(bank.systems) + 1))
    try:
        rows = csv.DictReader(io.StringIO(read_text(source, LARGEST, DataError), newline=""))
        shares = {row["system"].strip(): float(row["prior"]) for row in rows}
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error):
        raise DataError(f"{source}: a prior has the columns system,prior, the second of them numbers") from None
    names = [*bank.systems, UNKNOWN]
    missing, strange = sorted(set(names) - shares.keys()), sorted(shares.keys() - set(names))
    if missing or strange:
        what = f"no row for {enumerated(missing)}" if missing else f"not enrolled: {enumerated(strange)}"
        raise DataError(f"{source}: {what}; a prior has a row for every system of the bank and one for {UNKNOWN}")
    prior = np.array([shares[name] for name in names])
    if not (prior >= 0).all() or abs(prior.sum() - 1) > 1e-6:
        raise DataError(f"{source}: priors are shares of 0 or more that sum to 1, not to {prior.sum():g}")
    return prior / prior.sum()
