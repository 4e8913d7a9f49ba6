"""What goes wrong on purpose or by the request's own doing."""

from __future__ import annotations


class Fault(Exception):
    """The provider says no. The dialect makes its own error body of it.

    `code` is the provider's finer word for it (`model_not_found`), `param` the field at fault.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s


class ClientLeft(Exception):
    """The connection is gone; there is nobody to answer."""


def missing(kind: str, name: str) -> Fault:
    """The 404 for an object that is not here."""
    return Fault(404, f"No such {kind}: {name}", code="not_found")
