"""The framing of every file the store writes: JSON, one object or array a line, so that ``grep`` and ``jq`` read it.

A *sealed line* ends in ``,"sum":"<crc32>"}`` over its own bytes before that: headers, summaries, edits and commits are
such lines, and a flipped bit in one is noticed. JSON has no NaN and no infinities: they are the texts ``"NaN"``,
``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite, nan
from typing import Any, Final
from zlib import crc32

from orjson import OPT_APPEND_NEWLINE, OPT_NON_STR_KEYS, JSONDecodeError, dumps, loads

from nbtrack.errors import InvalidInputError

NEWLINE: Final = OPT_APPEND_NEWLINE
_TRAILER: Final = len(b',"sum":"00000000"}')
_TO_TEXT: Final = {inf: "Infinity", -inf: "-Infinity"}
_FROM_TEXT: Final = {"NaN": nan, "Infinity": inf, "-Infinity": -inf}
MAX_INT: Final = 2**63 - 1


def to_json_number(value: float) -> float | str:
    """Return `value`, or its text where JSON has no such number."""
    return value if isfinite(value) else _TO_TEXT.get(value, "NaN")


def from_json_number(value: Any) -> float:
    """Return the float that :func:`to_json_number` was given; raises ValueError, TypeError for anything else."""
    if type(value) is float or type(value) is int:
        return float(value)
    return _FROM_TEXT[value] if isinstance(value, str) and value in _FROM_TEXT else _not_a_number(value)


def _not_a_number(value: Any) -> float:
    raise ValueError(f"not a number: {value!r}")


def to_float(key: str, value: Any) -> float:
    """Return the value of a metric as a float.

    Raises
    ------
    InvalidInputError
        Unless it is one real number: an int, float, bool, numpy scalar, or an array or tensor of one element.
    """
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        item = value.item() if hasattr(value, "item") and not isinstance(value, (int, float)) else value
        return float(item)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        shown = repr(value)
        raise InvalidInputError(
            f"metric {key!r}: expected one number, got {type(value).__name__}"
            f" {shown if len(shown) <= 60 else shown[:57] + '…'}. A param or a tag takes text, a table many numbers."
        ) from None


def fits(number: Any) -> bool:
    """Return whether a value read from a file is a whole number of at most 63 bits."""
    return type(number) is int and -MAX_INT <= number <= MAX_INT


def to_step(step: Any) -> int:
    """Return a step as an int that fits in 64 bits; raises InvalidInputError."""
    try:
        whole = int(step)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"step: expected a whole number, got {step!r:.60}.") from error
    if whole != step or not -MAX_INT <= whole <= MAX_INT:
        raise InvalidInputError(f"step: expected a whole number of at most 63 bits, got {step!r:.60}.")
    return whole


def clean_text(value: Any) -> str:
    """Return ``str(value)`` without lone surrogates, which UTF-8 cannot hold."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def encode_line(record: Any) -> bytes:
    """Return `record` as one line of JSON with its newline.

    Raises
    ------
    InvalidInputError
        If it holds something that JSON cannot.
    """
    try:
        return dumps(record, option=NEWLINE)
    except TypeError as error:
        return _encode_slowly(record, error)


def _encode_slowly(record: Any, error: TypeError) -> bytes:
    try:
        return dumps(_plain(record), option=NEWLINE | OPT_NON_STR_KEYS, default=str)
    except (TypeError, RecursionError):
        raise InvalidInputError(
            f"store: a record cannot be written as JSON ({error}). Pass text, numbers, lists and dicts."
        ) from error


def _plain(value: Any) -> Any:
    """Return `value` with clean text and with integers beyond 64 bits as text."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not -MAX_INT <= value <= MAX_INT:
        return str(value)
    return value


def seal(record: Mapping[str, Any]) -> bytes:
    """Return `record` as a sealed line."""
    body = encode_line(record)[:-2]
    return b'%b,"sum":"%08x"}\n' % (body, crc32(body))


def unseal(line: bytes) -> dict[str, Any] | None:
    """Return the record of a sealed line, or None if its bytes are not the ones that were sealed."""
    line = line.rstrip(b"\n")
    body, trailer = line[:-_TRAILER], line[-_TRAILER:]
    if trailer != b',"sum":"%08x"}' % crc32(body):
        return None
    try:
        record = loads(line)
    except JSONDecodeError:
        return None
    if not isinstance(record, dict):
        return None
    del record["sum"]
    return record


def parse_line(line: bytes) -> Any:
    """Return the value of one line, or None if it is not JSON."""
    try:
        return loads(line)
    except JSONDecodeError:
        return None
