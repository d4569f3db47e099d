"""Scoring requests from bytes, predictions to bytes: every dialect that MLflow's server ever spoke.

``text/csv``; Parquet; ``application/json`` as ``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs``
(each with ``params`` beside), as the bare ``{"columns": …, "data": …}`` of 2021, and as a bare list of records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import orjson

from nbtrack.entities import Signature
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.schema import Columns, Rows, Schema, kind_of

PARQUET: Final = ("application/vnd.apache.parquet", "application/x-parquet")
FORMATS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
_SLOW_JSON_BYTES: Final = 8 << 20  # bodies with a literal NaN are read by the standard library, up to this size
_UTF8: Final = {"utf-8", "utf8", "us-ascii", "ascii"}
_AT = re.compile(r"^(.*?)(?: - at `(.*)`)?$", re.DOTALL)
_Fast = float | None
_U = msgspec.UnsetType
_UNSET: Final = msgspec.UNSET


class _FastSplit(msgspec.Struct):
    data: list[list[_Fast]]
    columns: list[str] | _U = _UNSET


class _FastBody(msgspec.Struct):
    """A request in which every value is a number or null: what most are."""

    dataframe_split: _FastSplit | _U = _UNSET
    dataframe_records: list[dict[str, _Fast]] | _U = _UNSET
    instances: list[list[_Fast] | dict[str, _Fast]] | _U = _UNSET
    inputs: list[list[_Fast] | dict[str, _Fast]] | dict[str, list[_Fast]] | _U = _UNSET
    columns: list[str] | _U = _UNSET
    data: list[list[_Fast]] | _U = _UNSET
    params: dict[str, Any] | None = None


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str | int] | _U = _UNSET


class _Body(msgspec.Struct):
    """Any request."""

    dataframe_split: _Split | _U = _UNSET
    dataframe_records: list[dict[str, Any]] | _U = _UNSET
    instances: list[Any] | _U = _UNSET
    inputs: list[Any] | dict[str, Any] | _U = _UNSET
    columns: list[str | int] | _U = _UNSET
    data: list[list[Any]] | _U = _UNSET
    params: dict[str, Any] | None = None


_FAST_OBJECT = msgspec.json.Decoder(_FastBody)
_FAST_LIST = msgspec.json.Decoder(list[list[_Fast] | dict[str, _Fast]])
_ANY_OBJECT = msgspec.json.Decoder(_Body)
_ANY_LIST = msgspec.json.Decoder(list[list[Any] | dict[str, Any]])


@dataclass(slots=True)
class Decoded:
    """A request: `data` as the model wants it, `rows` of them."""

    data: Any
    rows: int
    params: dict[str, Any] = field(default_factory=dict)
    note: str = ""


class Codec:
    """Reads requests for one model.

    Parameters
    ----------
    signature
        The model's signature, if it has one.
    """

    def __init__(self, signature: Signature | None) -> None:
        self.schema = Schema(signature)
        numeric = {"double", "float"}
        self._fast = bool(self.schema.inputs) and all(c.type in numeric for c in self.schema.inputs)
        self._kinds: dict[str, tuple[str, dict[str, str]]] = {}  # Content-Type headers seen before

    def decode(self, body: bytes, content_type: str) -> Decoded:
        """Return what a request asks for.

        Raises
        ------
        Refusal
            If it cannot be read or does not fit the schema.
        """
        found = self._kinds.get(content_type)
        if found is None:
            found = media_type(content_type)
            if len(self._kinds) < 100:
                self._kinds[content_type] = found
        if found[0] == "text/csv":
            from nbtrack.serving.csv_reader import read_csv

            return Decoded(*read_csv(body, self.schema))
        if found[0] in PARQUET:
            from nbtrack.serving.parquet import read_parquet

            return Decoded(*read_parquet(body, self.schema))
        try:
            return self._decode_json(body)
        except RecursionError:
            raise Refusal("the JSON is nested too deeply; expected at most a list of lists of values.") from None

    def _decode_json(self, body: bytes) -> Decoded:
        if body[:3] == b"\xef\xbb\xbf":
            body = body[3:]
        start = body[:64].lstrip()[:1]
        if not start and not body.strip():
            raise Refusal(f"the body is empty. Send one of {', '.join(FORMATS)}.")
        read: Any = None
        if self._fast or self.schema.numbers:
            try:
                read = (_FAST_LIST if start == b"[" else _FAST_OBJECT).decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                read = None
        if isinstance(read, _FastBody) and (straight := self._straight(read)) is not None:
            return straight
        plain = read is not None and self._fast  # whole numbers may be too large to have been read as doubles
        if not plain:
            read = _decode_slowly(body, _ANY_LIST if start == b"[" else _ANY_OBJECT)
        return self._listed(read, "$", plain) if isinstance(read, list) else self._object(read, plain)

    def _straight(self, body: _FastBody) -> Decoded | None:
        """The same for what most clients send: a split with exactly the model's columns, in order; else None."""
        split = body.dataframe_split
        if (
            not self.schema.numbers
            or isinstance(split, _U)
            or split.columns != self.schema.names
            or body.params
            or not (body.inputs is body.instances is body.dataframe_records is body.data is _UNSET)
        ):
            return None
        try:
            matrix = np.array(split.data, dtype=np.float64)
        except ValueError:  # ragged: the long way says where
            return None
        if matrix.ndim != 2 or matrix.shape[1] != self.schema.width or not self.schema.is_whole(matrix):
            return None
        return Decoded(matrix, len(matrix))

    def _object(self, body: Any, plain: bool) -> Decoded:
        used = [name for name in FORMATS if getattr(body, name) is not _UNSET]
        if body.data is not _UNSET:
            used.append("data")
        if len(used) != 1:
            got = f"got {len(used)} of them" if used else "got none of them"
            raise Refusal(
                f"expected exactly one of {', '.join(FORMATS)}, or columns and data; {got}.",
                path="$",
                expected="one of " + ", ".join(FORMATS),
            )
        params = self.schema.read_params(body.params) if body.params and self.schema.params else {}
        name = used[0]
        value = getattr(body, name)
        if name == "dataframe_split":
            decoded = self._split(value.columns, value.data, "$.dataframe_split", plain)
        elif name == "data":
            decoded = self._split(body.columns, value, "$", plain)
        elif name == "dataframe_records":
            decoded = self._records(value, "$.dataframe_records")
        elif isinstance(value, dict):
            decoded = self._by_column(value, f"$.{name}")
        else:
            decoded = self._listed(value, f"$.{name}", plain)
        decoded.params = params
        return decoded

    def _split(self, columns: Any, data: list[list[Any]], path: str, plain: bool) -> Decoded:
        names = None if columns is _UNSET else [str(name) for name in columns]
        rows = Rows(data, names, f"{path}.data", f"{path}.columns", plain)
        return self._rows(rows, note="" if names is not None or not self.schema.named else "columns taken by position")

    def _rows(self, rows: Rows, note: str = "") -> Decoded:
        return Decoded(self.schema.from_rows(rows) if rows.values else None, len(rows.values), note=note)

    def _records(self, records: Sequence[Mapping[str, Any]], path: str) -> Decoded:
        schema = self.schema
        if schema.named:
            names = schema.names
            columns: dict[str, Any] = {}
            for name, column in zip(names, schema.inputs, strict=True):
                try:
                    columns[name] = [record[name] for record in records]
                except KeyError:
                    if column.required:
                        bad = next(i for i, record in enumerate(records) if name not in record)
                        raise Refusal(
                            f"missing column {name!r}. The model needs all of its {len(names)} columns, in any order.",
                            path=f"{path}[{bad}]",
                            expected=f"column {name!r}",
                        ) from None
                    columns[name] = [record.get(name) for record in records]
        else:
            keys = list(dict.fromkeys(key for record in records for key in record))
            columns = {key: [record.get(key) for record in records] for key in keys}
        if not records:
            return Decoded(None, 0)
        given = Columns(columns, len(records), lambda i, name: f"{path}[{i}].{name}", path)
        return Decoded(schema.from_columns(given), len(records))

    def _by_column(self, given: Mapping[str, Any], path: str) -> Decoded:
        """``{"a": [1, 2], "b": [3, 4]}``, or one row as ``{"a": 1, "b": 3}``."""
        scalar = not any(isinstance(value, list) for value in given.values())
        values = {name: [value] for name, value in given.items()} if scalar else given
        count: int | None = None
        for name, column in values.items():
            if not isinstance(column, list) or (count is not None and len(column) != count):
                raise Refusal(
                    f"the columns do not have the same length; got {kind_of(column)}.",
                    path=f"{path}.{name}" if self.schema.named and name in self.schema.names else path,
                    expected="lists of the same length",
                )
            count = len(column)
        if not count:
            return Decoded(None, 0)
        where = (lambda _, name: f"{path}.{name}") if scalar else (lambda i, name: f"{path}.{name}[{i}]")
        return Decoded(self.schema.from_columns(Columns(values, count, where, path)), count)

    def _listed(self, values: list[Any], path: str, plain: bool) -> Decoded:
        """A list of records, of rows, or (for a model of one column) of values."""
        if not values:
            return Decoded(None, 0)
        kinds = set(map(type, values))
        if kinds == {dict}:
            return self._records(values, path)
        if kinds == {list}:
            if self.schema.inputs or not any(isinstance(value, (list, dict)) for value in values[0]):
                note = "columns taken by position" if self.schema.named else ""
                return self._rows(Rows(values, None, path, path, plain), note)
            return self._tensor(values, path)
        if kinds & {list, dict}:
            odd = next(i for i, value in enumerate(values) if type(value) is not type(values[0]))
            raise Refusal("the rows are not all of one kind.", path=f"{path}[{odd}]", expected=kind_of(values[0]))
        if self.schema.width == 1:
            where = lambda i, _: f"{path}[{i}]"  # noqa: E731
            name = self.schema.names[0] if self.schema.named else "0"
            data = self.schema.from_columns(Columns({name: values}, len(values), where, path))
            return Decoded(data if self.schema.named else data[:, 0], len(values))
        if not self.schema.inputs:
            return self._tensor(values, path)
        raise Refusal(
            f"expected rows, got {kind_of(values[0])}. Send a list of lists or a list of objects.",
            path=f"{path}[0]",
            expected="list or object",
        )

    def _tensor(self, values: list[Any], path: str) -> Decoded:
        try:
            array = np.array(values)
        except (ValueError, OverflowError) as error:
            raise Refusal("the values do not form an array: they differ in shape.", path=path) from error
        return Decoded(array, len(values))


