"""Names in one spelling, wherever they come from: a folder, a table, the command line, the page.

A letter with an accent can be written as one character or as two, which look alike and are not equal; some
systems name files in one way, some in the other.
"""

import unicodedata

from pcfh.errors import UserError

_LONGEST = 512  # bytes in UTF-8


def composed(text: str) -> str:
    """A text with each letter and its accents as one character (Unicode's form NFC)."""
    return unicodedata.normalize("NFC", text)


def spelled(name: str) -> str:
    """A person's name in one spelling: composed letters, no blanks around it; Ana is not ANA."""
    return composed(name).strip()


def require_name(text: str) -> str:
    """The same of a name that somebody gives.

    Raises:
        UserError: it is empty or too long, or holds signs that cannot be seen.
    """
    name = spelled(text)
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST:
        raise UserError(
            f"expected a person's name of 1 to {_LONGEST} bytes without control characters, got {text[:80]!r}"
        )
    return name
