"""A model card: what a model is, what it learned from, its error rates, what it is for and what it is not."""

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from settings.resolve import experiment_of

if TYPE_CHECKING:
    from SpeakerNet import TracingModel

LIBRARY, PIPELINE = "source-tracing", "audio-classification"
TAGS = ("source-tracing", "audio-deepfake-detection", "text-to-speech", "audio-embedding")
TERMS_UNKNOWN = "Not stated. Whoever passes this model on should say what it was trained on, and under which terms."

TEXT = """\
# {title}

An encoder for source tracing: it says which speech generator (TTS system) a recording is most like. An utterance
becomes an embedding of {dimension} numbers; the cosine of two embeddings says how alike their systems are.

| | |
| --- | --- |
| encoder | {model}, {parameters:,} parameters |
| loss | {loss} |
| input | mono speech at 16 kHz, 0.1 s or longer, as float32 in [-1, 1] |
| output | embedding of {dimension} numbers{logits} |
| checkpoint | `{digest}` |

```python
from SpeakerNet import load_model

model = load_model("{folder}")  # this folder, or its name on the hub
embeddings = model.embed(["a.wav", "b.wav"])  # (2, {dimension})
```

## Training data

{terms}

{count} systems: {systems}.

Languages: {languages}.

## Evaluation

{results}

## Intended use

Research on and screening of synthetic speech: which known generator is a recording most like, and do two recordings
come from one generator? A score is evidence for whoever looks further, not a decision.

## Limits

- Not validated for court use. A cosine is no likelihood ratio, and no error rate above was measured on casework.
- Systems and languages that training has not seen are separated less well; human speech is not among the systems.
- Most systems are represented by few voices: part of what separates them may be the voice.
- Compression, noise, reverberation and playback change the scores; the error rates above cover them only where a list
  does.
"""


@dataclass(frozen=True)
class Card:
    """The card of a model.

    `checkpoint`: its file, beside which the run's results lie. `license`: a name the hub knows. `datasets`: names of
    the training data. `terms`: what the training data is and under which licence, in a sentence.
    """

    model: "TracingModel"
    checkpoint: str
    folder: str
    license: str = "other"
    datasets: list[str] = field(default_factory=list)
    terms: str = ""

    def text(self) -> str:
        """The card: YAML for the hub, Markdown for people."""
        model, config = self.model, self.model.config
        with_logits = hasattr(model.net.loss, "logits") and model.classes
        body = TEXT.format(
            title=f"{config.model} for speech source tracing",
            model=config.model,
            parameters=model.size,
            loss=config.trainfunc,
            dimension=config.nOut,
            logits=f"; logits of {len(model.classes)} systems" if with_logits else "",
            digest=model.digest,
            folder=self.folder,
            terms=self.terms or TERMS_UNKNOWN,
            count=len(model.classes) or "Unknown",
            systems=", ".join(map(plain, model.classes)) or "not recorded",
            languages=", ".join(map(plain, model.languages)) or "not recorded",
            results=results_table(self.checkpoint),
        )
        return f"---\n{yaml.safe_dump(self.metadata(), sort_keys=False, allow_unicode=True)}---\n\n{body}"

    def metadata(self) -> dict:
        """What the hub sorts models by."""
        codes = [language for language in self.model.languages if re.fullmatch("[a-z]{2,3}", language)]
        found = {
            "library_name": LIBRARY,
            "pipeline_tag": PIPELINE,
            "license": self.license,
            "language": codes,
            "datasets": self.datasets,
            "tags": [*TAGS, self.model.config.model, "pytorch_model_hub_mixin", "model_hub_mixin"],
            "metrics": ["eer"],
        }
        return {name: value for name, value in found.items() if value}


def results_table(checkpoint: str) -> str:
    """The error rates that the run has measured of this very checkpoint, as a Markdown table."""
    rows = []
    for path in sorted((Path(experiment_of(checkpoint)) / "result").glob("eval_*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if Path(found.get("checkpoint", "")).name == Path(checkpoint).name and "eer" in found:
            rows.append(row(found))
    if not rows:
        return "The run has no results of this checkpoint."
    head = ("| list | utterances | systems | EER (95 % interval over systems) | macro EER |", "| --- " * 5 + "|")
    note = (
        "EER over all pairs of a list: pooled, where every pair counts once, and macro, where every system counts the "
        "same.\nThe lists and conditions are those of the run."
    )
    return "\n".join([*head, *rows, "", note])


def row(found: dict) -> str:
    """A list's results as a row."""
    interval = (found.get("intervals") or {}).get("eer") or (math.nan, math.nan)
    spread = f" ({interval[0]:.2%} to {interval[1]:.2%})" if all(map(math.isfinite, interval)) else ""
    rates = f"{found['eer']:.2%}{spread} | {found['macro_eer']:.2%}"
    return f"| {plain(Path(found['list']).name)} | {found['utterances']:,} | {found['systems']} | {rates} |"


def plain(text: str) -> str:
    """Text that Markdown takes as it stands."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))
