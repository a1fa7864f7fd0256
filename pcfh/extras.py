"""Optional packages: ``pip install 'pcfh[EXTRA]'`` installs what goes beyond the core."""

from collections.abc import Iterator
from contextlib import contextmanager

from pcfh.errors import UserError


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Stands around imports of optional packages.

    Args:
        name: of the extra in pyproject.toml.
        purpose: what needs it, as the subject of a sentence in the singular.

    Raises:
        UserError: a package is absent or broken.
    """
    try:
        yield
    except ImportError as error:
        raise UserError(f"{purpose} needs an extra ({error}); run: pip install 'pcfh[{name}]'") from error
