"""From values as they came to the arrays and frames that a model was trained on: right order, right types, or a refusal
that says which value is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from nbtrack.entities import Column, Signature
from nbtrack.serving.refusal import Refusal

Where = Callable[[int], str]

_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_INT_BOUNDS: Final = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_DTYPES: Final = {"integer": np.int32, "long": np.int64, "float": np.float32, "double": np.float64}
_AS_DOUBLES: Final = {"double", "long", "integer"}
_EXACT: Final = float(2**53)  # whole numbers below this are the same as doubles, and no other is rounded to them
_NAN: Final = float("nan")


def kind_of(value: object) -> str:
    """Return what a value is, in words that do not give it away."""
    return _KINDS.get(type(value), "something else")


def _one_double(value: object) -> float:
    if value is None:
        return _NAN
    if not isinstance(value, (int, float, str)):
        raise ValueError
    return float(value)  # True is 1.0, as it is for MLflow


def _one_int(value: object, low: int, high: int) -> int:
    if isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError
    return value


def _one_bool(value: object) -> bool:
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError
    return value


def _one_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _one_time(value: object) -> Any:
    import pandas as pd

    if not isinstance(value, str):
        raise ValueError
    moment = pd.Timestamp(value)
    return moment.tz_convert("UTC").tz_localize(None) if moment.tz else moment


def _each(values: Sequence[Any], column: Column, where: Where, one: Callable[[Any], Any]) -> list[Any]:
    """Convert value by value; the first that does not fit is named."""
    out: list[Any] = []
    for i, value in enumerate(values):
        if value is None and not column.required:
            out.append(None)
            continue
        try:
            out.append(one(value))
        except (ValueError, OverflowError, TypeError) as error:
            raise Refusal(
                f"{_named(column)} must be {column.type}, got {kind_of(value)}"
                f"{' that cannot be read as one' if isinstance(value, (str, int, float)) else ''}."
                " Correct that value; `example` shows a request that works.",
                path=where(i),
                expected=column.type,
            ) from error
    return out


def _named(column: Column) -> str:
    return f"column {column.name!r}" if column.name else "every value"


def convert(values: Sequence[Any], column: Column, where: Where) -> Any:
    """Return one column's values as an array (or, for text and objects, a list) of the type that `column` says.

    Raises
    ------
    Refusal
        If a value does not fit; ``where(i)`` is the path of value `i`.
    """
    if column.type in {"double", "float"}:
        return _floats(values, column, where)
    if column.type in _INT_BOUNDS:
        low, high = _INT_BOUNDS[column.type]
        if set(map(type, values)) == {int} and low <= min(values) and max(values) <= high:
            return np.array(values, dtype=_DTYPES[column.type])
        whole = _each(values, column, where, lambda value: _one_int(value, low, high))
        if None in whole:  # as pandas holds integers with gaps
            return np.array([_NAN if value is None else value for value in whole], dtype=np.float64)
        return np.array(whole, dtype=_DTYPES[column.type])
    if column.type == "boolean":
        flags = _each(values, column, where, _one_bool)
        return flags if None in flags else np.array(flags, dtype=np.bool_)
    if column.type == "datetime":
        return np.array(_each(values, column, where, _one_time), dtype="datetime64[ns]")
    if column.type == "string":
        return _each(values, column, where, _one_text)
    return list(values)


def _floats(values: Sequence[Any], column: Column, where: Where) -> Any:
    try:
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        array = np.array(_each(values, Column(column.name, column.type), where, _one_double), dtype=np.float64)
    return array if column.type == "double" else array.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoded input row by row; `names` are the client's names of the columns, where it gave some.

    `plain` says that every value is a float or None, so they need not be looked at one by one.
    """

    values: Sequence[Sequence[Any]]
    names: Sequence[str] | None
    path: str  # of the rows, such as "$.dataframe_split.data"
    names_path: str = ""
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Decoded input column by column (lists, or arrays that have their type already); `where` tells a value's path."""

    values: Mapping[str, Any]
    count: int
    where: Callable[[int, str], str]
    path: str


