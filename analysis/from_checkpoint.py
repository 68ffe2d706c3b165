"""Embeddings of a list straight from a checkpoint, as --eval --save_embeddings would write them."""

from analysis.embeddings import Embeddings
from DatasetLoader import open_list
from evaluation import embed as embed_list
from SpeakerNet import load_model


def embed(checkpoint: str, path: str, root: str, device: str = "auto") -> Embeddings:
    """Embed the list `path`, whose paths start from the folder `root`, as the checkpoint was trained and scored.

    Raises
    ------
    ConfigError
        The checkpoint cannot be used, or the list or any of its files.
    """
    model = load_model(checkpoint, device)
    data = open_list(model.config, path, root)
    table = data.table
    return Embeddings(embed_list(model, data), table.systems, table.paths, table.languages, table.conditions)
