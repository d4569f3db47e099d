"""Numbers, durations and text as people read them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(value: object, limit: int = 200) -> str:
    """Return `value` as one line of text without control or direction-changing characters, cut at `limit`."""
    text = _UNSEEN.sub("\ufffd", str(value)).replace("\n", " ").replace("\t", " ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_number(value: float) -> str:
    """Return a number with four significant digits; whole digits in full, thousands apart from ten thousand on.

    Examples
    --------
    >>> [format_number(x) for x in (0.97222, 1234567.0, 0.5, 1e-7, float("nan"), 12345.678)]
    ['0.9722', '1,234,567', '0.5', '1e-07', 'NaN', '12,346']
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}" if abs(value) >= 1e4 else str(int(value))
    if 1e4 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def number_format(values: Sequence[float]) -> Callable[[float], str]:
    """Return how to write these numbers under each other: with the same number of decimals where that is possible.

    Examples
    --------
    >>> form = number_format([0.888, 0.86111])
    >>> form(0.888), form(0.86111)
    ('0.8880', '0.8611')
    """
    plain = all(math.isfinite(v) and (v == 0 or 1e-3 <= abs(v) < 1e4) for v in values)
    decimals = max((len(format_number(v).partition(".")[2]) for v in values), default=0)
    return (lambda value: f"{value:.{decimals}f}") if plain else format_number


def format_change(change: float, form: Callable[[float], str] | None = None) -> str:
    """Return a change with its sign, written like the numbers it lies between; ``±0`` for none.

    Examples
    --------
    >>> format_change(0.0555556, number_format([0.8611, 0.9167])), format_change(-3.0), format_change(0.0)
    ('+0.0556', '−3', '±0')
    """
    if change == 0:
        return "±0"
    shown = form(abs(change)) if form is not None else format_number(abs(change))
    if not shown.strip("0."):  # too small for that many decimals
        shown = format_number(abs(change))
    return ("+" if change > 0 else "−") + shown


def format_duration(seconds: float) -> str:
    """Return a duration in the two units that matter.

    Examples
    --------
    >>> [format_duration(s) for s in (0.0042, 0.25, 3.14159, 75, 3720)]
    ['4 ms', '0.25 s', '3.1 s', '1 min 15 s', '1 h 2 min']
    """
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short_id(run_id: str) -> str:
    """Return the last eight digits of a run id: the ones by which people tell runs apart."""
    return run_id[-8:]


def plural(count: int, word: str) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def json_number(value: float) -> float | str:
    """Return a number as JSON can carry it: NaN and the infinities as text."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
