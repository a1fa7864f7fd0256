"""HTML pages from the package's templates; each page holds its style and pictures and loads nothing."""

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **content: Any) -> str:
    """A whole page; all text that is put into it is escaped.

    Args:
        template: file in ``pcfh/templates``.
        content: what the template names.
    """
    return _environment().get_template(template).render(**content)


def data_url(content: bytes, kind: str) -> str:
    """A picture as an address that holds it; ``kind`` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pcfh"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name is an error, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_url"] = data_url
    return environment
