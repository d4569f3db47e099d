"""Predictions for whole files, piece by piece: as much memory for a hundred million rows as for a hundred thousand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from nbtrack.errors import InvalidInputError, MissingLibraryError
from nbtrack.serving.codec import Decoded, encode
from nbtrack.serving.csv_reader import has_header
from nbtrack.serving.parquet import as_columns, as_table, from_table, pyarrow_parquet
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.scorer import Scorer

FORMATS: Final = ("csv", "json", "parquet")
PIECE_BYTES: Final = 4 << 20
PIECE_ROWS: Final = 20_000
MAX_LINE_BYTES: Final = 64 << 20
_LIST: Final = b'{"predictions":['
_END: Final = b"]}"
_LINE: Final = re.compile(r"^line (\d+)")


class Sink(Protocol):
    """Takes predictions, piece by piece."""

    def add(self, predictions: Any) -> None:
        """Write the predictions of some rows."""

    def close(self) -> None:
        """Write what comes at the end."""


def predict_file(
    scorer: Scorer, source: BinaryIO, kind: str, target: BinaryIO, answer: str, progress: Callable[[int], None]
) -> int:
    """Score a file and return its number of rows.

    Parameters
    ----------
    scorer
        The model.
    source, kind
        The rows: ``"csv"`` or ``"parquet"``, read piece by piece; or ``"json"``, as the body of a request.
    target, answer
        Where predictions go, and whether as ``"json"`` (``{"predictions": …}``), ``"csv"`` or ``"parquet"``.
    progress
        Is told how far into the source it is, in bytes for CSV and in rows for Parquet.

    Raises
    ------
    InvalidInputError
        If the rows do not fit the model.
    MissingLibraryError
        If Parquet is asked for and pyarrow is not installed.
    """
    rows = 0
    try:
        sink = _SINKS[answer](target)
        for decoded, place in _READERS[kind](scorer, source):
            found = scorer.score(decoded.data, decoded.rows, decoded.params)
            if hasattr(found, "__len__") and len(found) != decoded.rows:
                raise InvalidInputError(
                    f"predict: the model gave {len(found)} predictions for {decoded.rows} rows; expected one for each."
                )
            sink.add(found)
            rows += decoded.rows
            progress(place)
        sink.close()
    except Refusal as refusal:
        if refusal.status == 415 and "pyarrow" in refusal.message:
            raise MissingLibraryError(f"predict: {refusal.message}") from None
        raise InvalidInputError(f"predict: {refusal.told}") from refusal
    return rows


# -- rows --------------------------------------------------------------------------------------------------------------
def _csv_pieces(scorer: Scorer, source: BinaryIO) -> Iterator[tuple[Decoded, int]]:
    head, rest = _header(source), b""
    place, line = len(head), 0
    if not has_header(head, scorer.codec.schema):
        head, rest = b"", head
    while True:
        block = source.read(PIECE_BYTES)
        rest += block
        if len(rest) > MAX_LINE_BYTES:
            raise Refusal("no line of the file ends: a quote may be open.", path=f"line {line + 2}")
        end = _whole_lines(rest) if block else len(rest)
        if end or (not block and (rest.strip() or not line)):
            piece, rest = rest[:end], rest[end:]
            try:
                yield scorer.codec.decode(head + piece, "text/csv"), place + len(block)
            except Refusal as refusal:
                if found := _LINE.match(refusal.path):
                    refusal.path = f"line {int(found[1]) + line}{refusal.path[found.end() :]}"
                raise
            line += piece.count(b"\n")
        place += len(block)
        if not block:
            return


def _header(source: BinaryIO) -> bytes:
    """Return the first line: it says what the columns are, so it goes before each piece."""
    head = source.readline()
    while head.count(b'"') % 2 and (more := source.readline()):  # a name that holds a line break
        head += more
    return head if head.endswith(b"\n") else head + b"\n"


def _whole_lines(block: bytes) -> int:
    """Return where the last line that is not within quotes ends; 0 if none does."""
    end = block.rfind(b"\n")
    while end >= 0 and block.count(b'"', 0, end) % 2:
        end = block.rfind(b"\n", 0, end)
    return end + 1


def _parquet_pieces(scorer: Scorer, source: BinaryIO) -> Iterator[tuple[Decoded, int]]:
    import pyarrow as pa

    parquet = pyarrow_parquet()
    rows = 0
    try:
        file = parquet.ParquetFile(source if source.seekable() else io.BytesIO(source.read()))
        for batch in file.iter_batches(PIECE_ROWS):
            data, count = from_table(pa.Table.from_batches([batch]), scorer.codec.schema, rows)
            rows += count
            yield Decoded(data, count), rows
    except pa.ArrowException:
        raise Refusal("the file is no Parquet file that can be read.") from None


def _json_piece(scorer: Scorer, source: BinaryIO) -> Iterator[tuple[Decoded, int]]:
    body = source.read()
    yield scorer.codec.decode(body, "application/json"), len(body)


# -- predictions -------------------------------------------------------------------------------------------------------
class _Json:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._begun = self._listed = False

    def add(self, predictions: Any) -> None:
        text = encode(predictions)
        if not text.startswith(_LIST):  # no list: there is one piece only
            self._target.write(text)
        elif not self._begun:
            self._listed = True
            self._target.write(text[: -len(_END)])
        elif inner := text[len(_LIST) : -len(_END)]:
            self._target.write(b"," + inner)
        self._begun = True

    def close(self) -> None:
        self._target.write(_END + b"\n" if self._listed else b"\n")


class _Csv:
    def __init__(self, target: BinaryIO) -> None:
        self._text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._names: list[str] = []

    def add(self, predictions: Any) -> None:
        columns = as_columns(predictions)
        if not self._names:
            self._names = list(columns)
            self._writer.writerow(self._names)
        values = [columns.get(name, ()) for name in self._names]
        self._writer.writerows(zip(*(v.tolist() if hasattr(v, "tolist") else v for v in values), strict=True))

    def close(self) -> None:
        self._text.detach()


class _Parquet:
    def __init__(self, target: BinaryIO) -> None:
        self._parquet = pyarrow_parquet()
        self._target = target
        self._writer: Any = None

    def add(self, predictions: Any) -> None:
        table = as_table(predictions)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._target, table.schema)
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        if self._writer is None:
            self.add([])
        self._writer.close()


_READERS: Final[dict[str, Callable[[Scorer, BinaryIO], Iterator[tuple[Decoded, int]]]]] = {
    "csv": _csv_pieces,
    "parquet": _parquet_pieces,
    "json": _json_piece,
}
_SINKS: Final[dict[str, Callable[[BinaryIO], Sink]]] = {"json": _Json, "csv": _Csv, "parquet": _Parquet}


def format_of(name: str) -> str | None:
    """Return the format that the name of a file tells; None if it tells none."""
    ending = Path(name).suffix.lower().lstrip(".")
    return {"pq": "parquet"}.get(ending, ending) if ending in {*FORMATS, "pq"} else None


class Finished:
    """A file that appears under its name when it is whole; what was begun is removed otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")

    def __enter__(self) -> BinaryIO:
        self._file = self._part.open("wb")
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            with suppress(OSError):
                self._part.unlink()
