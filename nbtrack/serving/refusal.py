"""The one way in which a request is turned down: a status, a code, and words that hold nothing of what was sent."""

from __future__ import annotations

from typing import Any, Final

CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}


class Refusal(Exception):
    """A request that gets a 4xx.

    Parameters
    ----------
    message
        What is wrong and what to do: words and names of the model's own schema, never a value that was sent.
    status
        The HTTP status.
    path
        Where in the request, such as ``$.dataframe_split.data[0][3]`` or ``line 4, column 'alcohol'``.
    expected
        What should be there, such as ``double``.
    """

    def __init__(self, message: str, *, status: int = 400, path: str = "", expected: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.path = path
        self.expected = expected

    @property
    def told(self) -> str:
        """What is wrong, and where: for the list of the last requests."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def body(self, example: Any = None) -> dict[str, Any]:
        """Return what is sent back; `example` is a request body that works."""
        told: dict[str, Any] = {"error_code": CODES.get(self.status, "BAD_REQUEST"), "message": self.message}
        if self.path:
            told["path"] = self.path
        if self.expected:
            told["expected"] = self.expected
        if example is not None:
            told["example"] = example
        return told
