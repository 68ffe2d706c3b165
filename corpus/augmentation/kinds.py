"""Every kind of augmentation by its name in a recipe, and its parameters checked against its signature."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass

from corpus.augmentation import additive, channel, codecs, rawboost, reverberation, tempo
from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.parameters import Between, OneOf
from settings.errors import ConfigError
from settings.text import shown, suggestion

FUNCTIONS = (
    additive.noise,
    additive.music,
    additive.babble,
    additive.coloured_noise,
    reverberation.reverb,
    reverberation.room,
    rawboost.rawboost_convolutive,
    rawboost.rawboost_impulsive,
    rawboost.rawboost_stationary,
    codecs.mp3,
    codecs.vorbis,
    codecs.opus,
    codecs.g711,
    codecs.gsm,
    codecs.adpcm,
    codecs.amr,
    channel.lowpass,
    channel.resample,
    channel.gain,
    channel.trim_silence,
    tempo.speed,
)
KINDS = {function.__name__: function for function in FUNCTIONS}


@dataclass(frozen=True)
class Parameter:
    """A kind's parameter: `type` as annotated, without the bounds; `limits` a Between, a OneOf or None."""

    type: object
    limits: Between | OneOf | None
    default: object

    @property
    def scalar(self) -> type:
        """What one value is: float, int, str or AudioFolder."""
        return typing.get_args(self.type)[0] if self.several else self.type

    @property
    def several(self) -> bool:
        return typing.get_origin(self.type) is tuple

    @property
    def is_range(self) -> bool:
        return self.several and ... not in typing.get_args(self.type)


def parameters(kind: str) -> dict[str, Parameter]:
    """The parameters of a kind, in its signature's order."""
    function, found = KINDS[kind], {}
    hints = typing.get_type_hints(function, include_extras=True)
    for p in inspect.signature(function).parameters.values():
        if p.kind is not p.KEYWORD_ONLY:
            continue
        hint, *limits = typing.get_args(hints[p.name]) if hasattr(hints[p.name], "__metadata__") else (hints[p.name],)
        found[p.name] = Parameter(hint, limits[0] if limits else None, p.default)
    return found


def known_kind(name: str) -> Callable:
    """The function of a kind. Raises ConfigError on an unknown name, and where its package is not installed."""
    if name not in KINDS:
        near = suggestion(name, list(KINDS)) or f"; there is {', '.join(KINDS)}"
        raise ConfigError(f"no kind {shown(name)}{near}")
    if name == "amr":
        codecs.pyav()
    return KINDS[name]


def checked(value: object, parameter: Parameter) -> object:
    """A value of a recipe in the parameter's type and bounds: (low, high) of a range, for which one number will do.

    Raises ConfigError with what is wrong.
    """
    if not parameter.several:
        return checked_one(value, parameter)
    values = tuple(checked_one(item, parameter) for item in (value if isinstance(value, list) else [value]))
    if not parameter.is_range:
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{shown(value)}: at least one, and none twice")
        return values
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2 or values[0] > values[1]:
        raise ConfigError(f"{shown(value)} is no range: write [low, high], or one number")
    return values


def as_number(value: object) -> object:
    """The number that a text is, for YAML reads 1e-4 as text; anything else as it stands."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def checked_one(value: object, parameter: Parameter) -> object:
    kind, limits = parameter.scalar, parameter.limits
    if kind in (str, AudioFolder):
        value = str(value) if isinstance(limits, OneOf) and isinstance(value, (int, float)) else value
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{shown(value)} is not text")
        if isinstance(limits, OneOf) and value not in limits.names:
            raise ConfigError(f"{shown(value)} is none of {', '.join(limits.names)}{suggestion(value, limits.names)}")
        return value
    number = as_number(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ConfigError(f"{shown(value)} is not a number")
    if kind is int and not isinstance(number, int):
        raise ConfigError(f"{shown(value)} is not a whole number")
    if isinstance(limits, Between) and not limits.low <= number <= limits.high:
        raise ConfigError(f"{shown(value)} is not {limits}")
    return kind(number)
