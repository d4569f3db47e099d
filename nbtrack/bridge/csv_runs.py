"""Reads runs out of a CSV file: which column is a param, a metric or a step is told, or shows in its name."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from nbtrack.bridge.foreign import ForeignExperiment, ForeignRun, Source
from nbtrack.errors import InvalidInputError

SUFFIXES: Final = (".csv", ".tsv")
_PLAIN: Final = ("run", "step", "time")
_STEPS: Final = frozenset({"step", "epoch", "iteration", "global_step"})
_RUNS: Final = ("run_id", "run_name", "run")
_TIMES: Final = ("start_time", "timestamp", "time", "date")
_IGNORED: Final = frozenset({"experiment_id", "artifact_uri", "end_time", "status", "", "unnamed: 0"})
_SECONDS_UNTIL: Final = 1e11  # a number below is seconds since 1970, above milliseconds


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what.

    Parameters
    ----------
    params, metrics, tags
        Columns that hold these.
    run
        The column that tells runs apart; without one, and without a step, every row is a run.
    step
        The column with the step of the metrics in a row.
    time
        The column with the time: ISO 8601, or seconds or milliseconds since 1970.
    """

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    run: str | None = None
    step: str | None = None
    time: str | None = None


class CsvRuns(Source):
    """The runs in a CSV file.

    What `columns` leaves open shows in the names: ``params.x``, ``metrics.x`` and ``tags.x`` as
    ``nbtrack.search_runs().to_csv()`` writes them; ``run_id``, ``run_name``, ``step``, ``epoch``, ``start_time``. Of
    the others, those that hold only numbers are metrics, and the rest params.

    Raises
    ------
    InvalidInputError
        If the file is no table with a head, or `columns` names one that there is not.
    """

    def __init__(self, place: str | Path, columns: Columns | None = None) -> None:
        super().__init__()
        self._file = Path(place)
        self._head, self._rows = self._read()
        self._columns = self._found(columns or Columns())
        self.report.repaired.append(self._told())

    def _read(self) -> tuple[list[str], list[tuple[int, list[str]]]]:
        where = f"import {self._file}"
        try:
            text = self._file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{where}: is no text in UTF-8 (byte {error.start:,}). Save it as such.") from error
        except OSError as error:
            raise InvalidInputError(f"{where}: cannot be read ({error.strerror or error}).") from error
        first = text.partition("\n")[0]
        separator = max(",;\t", key=first.count)
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
        rows: list[tuple[int, list[str]]] = []
        try:
            head = [name.strip() for name in next(reader, [])]
            for row in reader:
                if not any(row):
                    continue
                if len(row) != len(head):
                    self.report.problems.append(
                        f"line {reader.line_num}: left out; expected {len(head)} fields, got {len(row)}."
                    )
                    continue
                rows.append((reader.line_num, row))
        except csv.Error as error:
            raise InvalidInputError(f"{where}: line {reader.line_num}: is no CSV ({error}).") from error
        if not head or not any(head):
            raise InvalidInputError(f"{where}: is empty; expected a first line with the names of the columns.")
        if twice := {name for name in head if name and head.count(name) > 1}:
            raise InvalidInputError(f"{where}: expected columns with different names, got {sorted(twice)!r} twice.")
        return head, rows

    def _found(self, told: Columns) -> Columns:
        named = [name for one in fields(told) for name in _names(getattr(told, one.name))]
        if unknown := [name for name in named if name not in self._head]:
            raise InvalidInputError(
                f"import {self._file}: there is no column {unknown[0]!r}; there are {', '.join(map(repr, self._head))}."
            )
        if twice := [name for name in named if named.count(name) > 1]:
            raise InvalidInputError(f"import {self._file}: the column {twice[0]!r} is said to be two things.")
        free = [name for name in self._head if name not in named and name.lower() not in _IGNORED]

        def pick(given: str | None, wanted: Sequence[str]) -> str | None:
            found = given or next((name for one in wanted for name in free if name.lower() == one), None)
            if found in free:
                free.remove(found)
            return found

        run, step, time = pick(told.run, _RUNS), pick(told.step, sorted(_STEPS)), pick(told.time, _TIMES)
        for word in ("params", "metrics", "tags"):
            more = tuple(name for name in free if name.startswith(f"{word}."))
            told = replace(told, **{word: (*getattr(told, word), *more)})  # type: ignore[arg-type]
            free = [name for name in free if name not in more]
        numbers = [name for name in free if self._is_numeric(name)]
        params = (*told.params, *(name for name in free if name not in numbers))
        return replace(told, run=run, step=step, time=time, params=params, metrics=(*told.metrics, *numbers))

    def _is_numeric(self, name: str) -> bool:
        at = self._head.index(name)
        cells = [row[at] for _, row in self._rows if row[at].strip()]
        return bool(cells) and all(_number(cell) is not None for cell in cells)

    def _told(self) -> str:
        parts = [f"{word}: {', '.join(names)}" for word in ("params", "metrics", "tags")
                 if (names := getattr(self._columns, word))]  # fmt: skip
        parts += [f"{word}: {name}" for word in _PLAIN if (name := getattr(self._columns, word))]
        return f"columns taken as {'; '.join(parts)}."

    def experiments(self) -> Sequence[ForeignExperiment]:
        return [ForeignExperiment(self._file.stem, self._file.stem)]

    def count(self) -> int:
        return len(self._grouped())

    def _grouped(self) -> dict[str, list[tuple[int, Mapping[str, str]]]]:
        """Return the rows of each run by what tells it apart."""
        columns = self._columns
        found: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
        seen: dict[str, int] = {}
        for line, row in self._rows:
            cells = dict(zip(self._head, row, strict=True))
            if columns.run is not None:
                key = cells[columns.run].strip()
            elif columns.step is not None:
                key = self._file.stem
            else:
                text = "\x1f".join(row)
                seen[text] = seen.get(text, 0) + 1
                key = f"{text}\x1e{seen[text]}"
            found.setdefault(key, []).append((line, cells))
        return found

    def runs(self, known: frozenset[str]) -> Iterator[ForeignRun | None]:
        for number, (key, rows) in enumerate(self._grouped().items(), start=1):
            run_id = sha256(f"csv {self._file.stem} {key}".encode("utf-8", "replace")).hexdigest()[:32]
            if run_id in known:
                self.report.known += 1
                yield None
                continue
            name = key if self._columns.run or self._columns.step else f"{self._file.stem}-{number}"
            yield self._run(run_id, name or f"{self._file.stem}-{number}", rows)

    def _run(self, run_id: str, name: str, rows: Sequence[tuple[int, Mapping[str, str]]]) -> ForeignRun:
        columns = self._columns
        base = int(self._file.stat().st_mtime * 1000)
        run = ForeignRun(run_id, self._file.stem, name, "FINISHED", base, base)
        times = [self._time(line, cells, base) for line, cells in rows]
        if columns.time is not None:
            run.start_time_ms, run.end_time_ms = min(times), max(times)
        for at, (line, cells) in zip(times, rows, strict=True):
            step = 0 if columns.step is None else self._step(line, cells[columns.step])
            if step is None:
                continue
            for column in columns.metrics:
                value = self._metric(line, column, cells[column])
                if value is not None:
                    points = run.metrics.setdefault(column.removeprefix("metrics."), [])
                    points.append((at, value, step if columns.step is not None else len(points)))
            for column in columns.params:
                if cells[column].strip():
                    self._once(run.params, line, column.removeprefix("params."), cells[column].strip())
            run.tags |= {one.removeprefix("tags."): cells[one] for one in columns.tags if cells[one].strip()}
        for points in run.metrics.values():
            points.sort(key=lambda point: (point[2], point[0]))
        return run

    def _once(self, params: dict[str, str], line: int, key: str, value: str) -> None:
        if params.setdefault(key, value) != value:
            self._say(
                f"line {line}: param {key!r} is {value!r:.40} here and {params[key]!r:.40} before; the first is kept."
            )

    def _metric(self, line: int, column: str, cell: str) -> float | None:
        if not cell.strip():
            return None
        value = _number(cell)
        if value is None:
            self._say(f"line {line}: {column!r}: left out; expected a number, got {cell!r:.40}.")
        return value

    def _step(self, line: int, cell: str) -> int | None:
        value = _number(cell)
        if value is None or not math.isfinite(value) or value != int(value):
            self._say(f"line {line}: left out; expected a whole number as the step, got {cell!r:.40}.")
            return None
        return int(value)

    def _time(self, line: int, cells: Mapping[str, str], base: int) -> int:
        cell = cells[self._columns.time].strip() if self._columns.time else ""
        if not cell:
            return base
        value = _number(cell)
        if value is not None and math.isfinite(value) and value >= 0:
            return int(value * 1000) if value < _SECONDS_UNTIL else int(value)
        try:
            told = datetime.fromisoformat(cell)
            return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1000)
        except ValueError:
            self._say(f"line {line}: expected a time in {self._columns.time!r}, got {cell!r:.40}; the file's is taken.")
            return base

    def _say(self, text: str) -> None:
        if len(self.report.problems) < 1000:
            self.report.problems.append(text)


def _names(told: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (told,) if isinstance(told, str) else told or ()


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
