"""Plug-ins: a source says what an import says, a broken file hurts only who chooses it, **kwargs are followed."""

import sys

import pytest

from settings import plugins, static
from settings.errors import ConfigError
from settings.resolve import resolve
from settings.signatures import imported

OURS = [(folder, name) for folder in plugins.ENTRY for name in plugins.names(folder)]
TRAIN = ["--train_list", "train.csv"]
BROKEN = {
    "syntax": "def MainModel(nOut:\n",
    "missing": "import a_package_that_nobody_has\ndef MainModel(nOut): pass\n",
    "exits": "import sys\nsys.exit(3)\ndef MainModel(nOut): pass\n",
    "fails": "def MainModel(nOut): pass\n1 / 0\n",
    "latin": "# caf\xe9\ndef MainModel(nOut): pass\nx = '\xe9'\n",
    "absent": '"""\ndef MainModel\n"""\n',
    "annotated": "def MainModel(nOut, width: Nothing = 3): pass\n",
    "listed": "def MainModel(nOut, *, widths=[1, 2]): pass\n",
}


@pytest.fixture
def dropped(tmp_path, monkeypatch):
    """A function that drops a file into a folder models/ or loss/ on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)

    def drop(name: str, text: str, folder: str = "models") -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_bytes(text.encode("latin-1"))

    yield drop
    for module in [m for m in sys.modules if m.startswith(("models.", "loss."))]:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


def mistake(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve([*argv, *TRAIN])
    return str(caught.value)


def source(name: str, folder: str = "models"):
    return static.read(plugins.files(folder)[name], plugins.ENTRY[folder], folder, name)


@pytest.mark.parametrize(("folder", "name"), OURS)
def test_the_source_of_each_plugin_says_what_importing_it_says(folder, name):
    entry = plugins.load(folder, name)
    assert static.read(plugins.files(folder)[name], plugins.ENTRY[folder], folder, name) == imported(
        entry, folder, name
    )


WRITTEN = '''
from typing import Literal, Optional
from models.Shared import WIDTH, Base
DEEP = 3
class Middle(Base):
    """Parameters
    ----------
    rate : float
        of the middle
    """
class MainModel(Middle):
    min_utterances = 4
    """Nothing."""
    def __init__(self, nOut, a, b: int = WIDTH, *, deep=DEEP, rate: float = -1e-3, kind: Literal["x", "y"] = "y",
                 log: bool = True, path: str | None = "p", text: "str" = "t", free=0.5):
        pass
'''
SHARED = '''
from torch import nn
WIDTH = 7
class Base(nn.Module):
    """Parameters
    ----------
    deep, b : int
        of the base
    rate : float
        hidden by the middle's
    """
'''


def test_inheritance_constants_and_annotations_are_read_as_python_reads_them(dropped):
    dropped("Shared", SHARED)
    dropped("Written", WRITTEN)
    declared = source("Written")
    assert declared == imported(plugins.load("models", "Written"), "models", "Written")
    assert [(o.name, o.type, o.default, o.untyped) for o in declared.options] == [
        ("b", int, 7, False),
        ("deep", int, 3, True),
        ("rate", float, -1e-3, False),
        ("kind", str, "y", False),
        ("log", bool, True, False),
        ("path", str, "p", False),
        ("text", str, "t", False),
        ("free", float, 0.5, False),
    ]
    assert [o.help for o in declared.options][:3] == ["of the base", "of the base", "of the middle"]
    assert (declared.options[3].choices, declared.utterances) == (("x", "y"), 4)


@pytest.mark.parametrize(
    "text",
    [
        "from functools import partial\ndef f(nOut, width=3): pass\nMainModel = f\n",
        "def MainModel(nOut, width=3): pass\nMainModel = MainModel\n",
        "import functools\n@functools.lru_cache\ndef MainModel(nOut, width=3): pass\n",
        "def MainModel(nOut, width=1 + 2): pass\n",
        "from torch.nn import Linear\nclass MainModel(Linear):\n    def __init__(self, nOut, width=3): pass\n",
    ],
)
def test_what_a_source_does_not_say_in_so_many_words_is_imported(dropped, text):
    dropped("Odd", text)
    with pytest.raises(static.NotPlain):
        source("Odd")
    assert [(o.name, o.default) for o in plugins.declared("models", "Odd").options] == [("width", 3)]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_hurts_only_who_chooses_it_and_in_one_line(dropped, broken, capsys):
    dropped("Broken", BROKEN[broken])
    dropped("ThinResNet", "import nothing_like_it\nMainModel = 1\n")
    assert resolve([*TRAIN, "--model", "ThinResNet34"]).model == "ThinResNet34"
    with pytest.raises(SystemExit):
        resolve(["--help"])
    assert "--encoder_type" in capsys.readouterr().out
    assert "--margn: no such option (did you mean margin?)" in mistake("--margn", "1")
    assert "belongs to models/Wav2Vec2AASIST" in mistake("--freeze_cnn", "true")
    if broken == "absent":  # only its docstring speaks of a model
        return
    chosen = mistake("--model", "Broken")
    assert "Broken" in chosen and "\n" not in chosen


def test_a_file_that_cannot_be_imported_is_named_with_the_reason(dropped):
    dropped("Broken", BROKEN["missing"])
    with pytest.raises(ConfigError, match=r"--model Broken: .*Broken.py cannot be imported \(ModuleNotFoundError: .*"):
        plugins.load("models", "Broken")
    dropped("Absent", BROKEN["absent"])
    assert "cannot be imported (AttributeError" in mistake("--model", "Absent")


def test_a_folder_called_like_a_plugin_is_none(dropped, tmp_path):
    dropped("Fine", "def MainModel(nOut): pass\n")
    (tmp_path / "models" / "Folder.py").mkdir()
    assert "Fine" in plugins.names("models") and "Folder" not in plugins.names("models")


FAMILY = """
from models.FamilyBlocks import *
class ResNetSE(SEBase):
    def __init__(self, block, layers, num_filters, nOut, encoder_type='SAP', n_mels=40, log_input=True, max_frames=9,
                 odd=None, **kwargs):
        super(ResNetSE, self).__init__()
        self.pool = Pool(nOut, **kwargs)
