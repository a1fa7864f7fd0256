"""Dataclasses to JSON and back without loss; what does not fit its annotation is named with its place."""

from typing import Any, TypeVar

import msgspec

from pcfh.errors import UserError

Kind = TypeVar("Kind")


def to_json_text(value: Any) -> str:
    """A dataclass as indented JSON; floats keep all their bits."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def from_json_text(text: str | bytes, kind: type[Kind], expected: str) -> Kind:
    """The reverse of ``to_json_text``. A field that has a default may be absent.

    Args:
        text: JSON.
        kind: a dataclass.
        expected: what the text should have been, for the message.

    Raises:
        UserError: the text is no JSON, or a value is not of its kind.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UserError(f"expected {expected}; got something else ({error})") from error
