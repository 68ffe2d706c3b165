"""Models and losses by file name: models/NAME.py holds a MainModel, loss/NAME.py a LossFunction; nothing registers.

The signature of either is the schema of its options; see `signatures`. Files stand in models/ and loss/ of this
project, or in folders of these names on PYTHONPATH.
"""

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from settings import static
from settings.errors import ConfigError, UserError
from settings.signatures import Declared, imported, parameters, takes_any_keyword, utterances_needed
from settings.text import LONGEST, shown, suggestion

__all__ = [
    "ROOT",
    "build",
    "declared",
    "load",
    "names",
    "owners",
    "parameters",
    "takes_any_keyword",
    "utterances_needed",
]

ROOT = Path(__file__).parent.parent
ENTRY = {"models": "MainModel", "loss": "LossFunction"}
OPTION = {"models": "model", "loss": "trainfunc"}
KIND = {"models": "model", "loss": "loss"}


def files(folder: str) -> dict[str, Path]:
    """Name to file of the selectable plug-ins of `models` or `loss`: those without an underscore that define the entry.

    (A file of shared blocks, as voxceleb_trainer has them, does not.)
    """
    entry = re.compile(rf"^(class|def) {ENTRY[folder]}\b|^{ENTRY[folder]} *=", re.MULTILINE)
    found = {}
    for file in sorted(file for path in static.folders(folder) for file in path.glob("[!_.]*.py")):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:  # a folder of that name, or a file of somebody else's: nothing to choose
            continue
        if entry.search(text):
            found.setdefault(file.stem, file)
    return found


def names(folder: str) -> list[str]:
    """The selectable plug-ins, sorted."""
    return sorted(files(folder))


def file_of(folder: str, name: str) -> Path:
    """The file of a plug-in. Raises ConfigError on an unknown name."""
    known = files(folder)
    if name not in known:
        near = suggestion(name[:LONGEST], sorted(known))
        known = ", ".join(sorted(known))
        raise ConfigError(f"no {folder}/NAME.py for --{OPTION[folder]} {shown(name)}{near}; there is {known}")
    return known[name]


def load(folder: str, name: str) -> Callable:
    """The `MainModel` of models/NAME.py or `LossFunction` of loss/NAME.py.

    Raises ConfigError on an unknown name, and in one line where the file cannot be imported.
    """
    file = file_of(folder, name)
    try:
        return getattr(importlib.import_module(f"{folder}.{name}"), ENTRY[folder])
    except (Exception, SystemExit) as error:  # somebody else's code: it fails as it pleases
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"--{OPTION[folder]} {name}: {file} cannot be imported ({why})") from error


def declared(folder: str, name: str) -> Declared:
    """What a plug-in says of itself: by its source where that says it in so many words, else by importing it."""
    file, group = file_of(folder, name), f"{KIND[folder]} {name}"
    try:
        return static.read(file, ENTRY[folder], folder, group)
    except static.NotPlain:
        return imported(load(folder, name), folder, group)


def owners(option: str) -> Iterator[str]:
    """The plug-ins whose source declares an option of that name, as models/NAME or loss/NAME."""
    for folder, entry in ENTRY.items():
        for name, file in files(folder).items():
            try:
                found = static.read(file, entry, folder, name)
            except static.NotPlain:  # no file is imported, and none can fail, for a hint
                continue
            if any(o.name == option for o in found.options):
                yield f"{folder}/{name}"


def build(entry: Callable, given: dict, options: dict, everything: dict) -> object:
    """Call a plug-in with what its signature asks for; one that takes **kwargs gets all there is.

    Raises ConfigError with the plug-in's own words where it cannot be built.
    """
    legacy = takes_any_keyword(entry)
    asked = parameters(entry)
    sizes = {name: value for name, value in given.items() if name in asked}
    try:
        with lenient() if legacy else contextlib.nullcontext():
            return entry(**(everything | given if legacy else sizes) | options)
    except UserError:  # what it says needs no frame
        raise
    except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        what = f"{entry.__module__} cannot be built with {shown(given | options, 400)}"
        raise ConfigError(f"{what}: {' '.join(str(error).split())}") from error


@contextlib.contextmanager
def lenient() -> Iterator[None]:
    """Meanwhile the loaded losses take the keywords that they know and drop the others, as voxceleb_trainer's do.

    Its softmaxproto calls softmax and angleproto with all that it was called with itself, and here they are ours.
    """
    from unittest import mock  # imports asyncio, which no help text needs

    loaded = [getattr(module, ENTRY["loss"], None) for name, module in sys.modules.items() if name.startswith("loss.")]
    with contextlib.ExitStack() as stack:
        for loss in loaded:
            if isinstance(loss, type) and not takes_any_keyword(loss):
                stack.enter_context(mock.patch.object(loss, "__init__", dropping(loss)))
        yield


def dropping(entry: type) -> Callable:
    """The class's __init__, but for keywords that its signature does not have."""
    init, known = entry.__init__, frozenset(parameters(entry))

    def lenient_init(self, *arguments, **keywords):
        init(self, *arguments, **{name: value for name, value in keywords.items() if name in known})

    return lenient_init
