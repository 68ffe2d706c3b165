"""Train a source-tracing network, or score one.

Run: python trainSpeakerNet.py --config configs/demo.yaml, with --eval --initial_model M to score checkpoint M, and on
several GPUs or machines: torchrun --nproc_per_node N trainSpeakerNet.py --config ...
"""

import errno
import logging
import sys
from contextlib import nullcontext

from tqdm import tqdm

from engine.checkpoints import recorded_config
from engine.devices import find_device, set_determinism
from engine.distributed import process_group, rank
from engine.experiment import Experiment, logged_to
from engine.signals import Stopped
from evaluation import score_lists
from settings.errors import UserError
from settings.options import Config
from settings.resolve import resolve
from training import train

log = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # wherever it strikes, a disk is not the program's fault


class Console(logging.Handler):
    """Results on the standard output, warnings and errors on the standard error, progress bars left whole."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when what was asked was done, 2 on a user's mistake, 128 + signal when stopped."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[Console()], force=True)
    try:
        config = resolve(argv, recorded=recorded_config)
        set_determinism(config.deterministic)
        with process_group(find_device(config.device)):
            return run(config)
    except UserError as mistake:
        log.error("error: %s", mistake)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        log.error("error: %s; what was saved before is kept, and the same command goes on from there", error)
    return 2


def run(config: Config) -> int:
    """Train or score; what is said goes to the log too, and process 0 alone says it."""
    if rank():
        logging.getLogger().setLevel(logging.ERROR)
    with logged_to(Experiment(config.save_path).results / "scores.txt") if rank() == 0 else nullcontext():
        try:
            score_lists(config) if config.eval else train(config)
        except UserError as mistake:
            log.error("error: %s", mistake)
            return 2
        except Stopped as stop:
            log.warning("%s; the same command goes on from here", stop)
            return stop.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
