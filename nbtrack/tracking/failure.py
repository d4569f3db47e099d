"""What is kept of an exception that ended a run."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from types import TracebackType

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 20_000


def _without_foreign_head(trace: TracebackType | None, from_file: str | None) -> TracebackType | None:
    """Leave out the frames before the first one in `from_file`: they belong to whatever ran the user's code."""
    at = trace
    while at is not None and from_file is not None:
        if at.tb_frame.f_code.co_filename == from_file:
            return at
        at = at.tb_next
    return trace


def _message(error: BaseException) -> str:
    """Return what an exception says; of a syntax error in a cell, without the file that the kernel made up for it."""
    if isinstance(error, SyntaxError) and error.lineno and "ipykernel_" in str(error.filename):
        return f"{error.msg} (line {error.lineno})"
    return str(error)


def describe_error(
    error: BaseException, *, redactor: Redactor | None = None, from_file: str | None = None
) -> dict[str, Any]:
    """Return ``type``, ``message`` and ``traceback`` of an exception as bounded text without secrets.

    Parameters
    ----------
    error
        The exception.
    redactor
        Counts what it takes out; a fresh one if not given.
    from_file
        The file name of the user's code; frames above it are left out.
    """
    redactor = redactor or Redactor()
    trace = _without_foreign_head(error.__traceback__, from_file)
    try:
        lines = traceback.format_exception(type(error), error, trace)
        text, message = "".join(lines), _message(error)
    except Exception as broken:  # an exception whose own __str__ raises
        text = message = f"(its text could not be made: {type(broken).__name__})"
    if len(text) > MAX_TRACEBACK:
        text = (
            f"{text[: MAX_TRACEBACK // 4]}\n… {len(text) - MAX_TRACEBACK:,} characters left out …\n"
            + text[-MAX_TRACEBACK * 3 // 4 :]
        )
    return {
        "type": type(error).__name__,
        "message": redactor.text(message)[:MAX_MESSAGE],
        "traceback": redactor.text(text),
    }