class Schema:
    """What a model wants to be given: a frame where its columns have names and differ in type, else a matrix.

    Doubles come as a matrix also where they have names: :meth:`frame_of` dresses it for a model that wants a frame.

    Parameters
    ----------
    signature
        The model's signature; without one, data is taken as it comes.
    """

    def __init__(self, signature: Signature | None) -> None:
        self.inputs: tuple[Column, ...] = signature.inputs if signature else ()
        self.params: tuple[Column, ...] = signature.params if signature else ()
        self.named = bool(self.inputs) and all(column.name is not None for column in self.inputs)
        self.names: list[str] = [str(column.name) for column in self.inputs] if self.named else []
        self.doubles = bool(self.inputs) and all(column.type == "double" for column in self.inputs)
        self.numbers = bool(self.inputs) and all(column.type in _AS_DOUBLES for column in self.inputs)
        self._whole = [place for place, column in enumerate(self.inputs) if column.type in _INT_BOUNDS]

    @property
    def width(self) -> int:
        """The number of columns; 0 without a signature."""
        return len(self.inputs)

    def from_rows(self, rows: Rows) -> Any:
        """Return what the model is given for `rows`."""
        self._check_rows(rows)
        if not self.inputs:
            return self._loose_rows(rows)
        if self.doubles and rows.plain and (order := self._order(rows)) is not None:
            matrix = np.array(rows.values, dtype=np.float64)
            return matrix if order == list(range(matrix.shape[1])) else matrix[:, order]
        names = rows.names if rows.names is not None else self.names or [str(i) for i in range(self.width)]
        at = {name: place for place, name in enumerate(names)}
        values = {name: [row[place] for row in rows.values] for name, place in at.items()}
        given = Columns(
            values,
            len(rows.values),
            lambda i, name: f"{rows.path}[{i}][{at[name]}]",
            rows.names_path or rows.path,
        )
        return self.from_columns(given)

    def _check_rows(self, rows: Rows) -> None:
        if rows.names is not None and len(set(rows.names)) != len(rows.names):
            raise Refusal("a column name occurs twice. Send each column once.", path=rows.names_path)
        wanted = (self.width or None) if rows.names is None else len(rows.names)
        for i, row in enumerate(rows.values):
            wanted = len(row) if wanted is None else wanted
            if len(row) != wanted:
                raise Refusal(
                    f"this row has {len(row)} values; expected {wanted}, one for each column.",
                    path=f"{rows.path}[{i}]",
                    expected=f"{wanted} values",
                )

    def _order(self, rows: Rows) -> list[int] | None:
        """Return where each column of the schema stands in the rows; None if one is not there."""
        if rows.names is None or not self.named:
            return list(range(self.width)) if rows.names is None or len(rows.names) == self.width else None
        at = {name: place for place, name in enumerate(rows.names)}
        order = [at.get(name, -1) for name in self.names]
        return None if -1 in order else order

    def _loose_rows(self, rows: Rows) -> Any:
        if rows.names is not None:
            return _loose_frame([list(row) for row in rows.values], rows.path, list(rows.names))
        try:
            return np.array(rows.values)
        except ValueError as error:
            raise Refusal("the rows do not have the same shape.", path=rows.path) from error

    def from_columns(self, given: Columns) -> Any:
        """Return what the model is given for `given`."""
        if not self.inputs:
            return _loose_frame(dict(given.values), given.path)
        if not self.named:
            if len(given.values) != self.width:
                raise Refusal(
                    f"{len(given.values)} columns; expected {self.width}.",
                    path=given.path,
                    expected=f"{self.width} columns",
                )
            pairs = zip(given.values, self.inputs, strict=True)
            return _stack([self._column(given, name, column) for name, column in pairs])
        if missing := [c.name for c in self.inputs if c.required and c.name not in given.values]:
            raise self._missing([str(name) for name in missing], given.path)
        arrays = [self._column(given, name, c) for name, c in zip(self.names, self.inputs, strict=True)]
        if self.doubles:
            return np.column_stack(arrays)
        import pandas as pd

        return pd.DataFrame(dict(zip(self.names, arrays, strict=True)), columns=self.names)

    def _column(self, given: Columns, name: str, column: Column) -> Any:
        values = given.values.get(name)
        if isinstance(values, np.ndarray):
            return values
        return convert([None] * given.count if values is None else values, column, lambda i: given.where(i, name))

    def is_whole(self, matrix: Any) -> bool:
        """Return whether the columns of whole numbers hold such, in range, and exactly so as doubles."""
        if not self._whole:
            return True
        found = matrix[:, self._whole]
        if not (np.abs(found) < _EXACT).all() or (found != np.floor(found)).any():
            return False
        narrow = [place for place in self._whole if self.inputs[place].type == "integer"]
        return not narrow or bool((np.abs(matrix[:, narrow]) < 2**31).all())

    def frame_of(self, matrix: Any) -> Any:
        """Return a matrix of doubles, in the order of the schema, as a frame with its names and types."""
        import pandas as pd

        frame = pd.DataFrame(matrix, columns=self.names, copy=False)
        return (
            frame.astype({self.names[i]: _DTYPES[self.inputs[i].type] for i in self._whole}) if self._whole else frame
        )

    def _missing(self, names: Sequence[str], path: str) -> Refusal:
        shown = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        return Refusal(
            f"missing {'column' if len(names) == 1 else 'columns'} {shown}. The model needs all of its"
            f" {self.width} columns, in any order.",
            path=path,
            expected=f"column {names[0]!r}",
        )

    def read_params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params of a request, checked, with defaults for those left out; unknown ones are ignored."""
        out: dict[str, Any] = {}
        for column in self.params:
            name = str(column.name)
            if name not in given:
                out[name] = column.default
                continue
            many = isinstance(column.default, list)
            values = given[name] if many else [given[name]]
            if not isinstance(values, list):
                raise Refusal(f"param {name!r} must be a list.", path=f"$.params.{name}", expected="list")
            read = convert(values, Column(name, column.type), partial(_param_path, name))
            plain = read.tolist() if isinstance(read, np.ndarray) else read
            out[name] = plain if many else plain[0]
        return out


def _loose_frame(values: Any, path: str, names: list[str] | None = None) -> Any:
    """Return a frame of values that no schema speaks of."""
    import pandas as pd

    try:
        return pd.DataFrame(values, columns=names)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal("the values do not form a table.", path=path) from error


def _stack(columns: Sequence[Any]) -> Any:
    """Return columns as one matrix; texts and numbers side by side stay what they are."""
    arrays = [np.asarray(column, dtype=object) if isinstance(column, list) else column for column in columns]
    return np.column_stack(arrays)


def _param_path(name: str, _: int) -> str:
    return f"$.params.{name}"


def first_gap(data: Any) -> tuple[int, int] | None:
    """Return row and column of the first NaN, null or infinity in what a model was given; None if there is none."""
    columns: Iterable[Any]
    if hasattr(data, "columns"):
        columns = (data.iloc[:, place].to_numpy() for place in range(data.shape[1]))
    elif isinstance(data, np.ndarray) and data.ndim == 2:
        columns = data.T
    else:
        return None
    best: tuple[int, int] | None = None
    for place, values in enumerate(columns):
        for row, value in enumerate(values.tolist()):
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                if best is None or row < best[0]:
                    best = (row, place)
                break
    return best
