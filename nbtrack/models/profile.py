"""What the columns of a model's training data look like: what a server compares the rows that it is asked for with.

A profile holds shares, limits and frequent values of each column, never a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

PROFILE_NAME: Final = "training_profile.json"
MIN_ROWS: Final = 30  # of fewer rows shares say nothing
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 1_000
BINS: Final = 10
FREQUENT: Final = 30
_MAX_TEXT: Final = 100


def profile_of(data: Any) -> dict[str, Any] | None:
    """Return the profile of a table, as plain JSON values; None if it is no table or too short.

    Parameters
    ----------
    data
        A DataFrame, or an array of shape (rows, columns).

    Returns
    -------
    dict
        ``rows`` and ``columns``; each column has its ``name`` (None in an array), the share that is ``missing``, and
        either ``edges``, the ``shares`` between them, ``low`` and ``high`` of its numbers, or its frequent ``values``
        with their shares.
    """
    import numpy as np

    if hasattr(data, "iloc") and hasattr(data, "columns"):
        names = [str(name) for name in data.columns]
        pick = [data.iloc[:, place] for place in range(min(len(names), MAX_COLUMNS))]
    elif isinstance(data, np.ndarray) and data.ndim == 2:
        names = [None] * data.shape[1]  # type: ignore[list-item]
        pick = [data[:, place] for place in range(min(len(names), MAX_COLUMNS))]
    else:
        return None
    rows = len(data)
    if rows < MIN_ROWS or not pick:
        return None
    step = -(-rows // MAX_ROWS)
    columns = [{"name": name, **_column(values[::step])} for name, values in zip(names, pick, strict=False)]
    return {"version": 1, "rows": rows, "columns": columns}


def as_numbers(values: Any) -> Any:
    """Return a column as doubles, times as ms since 1970 UTC, a missing value as NaN; None if it holds no numbers."""
    import numpy as np

    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if kind == "M":
        values = values.to_numpy("datetime64[ns]") if hasattr(values, "to_numpy") else values
        return np.where(np.isnat(values), np.nan, values.astype("datetime64[ms]").astype(np.float64))
    if kind in "iuf":
        if hasattr(values, "to_numpy"):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64)
    return None


def as_texts(values: Any) -> list[str | None]:
    """Return a column that holds no numbers as texts, a missing value as None."""
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    return [None if _is_missing(value) else str(value)[:_MAX_TEXT] for value in found]


def _is_missing(value: Any) -> bool:
    return value is None or value != value or str(value) in {"<NA>", "NaT"}  # noqa: PLR0124 - NaN


def _column(values: Any) -> Mapping[str, Any]:
    import numpy as np

    numbers = as_numbers(values)
    if numbers is None:
        texts = as_texts(values)
        there = Counter(text for text in texts if text is not None)
        count = sum(there.values())
        shares = {text: round(n / count, 6) for text, n in there.most_common(FREQUENT)}
        return {"missing": round(1 - count / len(texts), 6), "values": shares}
    finite = numbers[np.isfinite(numbers)]
    missing = round(1 - len(finite) / len(numbers), 6)
    if not len(finite):
        return {"missing": missing, "edges": [], "shares": [1.0], "low": None, "high": None}
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    counts = np.bincount(edges.searchsorted(finite, side="left"), minlength=len(edges) + 1)
    return {
        "missing": missing,
        "edges": edges.tolist(),
        "shares": (counts / len(finite)).round(6).tolist(),
        "low": float(finite.min()),
        "high": float(finite.max()),
    }
