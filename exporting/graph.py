"""An encoder as an ONNX graph: of a waveform, or of the filter banks that a runtime computes itself."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from corpus.audio import SAMPLE_RATE
from exporting.packages import need
from exporting.real_features import with_real_features
from models._fbank import BANDS, KaldiFbank
from settings.errors import ConfigError

if TYPE_CHECKING:
    from SpeakerNet import TracingModel

OPSET, IR_VERSION = 18, 8  # what runtimes of the last years read; nothing newer is needed
LARGEST = 2**31 - 1  # bytes of one ONNX file: protobuf's limit


class FromWaveform(nn.Module):
    """Waveform (B, T) to embedding (B, D) and, where the loss has class weights, logits (B, C)."""

    inputs, outputs = ("waveform",), ("embedding", "logits")

    def __init__(self, model: "TracingModel"):
        super().__init__()
        self.encoder = with_real_features(model.encoder)
        if getattr(self.encoder, "cache", None):
            self.encoder.cache = None  # of hidden states, on this machine's disk
        self.loss = model.net.loss.eval() if hasattr(model.net.loss, "logits") else None
        self.systems = len(model.classes) if model.copies else None  # whose logits come first

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """(B, T) to (B, D), or to that and (B, C)."""
        embedding = self.encoder(waveform)
        return (embedding,) if self.loss is None else (embedding, self.loss.logits(embedding)[:, : self.systems])

    def example(self) -> Tensor:
        """A batch to trace."""
        return 0.1 * torch.randn(2, 2 * SAMPLE_RATE)


class FromFilterBanks(nn.Module):
    """Kaldi's filter banks (B, F, 80), their mean subtracted or not, to embedding (B, D).

    Raises ConfigError where the encoder was trained on something else.
    """

    inputs, outputs = ("feats",), ("embs",)

    def __init__(self, model: "TracingModel"):
        super().__init__()
        if not isinstance(getattr(model.encoder, "torchfb", None), KaldiFbank):
            raise ConfigError(
                "sherpa-onnx and wespeaker compute filter banks, which this model has not learned from: "
                "train ThinResNet34 with --features fbank80 (or fbank80_hamming), or export it with --format onnx"
            )
        self.encoder = model.encoder.eval()

    def forward(self, feats: Tensor) -> tuple[Tensor]:
        """(B, F, 80) to (B, D)."""
        return (self.encoder.embed(self.encoder.normalised(feats.transpose(1, 2))),)

    def example(self) -> Tensor:
        """A batch to trace."""
        return torch.randn(2, 200, BANDS)


def write_graph(network: FromWaveform | FromFilterBanks, path: Path, metadata: dict[str, str]) -> None:
    """The network as an ONNX file for any B and T, checked for its form.

    Raises ConfigError where the network cannot be traced, or is larger than a file of ONNX may be.
    """
    onnx = need("onnx")
    need("onnxscript")
    size = sum(p.numel() * p.element_size() for p in (*network.parameters(), *network.buffers()))
    if size > LARGEST:
        raise ConfigError(f"{size / 1e9:.1f} GB of weights are more than an ONNX file holds (2 GB): --format hf")
    # A second output is there only where the loss has class weights.
    outputs = network.outputs if getattr(network, "loss", None) is not None else network.outputs[:1]
    with quiet_exporter():
        try:
            program = torch.onnx.export(
                network.eval(),
                (network.example(),),
                dynamo=True,
                opset_version=OPSET,
                input_names=network.inputs,
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ConfigError(f"the model cannot be traced into a graph: {innermost(error)}") from error
    graph = program.model_proto
    tidy(graph, network.inputs[0])
    graph.ir_version = IR_VERSION
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def innermost(error: BaseException) -> str:
    """What began a chain of errors, in one line."""
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split())[:300]


def tidy(graph: object, name: str) -> None:
    """Drop what the tracer noted of this machine's files, and call the dynamic dimensions B and T."""
    del graph.metadata_props[:]
    main = graph.graph
    given = next(value for value in main.input if value.name == name)
    names = {dim.dim_param: letter for dim, letter in zip(given.type.tensor_type.shape.dim, "BT", strict=False)}
    values = [*main.input, *main.output, *main.value_info]
    for item in (main, *main.node, *main.initializer, *values):
        del item.metadata_props[:]
        item.doc_string = ""
    for value in values:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Without the tracer's remarks on packages that are not needed here, and on torch's own code."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
            yield
    finally:
        log.setLevel(level)


def described(model: "TracingModel") -> dict[str, str]:
    """What the graph says of itself, as ONNX metadata: text by name; lists as JSON."""
    return {
        "model": model.config.model,
        "output_dim": str(model.config.nOut),
        "sample_rate": str(SAMPLE_RATE),
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "languages": json.dumps(model.languages, ensure_ascii=False),
        "checkpoint": model.digest,
    }


def described_for_runtimes(model: "TracingModel") -> dict[str, str]:
    """The same, and what sherpa-onnx reads (`csrc/speaker-embedding-extractor-model.cc`); it ends where a key lacks."""
    return described(model) | {
        "framework": "wespeaker",
        "language": ", ".join(model.languages) or "unknown",
        "normalize_samples": "0",  # waveforms of 16-bit integers, as Kaldi has them
        "feature_normalize_type": "global-mean",
        "features": model.encoder.torchfb.name,
    }
