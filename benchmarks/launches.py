"""Operations that the host launches at each training step, counted without a GPU. Run: python -m benchmarks.launches

The trainer's own step runs on torch's fake tensors. Counted is what torch dispatches and what computes something: views
and empty memory are free. A GPU starts at least one kernel for each. With --cuda_graph all of them are one launch, and
what is left are the batch, the rate and the results on their way (a test counts those).
"""

import argparse
import tempfile
from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu_memory import as_on_cuda, fake_trainer
from benchmarks.wav2vec2aasist import small_config
from models._ssl_weights import XLS_R_300M

FREE = ("empty", "detach", "alias", "lift_fresh", "_unsafe_view", "new_empty")


class Launches(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._overloadpacket.__name__
        if function.namespace == "aten" and not function.is_view and not name.startswith(FREE):
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def of_a_step(**values: object) -> Counter:
    """Operations of the second step with these options of the trainer, by name."""
    with fake_trainer(2, **values) as (made, batch), as_on_cuda():
        made.step(batch, 1e-4)
        with Launches() as found:
            made.step(batch, 1e-4)
    return found.counts


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--small", action="store_true", help="a toy speech model, to see that everything runs")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = small_config(folder) if options.small else XLS_R_300M
        speech = {"model": "Wav2Vec2AASIST", "ssl_path": path, "ssl_init": "random"}
        networks = {
            "ThinResNet34": {},
            "XLS-R 300M + AASIST": speech,
            "the same, frozen": speech | {"freeze_ssl": True},
        }
        print("| step in bfloat16 | operations | the most frequent |\n| --- | --- | --- |")
        for name, values in networks.items():
            counts = of_a_step(mixedprec=True, **values)
            most = ", ".join(f"{count} {what}" for what, count in counts.most_common(4))
            print(f"| {name} | {counts.total():,} | {most} |", flush=True)


if __name__ == "__main__":
    main()
