"""The mistakes a user can make, by kind. A command prints them as they stand, without a traceback, and exits with 2."""

from settings.text import brief, harmless


class UserError(ValueError):
    """What was asked for cannot be done; the message says what is wrong, where, and what to do instead.

    Messages quote names from files: a terminal finds nothing in them to obey, and they end.
    """

    def __init__(self, message: str):
        super().__init__(brief(harmless(message)))


class ConfigError(UserError):
    """An option, a configuration file, a plug-in's name, a checkpoint, or a folder that cannot be written."""


class DataError(UserError):
    """A list, an audio file, a cache or an archive."""


class ScoringError(UserError):
    """Embeddings, labels, trials or operating points that cannot be scored."""
