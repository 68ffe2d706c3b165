"""What is known of an option: its name, type, default, bounds and help, whose it is, and what depends on it."""

from dataclasses import dataclass, field

LARGEST = 2**32 - 1  # of whole numbers: what every random generator takes for a seed

LEARNING, RESULTS, COMMAND, MACHINE = SCOPES = ("learning", "results", "command", "machine")


@dataclass(frozen=True)
class Option:
    """One option: `type` is bool, int, float or str; `many` takes a list of them; `choices` the values allowed.

    `untyped`: a whole number is only what the default happens to be, without an annotation; any number will do.
    `truth`: text for which true and false stand too, with or without quotes.

    Attributes
    ----------
    owner : str
        "run", "augmentation", or the folder of the plug-in that declares it, "models" or "loss".
    scope : str
        What depends on it, from most to least. `learning`: what is learned, so it is fixed once a run has begun.
        `results`: what is reported of it; it may change when a run is resumed, and --eval takes it from the checkpoint.
        `command`: this one command, so --eval takes it from no checkpoint. `machine`: where and how fast a run
        computes and what it keeps, not what comes out: the runs of a sweep may differ in it.
    by_sweep : bool
        A sweep decides it for each of its runs.
    audio : bool
        It decides which samples of an utterance are scored, and is recorded with the results.
    path : bool
        It names files or folders: in a config, they start from its project (`settings/project.py`).
    """

    name: str
    type: type
    default: object
    help: str = ""
    group: str = "run"
    choices: tuple | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    many: bool = False
    untyped: bool = False
    truth: bool = False
    owner: str = "run"
    scope: str = LEARNING
    by_sweep: bool = False
    audio: bool = False
    path: bool = False

    @property
    def may_change(self) -> bool:
        """Whether a resumed run may have another value."""
        return self.scope != LEARNING

    @property
    def recorded(self) -> bool:
        """Whether --eval takes it from the checkpoint."""
        return self.scope in (LEARNING, RESULTS)


def option(default: object, group: str, help: str, **properties: object) -> object:
    """A field of `Config` with what is known of it, as attributes of `Option`."""
    metadata = {"group": group, "help": help, **properties}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
