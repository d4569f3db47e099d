"""The schema of a model's inputs, outputs and params, told from data; and data made to fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import Column, Signature
from nbtrack.errors import InvalidInputError, SignatureError

if TYPE_CHECKING:
    import numpy as np

_DTYPES: Final = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64", "boolean": "bool"}
_NULLABLE: Final = {"integer": "Int32", "long": "Int64", "boolean": "boolean"}
_SCALARS: Final = ((bool, "boolean"), (int, "long"), (float, "double"), (str, "string"))
MAX_COLUMNS: Final = 100_000
_TYPED_ROWS: Final = 100_000  # so many values of a column without a type of its own are looked at; for nulls, all are


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> Signature:
    """Return the schema of data that a model was given, of what it answered, and of its params.

    Parameters
    ----------
    model_input
        A DataFrame, Series, array of shape (rows,) or (rows, columns), dict of columns, list of dicts, or list.
    model_output
        What the model predicted for it.
    params
        Param -> default value: a boolean, number, text, or a list of one of these.

    Returns
    -------
    Signature
        With one column for each input, in order. A column that holds nulls is not required.

    Raises
    ------
    InvalidInputError
        If the data is of a kind that has no columns.

    Examples
    --------
    >>> infer_signature({"age": [31, 47], "city": ["Rome", None]}).inputs[1]
    Column(name='city', type='string', required=False, default=None)
    """
    return Signature(
        inputs=() if model_input is None else columns_of(model_input, "model_input"),
        outputs=() if model_output is None else columns_of(model_output, "model_output"),
        params=tuple(_param(key, value) for key, value in (params or {}).items()),
    )


def columns_of(data: Any, what: str = "data") -> tuple[Column, ...]:
    """Return one Column for each column of `data`; see :func:`infer_signature`."""
    import numpy as np
    import pandas as pd

    if isinstance(data, Mapping) or (isinstance(data, (list, tuple)) and data and isinstance(data[0], Mapping)):
        data = frame_of(data, what)
    if isinstance(data, pd.DataFrame):
        return tuple(_column(str(name), data.iloc[:, place]) for place, name in enumerate(data.columns))
    if isinstance(data, pd.Series):
        return (_column(None if data.name is None else str(data.name), data),)
    if hasattr(data, "toarray") and hasattr(data, "dtype"):  # a sparse matrix of scipy
        return (Column(None, _numpy_type(data.dtype)),) * int(data.shape[1])
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InvalidInputError(f"infer_signature: {what} does not form an array ({error}).") from None
    if array.ndim == 0 or (array.ndim == 2 and array.shape[1] > MAX_COLUMNS):
        raise InvalidInputError(
            f"infer_signature: expected {what} with rows, such as a DataFrame or an array of shape (rows, columns), got"
            f" {type(data).__name__} of shape {array.shape}."
        )
    if array.ndim == 1:
        return (_column(None, pd.Series(array.tolist() if array.dtype.kind == "O" else array)),)
    if array.ndim > 2:
        return ()  # images and the like have no columns: they are taken as they come
    if array.dtype.kind == "O":
        return tuple(_column(None, pd.Series(array[:, place].tolist())) for place in range(array.shape[1]))
    kind = _numpy_type(array.dtype)
    required = not (array.dtype.kind == "f" and bool(np.isnan(array).any()))
    return tuple(Column(None, kind, required) for _ in range(array.shape[1]))


def _column(name: str | None, values: Any) -> Column:
    return Column(name, _type_of(values), required=not bool(values.isna().any()))


def _type_of(values: Any) -> str:
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _type_of(dtype.categories.to_series())
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype) or pd.api.types.is_float_dtype(dtype):
        return _numpy_type(getattr(dtype, "numpy_dtype", dtype))
    if isinstance(dtype, pd.StringDtype):
        return "string"
    present = values.dropna().iloc[:_TYPED_ROWS]
    found = {type(value) for value in present.tolist()}
    for kind, name in _SCALARS:
        if found and found <= {kind}:
            return name
    if found and found <= {int, float}:
        return "double"
    return "object"


def _numpy_type(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "iu":
        return "integer" if dtype.itemsize < 4 or (dtype.kind == "i" and dtype.itemsize == 4) else "long"
    if dtype.kind == "f":
        return "float" if dtype.itemsize <= 4 else "double"
    return {"b": "boolean", "U": "string", "M": "datetime"}.get(dtype.kind, "object")


def _param(key: str, value: Any) -> Column:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    for kind, name in _SCALARS:
        if isinstance(first, kind):
            return Column(str(key), name, required=False, default=list(value) if first is not value else value)
    raise InvalidInputError(
        f"infer_signature: param {key!r}: expected a boolean, number, text, or a list of them, got"
        f" {type(value).__name__}."
    )


# -- data made to fit --------------------------------------------------------------------------------------------------
def frame_of(data: Any, what: str = "data") -> Any:
    """Return dicts of columns or lists of records as a DataFrame."""
    import pandas as pd

    try:
        scalars = isinstance(data, Mapping) and not any(
            isinstance(v, (list, tuple)) or hasattr(v, "shape") for v in data.values()
        )
        return pd.DataFrame([data] if scalars else data)
    except ValueError as error:
        raise SignatureError(f"{what}: the columns do not fit together ({error}).") from None


def conform(data: Any, signature: Signature | None) -> Any:
    """Return `data` with the columns that the signature names, in its order and of its types.

    Parameters
    ----------
    data
        A DataFrame, array, dict of columns, list of records, or list of rows.
    signature
        The model's signature; without one, or without names in it, columns are left as they are.

    Raises
    ------
    SignatureError
        If a column is missing, there are too many or too few, or a value is of another type; the message names it.
    """
    import pandas as pd

    if isinstance(data, Mapping) or (isinstance(data, (list, tuple)) and data and isinstance(data[0], Mapping)):
        data = frame_of(data)
    inputs = signature.inputs if signature else ()
    if not inputs:
        return data
    if isinstance(data, pd.Series) and len(inputs) == 1:
        return data
    if any(column.name is None for column in inputs):
        return _conform_array(data, inputs)
    if not isinstance(data, pd.DataFrame):
        data = _named(data, inputs)
    names = [str(name) for name in data.columns]
    missing = [column.name for column in inputs if column.required and column.name not in names]
    if missing:
        shown = ", ".join(repr(name) for name in missing[:5]) + (" …" if len(missing) > 5 else "")
        raise SignatureError(
            f"data: missing {len(missing)} of {len(inputs)} columns: {shown}; got {', '.join(names[:10]) or 'none'}."
            " Give all columns of the model's signature, in any order."
        )
    if len(set(names)) != len(names):
        raise SignatureError("data: a column name occurs twice. Give each column once.")
    if names == [column.name for column in inputs] and all(
        str(dtype) == _DTYPES.get(column.type) for dtype, column in zip(data.dtypes, inputs, strict=True)
    ):
        return data
    at = {name: place for place, name in enumerate(names)}
    columns = {
        str(c.name): _cast(data.iloc[:, at[str(c.name)]], c)
        if c.name in at
        else pd.Series([None] * len(data), data.index)
        for c in inputs
    }
    return pd.DataFrame(columns, index=data.index)


def _named(data: Any, inputs: Sequence[Column]) -> Any:
    import numpy as np
    import pandas as pd

    array = np.asarray(data.toarray() if hasattr(data, "toarray") else data)
    if array.ndim == 1 and len(inputs) == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != len(inputs):
        raise SignatureError(
            f"data: expected {len(inputs)} columns ({', '.join(str(c.name) for c in inputs[:5])}, …), got an array of"
            f" shape {array.shape}."
        )
    return pd.DataFrame(array, columns=[str(column.name) for column in inputs])


def _cast(values: Any, column: Column) -> Any:
    """Return a column in the type of the signature, where it has another one that says the same."""
    import pandas as pd

    wanted = _DTYPES.get(column.type)
    if wanted is None or isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == wanted:
        return pd.to_datetime(values) if column.type == "datetime" and values.dtype == object else values
    try:
        if values.isna().any():
            if column.type in _NULLABLE:
                return values.astype(_NULLABLE[column.type]).astype("float64" if column.type != "boolean" else object)
            return values.astype(wanted)
        cast = values.astype(wanted)
        if wanted.startswith(("int", "bool")) and not (cast == values.astype("float64")).all():
            raise ValueError("it would lose its fraction")
    except (ValueError, TypeError, OverflowError) as error:
        raise SignatureError(
            f"data: column {column.name!r} must be {column.type}, got {values.dtype} that does not fit"
            f" ({type(error).__name__})."
        ) from None
    return cast


def _conform_array(data: Any, inputs: Sequence[Column]) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame) or hasattr(data, "toarray"):
        width = data.shape[1]
    else:
        data = np.asarray(data, dtype=object if inputs[0].type in {"string", "object"} else None)
        if data.ndim != 2:
            return data if data.dtype != object or len(inputs) > 1 else data.tolist()
        width = data.shape[1]
    if width != len(inputs):
        raise SignatureError(f"data: expected {len(inputs)} columns, got {width}.")
    return data
