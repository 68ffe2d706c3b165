"""Embeddings of a list straight from a checkpoint, as --eval --save_embeddings would write them."""

from analysis.embeddings import Embeddings
from DatasetLoader import open_list
from engine import checkpoints
from engine.devices import find_device
from evaluation import embed as embed_list
from settings import resolve
from SpeakerNet import ModelTrainer, SpeakerNet


def embed(checkpoint: str, path: str, root: str, device: str = "auto") -> Embeddings:
    """Embed the list `path`, whose paths start from the folder `root`, as the checkpoint was trained and scored.

    Raises
    ------
    ConfigError
        The checkpoint cannot be used, or the list or any of its files.
    """
    words = ["--eval", "--initial_model", checkpoint, "--test_list", path, "--test_path", root, "--device", device]
    settings = resolve.resolve(words, recorded=checkpoints.recorded_config)
    classes = checkpoints.read(checkpoint).get("classes", [])
    net = SpeakerNet(settings, max(2, len(classes)))
    trainer = ModelTrainer(net, settings, find_device(settings.device))
    trainer.loadParameters(checkpoint)
    data = open_list(settings, path, root)
    table = data.table
    return Embeddings(embed_list(trainer, data), table.systems, table.paths, table.languages, table.conditions)
