"""EER by condition: seen or unseen system × seen or unseen language, each with an interval over systems."""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit, logit

import scoring
from analysis.embeddings import Embeddings
from analysis.probing import undersample
from tuneThreshold import ScoringError

LEVEL = 0.95
FEWEST = 5  # systems: fewer say nothing of how systems differ
PER_SYSTEM = 60  # utterances of each system are enough to see how much one system moves the EER


@dataclass(frozen=True)
class ConditionError:
    """Fractions; `interval` is None where there are too few systems, `eer` where there are not both kinds of trials."""

    name: str
    utterances: int
    systems: int
    eer: float | None
    macro_eer: float | None
    interval: tuple[float, float] | None


def conditions(embeddings: Embeddings, systems: list[str], languages: list[str]) -> list[str]:
    """N names of conditions, from what training has seen; the list's own where that is not known (`systems` empty)."""
    if not systems:
        return embeddings.conditions
    return [
        f"{seen(system, systems)} system"
        + (f", {seen(language, languages)} language" if language and languages else "")
        for system, language in zip(embeddings.systems, embeddings.languages, strict=True)
    ]


def seen(name: str, known: list[str]) -> str:
    return "seen" if name in known else "unseen"


def by_condition(embeddings: Embeddings, names: list[str], progress=iter) -> list[ConditionError]:
    """The error of all utterances and of each condition alone, trials within it; conditions in alphabetical order."""
    everything = np.arange(len(embeddings))
    groups = {"all": everything}
    groups |= {name: np.flatnonzero(np.array(names) == name) for name in sorted(set(names) - {""})}
    return [condition_error(name, embeddings.take(rows)) for name, rows in progress(groups.items())]


def condition_error(name: str, embeddings: Embeddings) -> ConditionError:
    """One condition's EERs."""
    systems = len(embeddings.classes())
    try:
        results = evaluate(embeddings)
    except ScoringError:  # one system, or one utterance of each
        return ConditionError(name, len(embeddings), systems, None, None, None)
    interval = jackknife(embeddings, results["eer"])
    return ConditionError(name, len(embeddings), systems, results["eer"], results["macro_eer"], interval)


def evaluate(embeddings: Embeddings) -> dict:
    return scoring.evaluate(embeddings.vectors, embeddings.systems, names=embeddings.paths)


def jackknife(embeddings: Embeddings, eer: float) -> tuple[float, float] | None:
    """95 % interval of an EER for other systems of the same kind: leave each system out in turn (Tukey's jackknife).

    Utterances of one system are alike, so it is systems that vary, not trials. On log-odds, to stay a rate; Student's
    t, for the few systems there are. At most PER_SYSTEM utterances of each are looked at.
    """
    labels = embeddings.labels()
    systems = labels.max() + 1
    if systems < FEWEST:
        return None
    part = embeddings.take(undersample(labels, PER_SYSTEM, seed=0))
    labels = part.labels()
    try:
        without = [evaluate(part.take(np.flatnonzero(labels != system)))["eer"] for system in range(systems)]
    except ScoringError:
        return None
    odds = logit(np.clip(without, 1e-6, 1 - 1e-6))
    deviation = np.sqrt((systems - 1) * np.var(odds))
    reach = stats.t.ppf((1 + LEVEL) / 2, systems - 1) * deviation
    centre = logit(np.clip(eer, 1e-6, 1 - 1e-6))
    return float(expit(centre - reach)), float(expit(centre + reach))