class Pool:
    def __init__(self, n, heads=2, **kwargs): pass
def MainModel(nOut=256, **kwargs):
    num_filters = [16, 32, 64, 128]
    model = ResNetSE(object, [3, 4, 6, 3], num_filters, nOut, log_input=False, **kwargs)
    return model
"""


def test_options_behind_kwargs_are_found_where_they_are_passed_on(dropped):
    dropped("Family", FAMILY)
    dropped("FamilyBlocks", "SEBase = object\n")
    declared = source("Family")
    assert declared.any_keyword
    assert [(o.name, o.default) for o in declared.options] == [
        ("encoder_type", "SAP"),
        ("n_mels", 40),
        ("max_frames", 9),
        ("heads", 2),
    ]
    config = resolve([*TRAIN, "--model", "Family", "--n_mels", "64", "--heads", "3"])
    assert config.model_options == {"encoder_type": "SAP", "n_mels": 64, "heads": 3}  # max_frames is the run's
    assert "--log_input: no such option of the chosen model" in mistake("--model", "Family", "--log_input", "true")


def test_a_loss_made_of_others_has_their_options(dropped):
    text = "import loss.softmax as softmax\nimport loss.angleproto as angleproto\nclass LossFunction:\n"
    text += "    def __init__(self, **kwargs):\n        self.a = softmax.LossFunction(**kwargs)\n"
    text += "        self.b = angleproto.LossFunction(**kwargs)\n"
    dropped("softmaxproto", text, "loss")
    assert [o.name for o in source("softmaxproto", "loss").options] == ["init_w", "init_b"]


def test_a_plugin_of_ours_may_not_take_the_name_of_a_runs_option(dropped):
    dropped("Greedy", "def MainModel(nOut, *, lr: float = 1.0): pass\n")
    assert "model Greedy declares an option lr, which the trainer has already" in mistake("--model", "Greedy")
