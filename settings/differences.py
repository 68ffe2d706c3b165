"""In what a configuration that was recorded differs from that of today's run, of what matters."""

from collections.abc import Callable

from settings.options import Config, run_options
from settings.project import same_value
from settings.resolve import plugin_options
from settings.retired import RETIRED, says_nothing
from settings.schema import Option
from settings.text import shown


def differences(before: dict, config: Config, matters: Callable[[Option], bool], where: str = "before") -> list[str]:
    """A line for each option that `matters` and has another value now.

    An option that is newer than the record had its default. One that is gone counts where it changed what was learned.

    Parameters
    ----------
    before : dict
        A recorded configuration: option name to value.
    where : str
        What the lines call it: "in the checkpoint".
    """
    now = config.flat()
    schema = run_options() + plugin_options(config.model, config.trainfunc)
    different = [
        f"{o.name}: {shown(before.get(o.name, o.default))} {where}, {shown(now[o.name])} now"
        for o in schema
        if matters(o) and not same_value(o.name, before.get(o.name, o.default), now[o.name])
    ]
    gone = [name for name in before.keys() - now.keys() if name in RETIRED and RETIRED[name].learning]
    different += [
        f"{name}: {shown(before[name])} {where}; {RETIRED[name].now}"
        for name in gone
        if not says_nothing(name, before[name])
    ]
    return sorted(different)
