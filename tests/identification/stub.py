"""A model that needs no training: the power in bands of a waveform's spectrum, by which tests' tones differ."""

from types import SimpleNamespace

import numpy as np

from corpus.filters import AudioFilters
from identification.enrol import new_bank
from scoring.backends import learn
from settings.errors import DataError

BANDS = 24


class StubModel:
    """What identification needs of a `TracingModel`."""

    def __init__(self, digest: str = "d1"):
        self.digest, self.classes, self.languages = digest, ["system 0", "system 1"], ["a"]
        self.config, self.filters = SimpleNamespace(nOut=BANDS), AudioFilters()
        self.most_at_once = 0

    def embed_waveforms(self, waveforms):
        self.most_at_once = max(self.most_at_once, sum(map(len, waveforms)))
        if any(len(samples) < 2000 for samples in waveforms):
            raise DataError("a waveform is too short for this model")
        return np.stack([self.bands(samples) for samples in waveforms])

    def bands(self, samples):
        power = np.square(np.abs(np.fft.rfft(samples[: 8000 if len(samples) > 8000 else None], 8000)))[:2400]
        return np.log10(power.reshape(BANDS, -1).mean(axis=1) + 1e-3).astype(np.float32) - 1


def clouds(systems=8, each=12, dimensions=16, seed=0, first=0, spread=0.5):
    """Embeddings (N, D), labels and paths of systems that are clouds around random directions; the same for a seed."""
    random = np.random.default_rng([seed, first])
    centres = np.random.default_rng(99).standard_normal((40, dimensions))[first : first + systems]
    codes = np.repeat(np.arange(systems), each)
    rows = centres[codes] + spread * random.standard_normal((systems * each, dimensions))
    labels = [f"s{first + code:02}" for code in codes]
    return rows.astype(np.float32), labels, [f"{label}/{seed}_{n}.wav" for n, label in enumerate(labels)]


def made_bank(backend="cosine", scorer=None, systems=8, **options):
    """A bank of clouds, not calibrated."""
    rows, labels, paths = clouds(systems)
    learned = learn(backend, rows, np.array(labels), checkpoint="d1")
    scorer = scorer or ("plda" if backend == "plda" else "centroid")
    return new_bank(rows, labels, paths, backend=learned, checkpoint="d1", model="m.model", scorer=scorer, **options)
