"""CUDA graphs on the CPU: what a step dispatches is recorded with the tensors themselves, and replayed into them.

As on a GPU, a recording computes nothing that lasts, holds every number of the host as it was, and knows of later steps
only what is in the memory that it reads; and to read a value while it is made is an error.
"""

import contextlib
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

FORBIDDEN = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


def tensors(*trees) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(trees) if isinstance(leaf, torch.Tensor)]


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """`F.one_hot`, which on a GPU, other than on the CPU, reads no value to check it."""
    return (labels[..., None] == torch.arange(classes)).long()


def same_memory(tree):
    """The tree with each tensor as it is now: an operation in place may give it another shape."""
    return tree_map(lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf, tree)


class RecordedGraph(TorchDispatchMode):
    """`torch.cuda.CUDAGraph`"""

    def __init__(self):
        super().__init__()
        self.calls, self.before, self.made, self.replays = [], {}, set(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in FORBIDDEN:
            raise RuntimeError("operation not permitted when stream is capturing\nand more lines of it")
        for tensor in tensors(args, kwargs):
            where = tensor.untyped_storage().data_ptr()
            if where not in self.before and where not in self.made:
                self.before[where] = (tensor.untyped_storage(), tensor.untyped_storage().clone())
        given = same_memory((args, kwargs))
        result = function(*args, **kwargs)
        known = {tensor.untyped_storage().data_ptr() for tensor in tensors(args, kwargs)}
        self.made |= {tensor.untyped_storage().data_ptr() for tensor in tensors(result)} - known
        self.calls.append((function, given, same_memory(result)))  # which keeps the memory, too
        return result

    def undo(self) -> None:
        """What the recording computed did not happen."""
        for storage, value in self.before.values():
            storage.copy_(value)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for function, given, result in self.calls:
            args, kwargs = same_memory(given)
            for place, value in zip(tensors(result), tensors(function(*args, **kwargs)), strict=True):
                if place.data_ptr() != value.data_ptr():
                    place.copy_(value)


class Stand:
    """What `torch.cuda` has for graphs. `fails`: a recording ends with this error, as where a step reads a value."""

    def __init__(self):
        self.graphs, self.streams, self.fails, self.state = [], [], None, None
        self.default_generators = [SimpleNamespace(graphsafe_set_state=lambda fresh: setattr(self, "state", fresh))]

    def graph(self, graph: RecordedGraph, stream, capture_error_mode: str):
        @contextlib.contextmanager
        def recording():
            assert capture_error_mode == "thread_local" and stream is not None
            drawn = torch.get_rng_state()
            self.streams.append("left behind")
            try:
                with graph:
                    yield
            finally:
                graph.undo()
                torch.set_rng_state(drawn)  # a recording takes no numbers from torch's generator
            if self.fails:
                raise RuntimeError(self.fails)
            self.streams.pop()
            self.graphs.append(graph)

        return recording()

    def install(self, patch) -> "Stand":
        stream = SimpleNamespace(wait_stream=lambda other: None)  # noqa: ARG005
        patch.setattr(torch.cuda, "CUDAGraph", RecordedGraph)
        patch.setattr(torch.cuda, "graph", self.graph)
        patch.setattr(torch.cuda, "Stream", lambda device: stream)  # noqa: ARG005
        patch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())  # noqa: ARG005
        patch.setattr(torch.cuda, "current_stream", lambda device: stream)  # noqa: ARG005
        patch.setattr(torch.cuda, "set_stream", lambda stream: self.streams.clear())  # noqa: ARG005
        patch.setattr(torch.cuda, "set_sync_debug_mode", self.watch)
        patch.setattr(torch.cuda, "initial_seed", torch.initial_seed)
        patch.setattr(torch.cuda, "manual_seed", torch.manual_seed)
        patch.setattr(torch.cuda, "default_generators", self.default_generators)
        patch.setattr(torch.nn.functional, "one_hot", one_hot)
        return self

    def watch(self, mode: str) -> None:
        self.watching = mode
