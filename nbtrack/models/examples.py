"""Input examples: a few rows of input, kept as the body of a scoring request that works as it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from nbtrack.entities import Signature

EXAMPLE_NAME: Final = "input_example.json"
MAX_ROWS: Final = 5


def head(data: Any, rows: int = MAX_ROWS) -> Any:
    """Return the first rows of a frame, array, list or dict of columns."""
    if hasattr(data, "iloc"):
        return data.iloc[:rows]
    if isinstance(data, Mapping):
        return {
            key: value[:rows] if isinstance(value, (list, tuple)) or hasattr(value, "shape") else value
            for key, value in data.items()
        }
    return data[:rows]


def to_body(data: Any) -> dict[str, Any]:
    """Return data as the body of a scoring request, of plain JSON values; a missing value becomes null."""
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        columns = [str(name) for name in data.columns]
        lists = [plain(data.iloc[:, place].tolist()) for place in range(len(columns))]
        return {"dataframe_split": {"columns": columns, "data": [list(row) for row in zip(*lists, strict=True)]}}
    if hasattr(data, "toarray"):
        data = data.toarray()
    return {"inputs": plain(data)}


def from_body(body: Mapping[str, Any], signature: Signature | None) -> Any:
    """Return the data of an example, with the columns and types of the signature."""
    from nbtrack.models.signature import conform

    if "dataframe_split" in body:
        import pandas as pd

        split = body["dataframe_split"]
        return conform(pd.DataFrame(split["data"], columns=split["columns"]), signature)
    data = body["inputs"]
    if isinstance(data, list) and (not data or not isinstance(data[0], (dict, str))):
        import numpy as np

        data = np.array([[math.nan if v is None else v for v in row] if isinstance(row, list) else row for row in data])
    return conform(data, signature)


def plain(value: Any) -> Any:
    """Return values of numpy, pandas and the standard library as plain JSON values."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return None if text == "NaT" else text
    if hasattr(value, "to_numpy"):
        return plain(value.to_numpy())
    return None if str(value) in {"<NA>", "NaT"} else str(value)
