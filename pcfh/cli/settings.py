"""The command that prints the settings of a preset."""

from typing import Annotated

from cyclopts import Parameter

from pcfh.config import flat, to_plain, to_toml
from pcfh.methods.find import DEFAULT_PRESET, preset, presets


def settings(
    name: Annotated[str, Parameter(name="preset", help=f"One of {', '.join(presets())}.")] = DEFAULT_PRESET,
    *,
    toml: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Print every setting of a preset, as --set takes them.

    Args:
        name: which.
        toml: print a configuration file instead, as pcfh train --config takes it.
    """
    config = preset(name)
    if toml:
        print(to_toml(config), end="")
        return 0
    for key, value in flat(to_plain(config)).items():
        print(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    return 0
