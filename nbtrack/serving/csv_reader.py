"""CSV bodies: read by pandas with the types of the schema, so that numbers are parsed once."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nbtrack.serving.refusal import Refusal
from nbtrack.serving.schema import Columns, Schema

if TYPE_CHECKING:
    import pandas as pd

_GAPS: Final = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a", "-nan", "-NaN", "<NA>", "#N/A", "NaT"]
SMALL_BYTES: Final = 256 << 10
_PLAIN: Final = b"0123456789+-.eE,"
_READ_AS: Final = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}


def read_csv(body: bytes, schema: Schema) -> tuple[Any, int]:
    """Return what the model is given for a CSV body with a header line, and its number of rows.

    Raises
    ------
    Refusal
        If it is no CSV, lacks a column, or a value does not fit.
    """
    header, has_header = _header(body, schema)
    if schema.doubles and len(body) <= SMALL_BYTES and (matrix := _small(body, header, has_header, schema)) is not None:
        return matrix, len(matrix)
    import pandas as pd

    keep = [i for i, name in enumerate(header) if name in schema.names] if schema.named else list(range(len(header)))
    if not schema.named and header[:1] == [""] and len(header) == schema.width + 1:
        keep = keep[1:]  # the index that DataFrame.to_csv() writes
    if schema.named:
        _check_names(header, schema)
    wanted = dict(zip(schema.names, schema.inputs, strict=True)) if schema.named else {}
    # No usecols: with it, pandas would cut lines that are too long without a word.
    options: dict[str, Any] = {"header": 0 if has_header else None, "names": range(len(header))}
    options |= {"keep_default_na": False, "skip_blank_lines": True, "encoding": "utf-8-sig"}
    if int(pd.__version__.partition(".")[0]) < 3:
        options["float_precision"] = "round_trip"  # later ones always read a number as Python does
    kinds = {i: wanted[header[i]].type if schema.named else _unnamed_kind(schema) for i in keep}
    if not schema.inputs:
        options["na_values"] = _GAPS
        frame = _parsed(lambda: pd.read_csv(io.BytesIO(body), **options), len(header), has_header)[keep]
        frame.columns = [header[i] for i in keep]
        return frame, len(frame)
    types: Any = {i: _READ_AS.get(kinds.get(i, ""), "object") for i in range(len(header))}
    options["na_values"] = {i: _GAPS for i, kind in kinds.items() if kind in {"double", "float"}}
    if doubles := schema.doubles and len(keep) == len(header) == schema.width:  # said once, it costs a third less
        types, options["na_values"] = np.float64, _GAPS
    try:
        frame = _parsed(lambda: pd.read_csv(io.BytesIO(body), dtype=types, **options), len(header), has_header)
    except (ValueError, OverflowError):  # a value does not fit: find it
        doubles, options = False, options | {"na_values": [], "dtype": "object"}
        frame = _parsed(lambda: pd.read_csv(io.BytesIO(body), **options), len(header), has_header)
    order = [header.index(name) for name in schema.names if name in header] if schema.named else keep
    if doubles and len(frame):
        return (frame if order == keep else frame[order]).to_numpy(), len(frame)
    names = [header[i] if schema.named else str(i) for i in keep]
    columns = {name: _values(frame[i], kinds[i]) for name, i in zip(names, keep, strict=True)}
    first = 2 if has_header else 1

    def where(row: int, name: str) -> str:
        return f"line {row + first}, column {name!r}" if schema.named else f"line {row + first}, column {name}"

    if not len(frame):
        return None, 0
    return schema.from_columns(Columns(columns, len(frame), where, "line 1")), len(frame)


def _small(body: bytes, header: list[str], has_header: bool, schema: Schema) -> np.ndarray[Any, Any] | None:
    """Return a short body of plain numbers without pandas, which takes as long to import as a thousand requests.

    None for anything out of the ordinary: gaps, quotes, odd lines, columns that lack. Pandas then says what it is.
    """
    lines = [line for line in body.splitlines() if line][has_header:]
    if not lines or b"".join(lines).translate(None, _PLAIN):
        return None
    at = {name: place for place, name in enumerate(header)}
    order = [at.get(name, -1) for name in schema.names] if schema.named else list(range(schema.width))
    if -1 in order or (not schema.named and len(header) != schema.width):
        return None
    try:
        matrix = np.array([list(map(float, line.split(b","))) for line in lines])
    except ValueError:
        return None
    return matrix[:, order] if matrix.ndim == 2 and matrix.shape[1] == len(header) else None


def _unnamed_kind(schema: Schema) -> str:
    kinds = {column.type for column in schema.inputs}
    return kinds.pop() if len(kinds) == 1 else "object"


def _values(series: Any, kind: str) -> Any:
    """Return a parsed column: an array where pandas gave it its type, else texts with None for gaps."""
    if series.dtype != object and kind in _READ_AS:
        return series.to_numpy()
    if kind == "string":
        return [value if isinstance(value, str) and value else None for value in series]
    return [None if value in _GAPS else value for value in series.tolist()]


def has_header(body: bytes, schema: Schema) -> bool:
    """Return whether the first line holds column names, as it must for a model that knows its columns by name."""
    return not body.strip() or _header(body, schema)[1]


def _header(body: bytes, schema: Schema) -> tuple[list[str], bool]:
    """Return the column names, and whether the first line holds them."""
    if not body.strip():
        raise Refusal("the body is empty. Send a header line with the column names, then one line a row.")
    try:
        text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline="")
        header = next((row for row in csv.reader(text) if row), [])
    except UnicodeDecodeError:
        raise Refusal("the body is not UTF-8.", expected="CSV in UTF-8") from None
    except csv.Error:
        raise Refusal("the first line is not CSV.", path="line 1", expected="column names") from None
    header = [name.strip() for name in header]
    counted = [str(i) for i in range(len(header))]
    if schema.inputs and not schema.named and header != counted and all(_is_number(name) for name in header):
        return counted, False
    if len(set(header)) != len(header):
        raise Refusal("a column name occurs twice. Send each column once.", path="line 1")
    return header, True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_names(header: list[str], schema: Schema) -> None:
    missing = [c.name for c in schema.inputs if c.required and c.name not in header]
    if missing:
        raise Refusal(
            f"missing column {missing[0]!r}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}."
            " The first line must hold the column names.",
            path="line 1",
            expected=f"column {missing[0]!r}",
        )


def _parsed(read: Callable[[], pd.DataFrame], width: int, has_header: bool) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = read()
    except UnicodeDecodeError:
        raise Refusal("the body is not UTF-8.", expected="CSV in UTF-8") from None
    except pd.errors.EmptyDataError:
        raise Refusal("the body holds no column.") from None
    except pd.errors.ParserError as error:
        if found := re.search(r"Expected \d+ fields in line (\d+)", str(error)):
            raise _too_long(int(found.group(1)), width) from None
        raise Refusal("the body is not valid CSV: a quote may be open.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took what is too much in the first row for an index
        raise _too_long(2 if has_header else 1, width)
    return frame


def _too_long(line: int, width: int) -> Refusal:
    return Refusal("this line has too many fields.", path=f"line {line}", expected=f"{width} fields")