def _decode_slowly(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _told(error) from None
    except ValueError as error:  # of msgspec's own kind or, for some releases' bad UTF-8, Python's
        _check_utf8(body)
        if len(body) > _SLOW_JSON_BYTES or not (b"NaN" in body or b"Infinity" in body):
            raise Refusal(f"{error}. Send JSON that is whole and valid.", expected="JSON") from None
    try:
        return msgspec.convert(json.loads(body), decoder.type)
    except msgspec.ValidationError as error:
        raise _told(error) from None
    except ValueError as error:
        position = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise Refusal(f"JSON is malformed{position}. Send JSON that is whole and valid.", expected="JSON") from None


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Refusal("the body is not UTF-8.", expected="JSON in UTF-8") from None


def _told(error: msgspec.ValidationError) -> Refusal:
    """Turn msgspec's words, which hold types and a path but no data, into ours."""
    found = _AT.match(str(error))
    message, path = (found.group(1), found.group(2) or "$") if found else ("it does not fit", "$")
    wanted = re.search(r"Expected `([^`]*)`", message)
    expected = re.sub(r"array", "list", wanted.group(1)) if wanted else ""
    message = message.replace("`array", "`list").replace("`", "")
    return Refusal(f"{message[:1].lower()}{message[1:]}.", path=path, expected=expected)


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """Return the kind of a body and the options that came with it.

    Raises
    ------
    Refusal
        With status 415 for anything but CSV and JSON in UTF-8.
    """
    hint = "Send application/json or text/csv in UTF-8, or application/vnd.apache.parquet."
    kind, *rest = (part.strip() for part in content_type.split(";"))
    options = {}
    for part in rest:
        name, _, value = part.partition("=")
        options[name.strip().lower()] = value.strip().strip('"').lower()
    kind = kind.lower()
    if kind not in {"application/json", "text/csv", *PARQUET}:
        what = "there is no Content-Type" if not kind else "this Content-Type is not known here"
        raise Refusal(f"{what}. {hint}", status=415, expected="application/json or text/csv")
    if options.get("charset", "utf-8") not in _UTF8:
        raise Refusal(f"this charset is not known here. {hint}", status=415, expected="charset=utf-8")
    return kind, options


# -- answers -----------------------------------------------------------------------------------------------------------
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode(predictions: Any) -> bytes:
    """Return ``{"predictions": …}`` as JSON; NaN and infinities, which JSON cannot say, become null."""
    return orjson.dumps({"predictions": plain(predictions)}, default=_plain_scalar, option=_OPTIONS)


def plain(predictions: Any) -> Any:
    """Return predictions of any library as values that JSON can carry, row by row."""
    if isinstance(predictions, np.ndarray):
        if predictions.dtype.kind in "iub" or predictions.dtype == np.float64:
            return np.ascontiguousarray(predictions)
        if predictions.dtype.kind == "f":  # widened, so that the digits say exactly the same number
            return np.ascontiguousarray(predictions, dtype=np.float64)
        return predictions.tolist()
    if hasattr(predictions, "to_dict") and hasattr(predictions, "columns"):
        return predictions.to_dict(orient="records")
    if hasattr(predictions, "toarray"):
        return plain(predictions.toarray())
    if hasattr(predictions, "to_numpy"):
        return plain(predictions.to_numpy())
    if isinstance(predictions, dict):
        return {str(key): plain(value) for key, value in predictions.items()}
    if isinstance(predictions, (list, tuple)):
        return [plain(value) for value in predictions]
    return predictions


def _plain_scalar(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
