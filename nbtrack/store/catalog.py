"""Which columns a table of runs has, without reading what stands in them: a store may have thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtrack.names import natural_key

if TYPE_CHECKING:
    from nbtrack.store.base import ColumnKind, RunTable
    from nbtrack.store.columns import Array, MetricColumn, TextColumn
    from nbtrack.store.snapshot import Table

_TEXTS_LOOKED_AT = 200  # so many different texts tell whether a column holds numbers


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column of some runs: `count` of them have a value, `varies` says whether they differ in it.

    `numeric` says whether the values can be sorted as numbers.
    """

    kind: ColumnKind
    key: str
    count: int
    varies: bool
    numeric: bool


@dataclass(frozen=True, slots=True)
class RunCatalog:
    """The params, metrics and tags that at least one of `total` runs has, in the order of a :class:`RunTable`."""

    columns: Sequence[ColumnInfo]
    total: int
    revision: str


def is_number(text: str) -> bool:
    """Return whether a text can be read as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def catalog_of_table(table: RunTable) -> RunCatalog:
    """Return what a whole table says of its columns."""
    found = []
    for column in (one for one in table.columns if one.kind != "attribute"):
        present = [value for value in column.values if value is not None]
        varies = any(value != column.values[0] for value in column.values)
        numeric = column.kind == "metric" or all(is_number(text) for text in present)
        found.append(ColumnInfo(column.kind, column.key, len(present), varies, numeric))
    return RunCatalog(found, table.total, table.revision)


def catalog_of_rows(table: Table, rows: Array) -> list[ColumnInfo]:
    """Return the columns that some rows of the index have."""
    import numpy as np

    chosen = np.zeros(table.rows, bool)
    chosen[rows] = True
    found = [_of_texts("param", key, table.params[key], rows, chosen) for key in sorted(table.params, key=natural_key)]
    found += [_of_metric(key, table.metrics[key], rows, chosen) for key in sorted(table.metrics, key=natural_key)]
    found += [_of_texts("tag", key, table.tags[key], rows, chosen) for key in sorted(table.tags, key=natural_key)]
    return [one for one in found if one.count]


def _present(column: Any, rows: Array, chosen: Array) -> Array:
    """Return what the column holds for the rows; of a sparse one only what is there."""
    if not column.is_sparse:
        dense: Array = column.dense(len(chosen))[rows]
        return dense
    at, values = column.sparse()
    inside = at < len(chosen)
    few: Array = values[inside][chosen[at[inside]]]
    return few


def _of_metric(key: str, column: MetricColumn, rows: Array, chosen: Array) -> ColumnInfo:
    from nbtrack.store.columns import is_logged

    values = _present(column.last, rows, chosen)
    values = values[is_logged(values)]
    varies = len(values) > 0 and (len(values) < len(rows) or bool((values != values[0]).any()))
    return ColumnInfo("metric", key, len(values), varies, True)


def _of_texts(kind: ColumnKind, key: str, column: TextColumn, rows: Array, chosen: Array) -> ColumnInfo:
    import numpy as np

    codes = _present(column, rows, chosen)
    codes = codes[codes >= 0]
    different = np.flatnonzero(np.bincount(codes)) if len(codes) else codes
    texts = {text for text in column.texts.some(different[:_TEXTS_LOOKED_AT]) if text is not None}
    varies = len(codes) > 0 and (len(codes) < len(rows) or len(texts) > 1 or len(different) > _TEXTS_LOOKED_AT)
    return ColumnInfo(kind, key, len(codes), varies, bool(texts) and all(map(is_number, texts)))
