"""Made-up embeddings for the tests of the analyses: seeded clusters in MLAAD's layout, with long names."""

import numpy as np

from analysis import embeddings as saved


def clusters(systems: int = 4, each: int = 30, dimension: int = 16, spread: float = 0.3, seed: int = 0):
    """`each` utterances of each of `systems` systems around a random centre; languages alternate, conditions too."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(systems, dimension))
    names = [f"tts_models/multilingual/multi-dataset/system_v{s}" for s in range(systems) for _ in range(each)]
    vectors = np.repeat(centres, each, axis=0) + spread * random.normal(size=(systems * each, dimension))
    languages = ["en" if i % 2 else "de" for i in range(len(names))]
    paths = [f"fake/{language}/{name}/{i}.wav" for i, (name, language) in enumerate(zip(names, languages, strict=True))]
    conditions = ["seen" if i % 3 else "unseen" for i in range(len(names))]
    return saved.Embeddings(vectors.astype(np.float32), names, paths, languages, conditions)
