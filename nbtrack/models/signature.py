"""Signatures: the schema of a model's inputs and outputs, read off data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.entities import Column, Signature
from nbtrack.errors import SignatureError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> Signature:
    """Return the schema of data: names, types, and whether values may be missing.

    Parameters
    ----------
    model_input
        What the model was fitted on: a DataFrame, a Series, an array of shape ``(rows,)`` or ``(rows, columns)``, a
        list of those shapes, or a mapping of columns.
    model_output
        What ``predict`` answers for it.
    params
        Parameters of inference and their defaults.

    Raises
    ------
    SignatureError
        If the data has no columns that can be described.

    Examples
    --------
    >>> [column.type for column in infer_signature([[1.0, 2.0]], [0]).inputs]
    ['double', 'double']
    """
    return Signature(
        inputs=_columns(model_input, "input") if model_input is not None else (),
        outputs=_columns(model_output, "output") if model_output is not None else (),
        params=tuple(Column(name, _scalar_type(value), True, value) for name, value in (params or {}).items()),
    )


def _columns(data: Any, what: str) -> tuple[Column, ...]:
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        named = all(isinstance(name, str) for name in data.columns)  # as scikit-learn: names only if all are text
        found = [(str(name) if named else None, data.iloc[:, i]) for i, name in enumerate(data.columns)]
        return tuple(Column(name, *_series_type(series)) for name, series in found)
    if isinstance(data, pd.Series):
        return (Column(data.name if isinstance(data.name, str) else None, *_series_type(data)),)
    if isinstance(data, Mapping):
        try:
            return _columns(pd.DataFrame(dict(data)), what)
        except ValueError as error:
            raise SignatureError(
                f"signature: the {what} is a mapping whose columns do not fit together ({error})."
            ) from None
    if hasattr(data, "toarray") and hasattr(data, "dtype"):  # a scipy sparse matrix holds one type and no holes
        return (Column(None, _dtype_type(data.dtype)),) * int(data.shape[1])
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise SignatureError(
            f"signature: expected a table or an array as {what}, got {type(data).__name__} with ragged rows ({error})."
        ) from None
    if array.ndim not in {1, 2}:
        raise SignatureError(
            f"signature: expected one or two dimensions as {what}, got an array of shape {array.shape}. Pass the data"
            " that the model is called with."
        )
    if array.ndim == 1:
        return (Column(None, *_array_type(array)),)
    if array.dtype == object:
        return tuple(Column(None, *_array_type(array[:, i])) for i in range(array.shape[1]))
    holes = np.isnan(array).any(axis=0) if array.dtype.kind == "f" else np.zeros(array.shape[1], bool)
    kind = _dtype_type(array.dtype)
    return tuple(Column(None, kind, not hole) for hole in holes)


def _series_type(series: pd.Series[Any]) -> tuple[str, bool]:
    import pandas as pd

    required = not bool(series.isna().any())
    dtype: Any = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _series_type(pd.Series(dtype.categories))[0], required
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean", required
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime", required
    if pd.api.types.is_numeric_dtype(dtype):
        return _dtype_type(getattr(dtype, "numpy_dtype", dtype)), required
    if isinstance(dtype, pd.StringDtype):
        return "string", required
    return _objects_type(series.dropna()), required


def _array_type(array: np.ndarray[Any, Any]) -> tuple[str, bool]:
    import numpy as np
    import pandas as pd

    if array.dtype != object:
        return _dtype_type(array.dtype), not (array.dtype.kind == "f" and bool(np.isnan(array).any()))
    missing = pd.isna(array)
    return _objects_type(array[~missing]), not bool(missing.any())


def _objects_type(values: Iterable[Any]) -> str:
    kinds = {_scalar_type(value) for value in values}
    return kinds.pop() if len(kinds) == 1 else "object"


def _scalar_type(value: Any) -> str:
    import datetime

    import numpy as np

    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "long"
    if isinstance(value, float | np.floating):
        return "double"
    if isinstance(value, str):
        return "string"
    return "datetime" if isinstance(value, datetime.date | np.datetime64) else "object"


def _dtype_type(dtype: Any) -> str:
    import numpy as np

    dtype = np.dtype(dtype)
    match dtype.kind:
        case "b":
            return "boolean"
        case "i" | "u":
            return "integer" if dtype.itemsize < 4 or dtype == np.int32 else "long"
        case "f":
            return "float" if dtype.itemsize <= 4 else "double"
        case "U" | "S":
            return "string"
        case "M":
            return "datetime"
    return "object"
