"""The exception that becomes an answer other than 200."""


class RefusedError(Exception):
    """A request that is not served.

    Args:
        status: of HTTP.
        text: one line for the visitor: what is wrong and what to do.
        retry_after: seconds after which the same request may be served.
    """

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after
