"""Parquet bodies and answers, where pyarrow is installed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from nbtrack.serving.codec import plain
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.schema import Columns, Schema

if TYPE_CHECKING:
    import pyarrow as pa

MAX_UNPACKED_BYTES: Final = 256 << 20
MAX_CELLS: Final = 16 << 20
_MISSING: Final = "Parquet needs pyarrow where the model runs: pip install 'nbtrack[parquet]'. Send CSV or JSON."
_TARGETS: Final = {"double": "double", "float": "float", "long": "int64", "integer": "int32"}


def pyarrow_parquet() -> Any:
    """Return pyarrow's module for Parquet.

    Raises
    ------
    Refusal
        With status 415 if it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise Refusal(_MISSING, status=415, expected="application/json or text/csv") from None
    return pyarrow.parquet


def rows_of(file: BinaryIO) -> int:
    """Return the number of rows of a Parquet file, and go back to its beginning."""
    count = int(pyarrow_parquet().read_metadata(file).num_rows)
    file.seek(0)
    return count


def read_parquet(body: bytes, schema: Schema) -> tuple[Any, int]:
    """Return what the model is given for a Parquet file, and its number of rows.

    Raises
    ------
    Refusal
        If it is no Parquet file, unpacks to too much, lacks a column, or a value does not fit.
    """
    parquet = pyarrow_parquet()
    try:
        found = parquet.read_schema(io.BytesIO(body))
        wanted = [name for name in found.names if not schema.named or name in schema.names]
        if any(_is_nested(found.field(i).type) for i, name in enumerate(found.names) if name in wanted):
            raise Refusal("a column holds lists or records; expected plain values.", path="schema")
        texts = [name for i, name in enumerate(found.names) if name in wanted and _is_text(found.field(i).type)]
        file = parquet.ParquetFile(io.BytesIO(body), read_dictionary=texts)
        if file.metadata.num_rows * max(len(wanted), 1) > MAX_CELLS:
            raise _too_much()
        table = file.read(columns=wanted)
        if sum(map(_unpacked_bytes, table.columns)) > MAX_UNPACKED_BYTES:
            raise _too_much()
    except Refusal:
        raise
    except Exception:  # a damaged file may break anywhere in it
        raise Refusal("the body is no Parquet file that can be read.", expected="a Parquet file") from None
    return from_table(table, schema)


def _too_much() -> Refusal:
    return Refusal("the file unpacks to more than a request may hold. Send fewer rows at once.", status=413)


def _is_nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _unpacked_bytes(column: pa.ChunkedArray) -> int:
    """Return what a column takes as plain values; a text that occurs a million times is packed as one."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    sizes = [compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks]
    return sum(compute.sum(size).as_py() or 0 for size in sizes)


def from_table(table: pa.Table, schema: Schema, first_row: int = 0) -> tuple[Any, int]:
    """Return what the model is given for an Arrow table, and its number of rows."""
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    if len(set(names)) != len(names):
        raise Refusal("a column name occurs twice. Send each column once.", path="schema")
    if not table.num_rows:
        return None, 0
    kinds = {c.name if schema.named else str(i): c.type for i, c in enumerate(schema.inputs)}
    values = {}
    for place, name in enumerate(names):
        key = name if schema.named or not schema.inputs else str(place)
        if key in kinds or not schema.inputs or not schema.named:
            values[key] = _values(table.column(name), kinds.get(key, ""))

    def where(row: int, name: str) -> str:
        return f"row {row + first_row}, column {name!r}"

    return schema.from_columns(Columns(values, table.num_rows, where, "schema")), table.num_rows


def _values(column: pa.ChunkedArray, kind: str) -> Any:
    """Return a column as an array where its type allows that without a loss, else as a list of plain values."""
    import pyarrow as pa

    numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    exact = not kind.startswith(("long", "integer")) or (pa.types.is_integer(column.type) and not column.null_count)
    if numbers and exact and kind in _TARGETS:
        try:
            return column.cast(_TARGETS[kind]).to_numpy()
        except pa.ArrowInvalid:  # too large for the type: the long way says where
            pass
    found = column.to_pylist()
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in found] if kind else found


def as_table(predictions: Any) -> pa.Table:
    """Return predictions as an Arrow table, one row each."""
    import pyarrow as pa

    columns = as_columns(predictions)
    try:
        return pa.table({name: pa.array(values) for name, values in columns.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):  # of mixed kinds
        return pa.table({name: pa.array([str(value) for value in values]) for name, values in columns.items()})


def as_columns(predictions: Any) -> dict[str, Any]:
    """Return predictions as columns: ``prediction``, or one for each output."""
    found = plain(predictions)
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        names = list(dict.fromkeys(str(name) for row in found for name in row))
        return {name: [row.get(name) for row in found] for name in names}
    if isinstance(found, dict):
        return found
    array = np.asarray(found)
    if array.ndim == 2:
        return {f"prediction_{place}": array[:, place] for place in range(array.shape[1])}
    return {"prediction": array if array.ndim == 1 else list(found)}


def encode_parquet(predictions: Any) -> bytes:
    """Return predictions as a Parquet file."""
    buffer = io.BytesIO()
    pyarrow_parquet().write_table(as_table(predictions), buffer)
    return buffer.getvalue()
