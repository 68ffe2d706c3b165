"""A speech model's folder from a stranger: nothing in it is run, and its mistakes are one sentence."""

import io
import json
import pickle

import pytest
import torch
from transformers import Wav2Vec2Config

from models._ssl_weights import load
from settings.errors import ConfigError

EVIL = """import pathlib
from transformers import Wav2Vec2Config as C, Wav2Vec2Model as M
pathlib.Path({marker!r}).touch()
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder whose config.json names code beside it, and somebody at the keyboard who agrees to everything."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 50))
    folder = tmp_path / "model"
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    Wav2Vec2Config(**small, conv_dim=[16] * 7).save_pretrained(folder)
    marker = tmp_path / "owned"
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))

    def make(**changes):
        content = json.loads((folder / "config.json").read_text())
        content |= {"auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}} | changes
        (folder / "config.json").write_text(json.dumps(content))
        return str(folder), marker

    return make


@pytest.mark.parametrize("changes", [{}, {"model_type": "evil"}, {"architectures": ["Evil"]}])
@pytest.mark.parametrize("pretrained", [False, True])
def test_code_beside_a_model_is_never_run(hostile, changes, pretrained):
    folder, marker = hostile(**changes)
    try:
        load(folder, pretrained)
    except ConfigError as error:
        assert "\n" not in str(error) and folder in str(error)
    assert not marker.exists()


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_pickled_weights_that_would_run_code_are_refused(hostile):
    folder, marker = hostile()
    torch.save({"encoder.layer_norm.weight": Attack(marker)}, f"{folder}/pytorch_model.bin", pickle_module=pickle)
    with pytest.raises(ConfigError, match="its weights cannot be loaded"):
        load(folder, pretrained=True)
    assert not marker.exists()
