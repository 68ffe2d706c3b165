"""A graph's weights as 8-bit integers; the features' transforms stay as they are.

A network of convolutions gets its activations' ranges from utterances that are run through it. A transformer's matrix
products find theirs as they go, since nothing is gained there by knowing them.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from exporting.packages import need
from exporting.session import Session

UTTERANCES = 64  # that calibrate: ranges change little beyond
PRODUCTS = ("MatMul", "Gemm")
FEATURES = (".fourier_kernel", ".mel_weights")  # the buffers of `real_features`


def is_convolutional(path: Path) -> bool:
    """Whether most weights of a graph belong to convolutions."""
    onnx = need("onnx")
    graph = onnx.load(path).graph
    size = {item.name: len(item.raw_data) for item in graph.initializer}
    by_kind = dict.fromkeys(("Conv", *PRODUCTS), 0)
    for node in graph.node:
        if node.op_type in by_kind:
            by_kind[node.op_type] += 0 if is_feature(node) else sum(size.get(name, 0) for name in node.input)
    return by_kind["Conv"] > sum(by_kind[kind] for kind in PRODUCTS)


def write_int8(session: Session, source: Path, path: Path, waveforms: Sequence) -> None:
    """The graph `source`, which `session` runs, in 8 bits; `waveforms` (T,) calibrate it, where it needs that."""
    need("onnxruntime")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        """The graph's inputs, one utterance at a time."""

        def __init__(self):
            self.feeds = iter([session.feed(waveform) for waveform in waveforms])

        def get_next(self) -> dict | None:
            return next(self.feeds, None)

    with TemporaryDirectory() as folder, quiet():
        fused = Path(folder) / "fused.onnx"
        quant_pre_process(source, fused, skip_symbolic_shape=True)
        features = [node.name for node in need("onnx").load(fused).graph.node if is_feature(node)]
        common = {"weight_type": quantization.QuantType.QInt8, "per_channel": True, "nodes_to_exclude": features}
        if waveforms:
            quantization.quantize_static(fused, path, Reader(), op_types_to_quantize=["Conv"], **common)
        else:
            quantization.quantize_dynamic(fused, path, op_types_to_quantize=list(PRODUCTS), **common)


def is_feature(node: object) -> bool:
    """Whether a node is a transform of the waveform, not of the network's."""
    return any(name.endswith(FEATURES) for name in node.input)


class quiet:
    """Without onnxruntime's advice, which it gives through the root logger."""

    def __enter__(self) -> None:
        self.before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *error: object) -> None:
        logging.disable(self.before)
