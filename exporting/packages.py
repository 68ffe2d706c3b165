"""Packages that only exporting needs: each is asked for where it is used, and its absence is one line."""

import importlib
from types import ModuleType

from settings.errors import ConfigError


def need(name: str) -> ModuleType:
    """The imported module of requirements-export.txt. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).split(".")[0]
        raise ConfigError(f"{missing} is not installed: pip install -r requirements-export.txt") from None
