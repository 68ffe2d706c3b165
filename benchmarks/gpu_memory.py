"""Memory that training of XLS-R 300M + AASIST takes on a GPU, counted without one. Run: python -m benchmarks.gpu_memory

The trainer's own step runs on torch's fake tensors, which have shapes and no values, and every piece of memory is
counted from its birth to its death, as torch's CUDA allocator rounds it. Not counted: CUDA itself and its libraries'
workspaces, and what fragments; ASIDE is left for them where the largest batch is looked for.
"""

import argparse
import contextlib
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from unittest import mock

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from benchmarks.training import SYSTEMS
from benchmarks.wav2vec2aasist import SAMPLES, small_config
from DatasetLoader import Batch
from models._ssl_weights import XLS_R_300M
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel

ROUNDING = 512  # bytes
GIB = 1 << 30
ASIDE = 1.5  # GiB
CARDS = (24, 40, 80)  # GB as they are sold, which are GiB
VARIANTS = {
    "fine-tuned": {},
    "fine-tuned, --grad_checkpointing": {"grad_checkpointing": True},
    "fine-tuned, --freeze_cnn": {"freeze_cnn": True},
    "frozen (--freeze_ssl)": {"freeze_ssl": True},
}


class PeakMemory(TorchDispatchMode):
    """Bytes alive `now`, and at most so far, of the tensors that operations returned or `see` was given."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            self.see(leaf)
        return result

    def see(self, tensor: object) -> None:
        """Count a tensor's memory, once, until nothing holds it any more."""
        if not isinstance(tensor, torch.Tensor) or (storage := tensor.untyped_storage()) in self.known:
            return
        size = -(-storage.nbytes() // ROUNDING) * ROUNDING
        self.known[storage] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.free, size)

    def free(self, size: int) -> None:
        self.now -= size


@contextlib.contextmanager
def as_on_cuda() -> Iterator[None]:
    """What a step does and keeps in memory on CUDA, where tensors are the CPU's.

    Autocast normalises in float32 there, and not here; dropout keeps a byte for each number; and the flash kernel of
    attention keeps a seed for its own, where the CPU, whose kernel has none, would keep all pairs of frames.
    """

    def widened(normalise):
        def call(x, *args, **kwargs):
            return normalise(x.float() if torch.is_autocast_enabled("cpu") else x, *args, **kwargs)

        return call

    def flash(q, k, v, dropout_p=0.0, **kwargs):  # noqa: ARG001
        return attention(q, k, v, **kwargs)

    def dropout(x, p=0.5, training=True, inplace=False):  # noqa: ARG001
        return torch.native_dropout(x, p, True)[0] if training and p else x

    attention = F.scaled_dot_product_attention
    patches = {"layer_norm": widened(F.layer_norm), "group_norm": widened(F.group_norm)}
    in_groups = mock.patch.object(_foreach_utils, "_get_foreach_kernels_supported_devices", lambda: ["cpu"])
    clip = mock.patch.object(torch.nn.utils, "clip_grad_norm_", partial(torch.nn.utils.clip_grad_norm_, foreach=True))
    with in_groups, clip, mock.patch.multiple(F, scaled_dot_product_attention=flash, dropout=dropout, **patches):
        yield


@dataclass(frozen=True)
class Taken:
    """Bytes: at most within a step, and between steps (weights, moments, and gradients)."""

    peak: int
    between: int


def of_training(batch_size: int, **values: object) -> Taken:
    """The memory of a training step in bfloat16, once Adam has its moments; `values`: the trainer's options."""
    with fake_trainer(batch_size, **values) as (made, batch), as_on_cuda(), PeakMemory() as memory:
        for tensor in (*made.net.parameters(), *made.net.buffers()):
            memory.see(tensor)
        made.step(batch, 1e-4)
        memory.peak = memory.now
        made.step(batch, 1e-4)
        return Taken(memory.peak, memory.now)


@contextlib.contextmanager
def fake_trainer(batch_size: int, **values: object) -> Iterator[tuple[ModelTrainer, Batch]]:
    """A trainer in bfloat16 with these options, in training, and a batch of 2 s for it, on fake tensors."""
    config = from_values({"train_list": "-", "nOut": 50} | values)
    place = torch.device("meta" if "ssl_path" in values else "cpu")  # what is large is made without values already
    with place:
        model = TracingModel(SpeakerNet(config, SYSTEMS), config, place, [], [])
    with FakeTensorMode():
        without_values(model.net)
        model.device = torch.device("cpu")
        made = ModelTrainer(model, [None])
        made.half = torch.bfloat16
        made.begin_epoch(0)
        yield made, Batch(torch.empty(batch_size, SAMPLES), torch.zeros(batch_size, dtype=torch.long), None)


def without_values(net: torch.nn.Module) -> None:
    """Every parameter and buffer, made on torch's meta device, becomes a fake one of the CPU's."""
    for module in net.modules():
        for name, p in module._parameters.items():
            if p is not None:
                fake = torch.empty_strided(p.shape, p.stride())
                module._parameters[name] = torch.nn.Parameter(fake, requires_grad=p.requires_grad)
        for name, b in module._buffers.items():
            if b is not None:
                module._buffers[name] = torch.empty_strided(b.shape, b.stride(), dtype=b.dtype)


def largest(limit: float, at: dict[int, int], measure) -> int:
    """The largest batch whose step takes at most `limit` bytes, 0 for none; `at`: sizes measured before, to bytes.

    Memory grows in proportion to the batch, or nearly so: what a line through two sizes says is measured and mended.
    """
    low, high = 0, None  # fits; does not
    while high is None or high - low > 1:
        (a, b), *_ = zip(sorted(at)[-2:-1], sorted(at)[-1:], strict=True)
        guess = int(a + (limit - at[a]) * (b - a) / (at[b] - at[a]))
        guess = max(low + 1, guess if high is None else min(guess, high - 1))
        if guess not in at:
            at[guess] = measure(guess)
        if at[guess] <= limit:
            low = guess
            if high is None and low + 1 not in at:
                at[low + 1] = measure(low + 1)
            if at.get(low + 1, limit) > limit:
                high = low + 1
        else:
            high = guess
    return low


def row(name: str, options: dict, batch_size: int, cards: tuple[int, ...], common: dict) -> str:
    """A line of the table."""
    measure = lambda size: of_training(size, **common, **options).peak  # noqa: E731
    taken = of_training(batch_size, **common, **options)
    at = {batch_size // 2: measure(batch_size // 2), batch_size: taken.peak}
    fits = [largest((card - ASIDE) * GIB, at, measure) for card in cards]
    cells = [f"{taken.between / GIB:.1f} GiB", f"{taken.peak / GIB:.1f} GiB", *map(str, fits)]
    return f"| {name} | " + " | ".join(cells) + " |"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--small", action="store_true", help="a toy speech model, to see that everything runs")
    options = parser.parse_args(argv)
    cards = (2, 3) if options.small else CARDS
    heads = [f"bfloat16, {SAMPLES / 16_000:.2f} s", "between steps", f"step at batch {options.batch_size}"]
    print("| " + " | ".join(heads + [f"largest batch at {card} GB" for card in cards]) + " |")
    print("| --- " * (3 + len(cards)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        path = small_config(folder) if options.small else XLS_R_300M
        common = {"model": "Wav2Vec2AASIST", "ssl_path": path, "ssl_init": "random", "mixedprec": True}
        for name, values in VARIANTS.items():
            print(row(name, values, options.batch_size, cards, common), flush=True)


if __name__ == "__main__":
    main()
