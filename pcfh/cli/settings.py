"""The command that prints the settings of a preset."""

from pcfh import config as configuration


def settings(preset: str = "paper-256") -> int:
    """Print every setting of a preset, as --set takes them.

    Args:
        preset: paper-256, paper-144, cpu, best, rendered, tiny, pix2pix, cyclegan, pix2pix-cpu,
            cyclegan-cpu.
    """
    for group, fields in configuration.to_dict(configuration.preset(preset)).items():
        for name, value in fields.items():
            print(f"{group}.{name}={str(value).lower() if isinstance(value, bool) else value}")
    return 0
