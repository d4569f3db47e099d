"""The index: one row a run, kept up to date with as little reading as possible, and never needed for the truth.

A refresh asks each day's folder for its modification time (0.7 ms for a year of days), lists those that changed, reads
the first and last line of new logs, and the new bytes of live ones. A folder is listed again until it has been still
for two seconds, because some file systems have coarse clocks.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from threading import RLock
from typing import Any, Final

import numpy as np

from nbtrack.store import liveness
from nbtrack.store.base import Progress
from nbtrack.store.collecting import no_collecting
from nbtrack.store.columns import SnapshotDamagedError
from nbtrack.store.files import remove, temp_name
from nbtrack.store.layout import DAY, INDEX, LOG_SUFFIX, RUNS, SETTLE_S, split_run_file
from nbtrack.store.log import LogFold
from nbtrack.store.rows import Rows
from nbtrack.store.runs import header_of, read_run, read_sealed
from nbtrack.store.snapshot import Snapshot, write_snapshot

_SMALL_LOG: Final = 64 << 10
_DEAD_FOR_GOOD_S: Final = 86_400.0
_NO_SKEW_NS: Final = 3600 * 10**9  # clocks of hosts do not differ by that much


class _Day:
    """What is known of one day's folder; of the folder of all days, its times."""

    __slots__ = ("changed_at", "extras", "listed_at", "mtime", "names", "settled")

    def __init__(
        self, mtime: int = -1, *, settled: bool = False, names: set[str] | None = None, extras: set[str] | None = None
    ) -> None:
        self.mtime = mtime
        self.changed_at = -10.0  # monotonic; when a change was seen last
        self.listed_at = -10.0  # monotonic
        self.settled = settled
        self.names = names  # None: those of its rows and its extras
        self.extras = extras if extras is not None else set()  # files of runs beyond their first log


class _Live:
    """A log that may still grow."""

    __slots__ = ("alive", "fold", "header", "path", "run_id", "size")

    def __init__(
        self, run_id: str, path: str, *, fold: LogFold | None = None, size: int = -1, alive: bool = True
    ) -> None:
        self.run_id = run_id
        self.path = path
        self.header: dict[str, Any] | None = None
        self.fold = fold
        self.size = size
        self.alive = alive


class RunIndex(Rows):
    """The index of the store in `root`. Callers hold `lock`."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.path = f"{root}/{INDEX}/snapshot"
        self.lock = RLock()
        self._runs = _Day()  # the folder that holds those of the days
        self._days: dict[str, _Day] = {}
        self._live: dict[tuple[str, str], _Live] = {}
        self._folded_bytes = 0
        self._unsettled = 0  # days that the snapshot does not vouch for
        self._opened = False

    # -- opening and saving ----------------------------------------------------------------------------------------
    def _open(self) -> None:
        self._opened = True
        try:
            snapshot = Snapshot(self.path)
            table, cursor = snapshot.table(), snapshot.header["cursor"]
            days = {
                day: _Day(mtime, settled=True, extras=set(extras)) for day, (mtime, extras) in cursor["days"].items()
            }
            runs = _Day(int(cursor["runs"]), settled=True)
            damage = {str(run_id): tuple(texts) for run_id, texts in cursor["damage"].items()}
            live = [
                _Live(
                    run_id,
                    f"{self.root}/{RUNS}/{day}/{name}",
                    fold=None if saved is None else LogFold.load(saved),
                    size=size,
                    alive=alive,
                )
                for day, name, run_id, size, alive, saved in cursor["live"]
            ]
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, SnapshotDamagedError):
            return
        self.table, self._days, self._snapshot, self.damage = table, days, snapshot, damage
        self._sorted_rows = table.rows
        for one in live:
            folder, name = os.path.split(one.path)
            self._live[os.path.basename(folder), name] = one
        self._unsettled = sum(known.mtime < 0 for known in days.values())
        self._runs = runs

    def clear(self) -> None:
        """Forget everything; the next refresh builds the index anew."""
        lock = self.lock  # somebody may wait for it
        self.__init__(self.root)  # type: ignore[misc]
        self.lock = lock
        self._opened = True

    @property
    def unsaved(self) -> bool:
        """Whether there is something that the snapshot does not hold."""
        return self._new_rows > 0 or self._folded_bytes > 0

    def save(self) -> None:
        """Write a snapshot; it does not matter if that fails."""
        table = self.table
        alive = table.numbers["alive"].dense(table.rows)
        keep = None if alive.all() else np.flatnonzero(alive)
        self._settle_by_server_clock()
        days = {day: [known.mtime if known.settled else -1, sorted(known.extras)] for day, known in self._days.items()}
        live = [
            [day, name, one.run_id, one.size, one.alive, None if one.fold is None else one.fold.save()]
            for (day, name), one in self._live.items()
        ]
        runs = self._runs.mtime if self._runs.settled else -1
        cursor = {"runs": runs, "days": days, "live": live, "damage": self.damage}
        with suppress(OSError):
            write_snapshot(self.path, table, cursor, keep)
            self._new_rows = self._folded_bytes = 0
            self._unsettled = sum(not known.settled for known in self._days.values())

    def _settle_by_server_clock(self) -> None:
        """Settle the days that had been still for long enough when they were listed, by the clock that stamped them."""
        folder = f"{self.root}/{INDEX}"
        probe = temp_name(folder)
        try:
            os.makedirs(folder, exist_ok=True)
            fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            server_now = os.fstat(fd).st_mtime
            os.close(fd)
        except OSError:
            return
        finally:
            remove(probe)
        now = time.monotonic()
        for known in (self._runs, *self._days.values()):
            if known.mtime >= 0 and known.mtime / 1e9 + SETTLE_S < server_now - (now - known.listed_at):
                known.settled = True

    # -- refreshing ------------------------------------------------------------------------------------------------
    def refresh(self, progress: Progress | None = None) -> None:
        """Bring the rows up to date."""
        if not self._opened:
            self._open()
        try:
            self._refresh(progress)
        except SnapshotDamagedError:
            self.clear()
            self._refresh(progress)
        settled = self._unsettled > 8 and all(known.settled for known in self._days.values())
        if settled or self._new_rows >= max(256, self.table.rows // 50) or self._folded_bytes > 4 << 20:
            self.save()

    def _refresh(self, progress: Progress | None) -> None:
        now = time.monotonic()
        self._refresh_days(now)
        long_ago = time.time_ns() - _NO_SKEW_NS
        changed: list[tuple[str, _Day]] = []
        for day, known in self._days.items():
            try:
                mtime = os.stat(f"{self.root}/{RUNS}/{day}").st_mtime_ns
            except OSError:
                mtime = -2
            if mtime != known.mtime:
                known.changed_at, known.mtime = now, mtime
                known.settled = 0 <= mtime < long_ago
                changed.append((day, known))
            elif not known.settled:
                known.settled = now - known.changed_at > SETTLE_S
                changed.append((day, known))
        total, done = 0, 0
        work = []
        for day, known in changed:
            new, gone = self._list(day, known)
            if new or gone:
                work.append((day, known, new, gone))
                total += len(new)
        with no_collecting(total > 1000):
            for day, known, new, gone in work:
                done = self._read_day(day, known, new, gone, progress, done, total)
        if progress is not None and total:
            progress(total, total)
        if self._live:
            for (day, name), live in list(self._live.items()):
                if (day, name) in self._live:
                    self._look(day, name, live)

    def _refresh_days(self, now: float) -> None:
        folder, known = f"{self.root}/{RUNS}", self._runs
        try:
            mtime = os.stat(folder).st_mtime_ns
        except OSError:
            mtime = -2
        if mtime != known.mtime:
            known.mtime, known.changed_at = mtime, now
            known.settled = 0 <= mtime < time.time_ns() - _NO_SKEW_NS
        elif known.settled:
            return
        else:
            known.settled = now - known.changed_at > SETTLE_S
        known.listed_at = now
        try:
            with os.scandir(folder) as entries:
                days = {e.name for e in entries if DAY.fullmatch(e.name) and e.is_dir(follow_symlinks=False)}
        except OSError:
            days = set()
        for day in sorted(days - self._days.keys()):
            self._days[day] = _Day(names=set())

    def _list(self, day: str, known: _Day) -> tuple[set[str], set[str]]:
        """Return the names that came to a day's folder, and those that went."""
        known.listed_at = time.monotonic()
        try:
            names = set(os.listdir(f"{self.root}/{RUNS}/{day}"))
        except OSError:
            names = set()
        before = self._names(day, known)
        # Not each name is looked at: of many thousands, mostly all are known.
        new, gone = {name for name in names - before if name.endswith(LOG_SUFFIX)}, before - names
        if new or gone:
            known.names = (before - gone) | new
        return new, gone

    def _names(self, day: str, known: _Day) -> set[str]:
        if known.names is None:
            table = self.table
            code = np.array(table.texts["day"].texts.codes_of(day), np.int32)
            of_day = np.isin(table.texts["day"].dense(table.rows), code)
            of_day &= table.numbers["alive"].dense(table.rows) != 0
            ids = table.ids.dense(table.rows)[of_day]
            known.names = {f"{run_id.decode()}{LOG_SUFFIX}" for run_id in ids.tolist()} | known.extras
        return known.names

    def _read_day(
        self,
        day: str,
        known: _Day,
        new: set[str],
        gone: set[str],
        progress: Progress | None,
        done: int,
        total: int,
    ) -> int:
        names = known.names or set()
        several: set[str] = set()
        firsts: list[tuple[str, str]] = []
        for name in gone:
            parts = split_run_file(name)
            self._live.pop((day, name), None)
            known.extras.discard(name)
            if parts is not None:
                several.add(parts[0])
        for name in sorted(new):
            parts = split_run_file(name)
            if parts is None:
                continue
            if parts[1]:
                known.extras.add(name)
                several.add(parts[0])
            else:
                firsts.append((parts[0], name))
        if several or (known.extras and firsts):
            by_run: dict[str, list[str]] = {run_id: [] for run_id in several}
            for name in known.extras:
                by_run.setdefault(name.split("+")[0].split("~")[0], []).append(name)
            for run_id in sorted(several | {r for r, _ in firsts if by_run.get(r)}):
                first = f"{run_id}{LOG_SUFFIX}"
                self._read_whole(day, run_id, [*by_run[run_id], *([first] if first in names else [])])
            firsts = [(r, n) for r, n in firsts if not by_run.get(r)]
        for run_id, name in firsts:
            self._read_first(day, run_id, name)
            done += 1
            if progress is not None and done % 256 == 0:
                progress(done, total)
        return done

    def _read_first(self, day: str, run_id: str, name: str) -> None:
        """Read a run that has one file only."""
        state = read_sealed(f"{self.root}/{RUNS}/{day}/{name}", run_id, _SMALL_LOG)
        if state is not None:
            self._put(day, state)
        else:
            self._read_whole(day, run_id, [name])

    def _read_whole(self, day: str, run_id: str, names: list[str]) -> None:
        """Read a run from all its files; of logs that are live only what is new."""
        folder = f"{self.root}/{RUNS}/{day}"
        old = {name: self._live.pop((day, name), None) for name in names}
        folds: dict[str, LogFold | None] = {
            live.path: live.fold for live in old.values() if live is not None and live.fold is not None
        }
        before = sum(fold.offset for fold in folds.values() if fold is not None)
        trouble: list[str] = []
        state = read_run(folder, run_id, names, folds=folds, trouble=trouble) if names else None
        self._folded_bytes += sum(fold.offset for fold in folds.values() if fold is not None) - before
        if state is None:
            self._drop(run_id)
            if trouble:
                self.damage[run_id] = tuple(trouble)
        else:
            self._put(day, state)
        for path, fold in folds.items():
            name = os.path.basename(path)
            live = old.get(name) or _Live(run_id, path)
            live.fold, live.size = fold, -1 if fold is None else fold.seen
            live.alive = state is not None and state.status == "RUNNING"
            self._live[day, name] = live

    def _look(self, day: str, name: str, live: _Live) -> None:
        """See what became of a log that was live when it was seen last."""
        try:
            info = os.stat(live.path)
        except OSError:
            return  # gone: the folder's time tells
        if live.header is None and info.st_size:
            live.header = header_of(live.path)
        alive, final = (True, False) if live.header is None else liveness.verdict(live.header, live.path)
        if not alive:
            with suppress(OSError):  # it may have been sealed between the two looks
                info = os.stat(live.path)
        if info.st_size == live.size and alive == live.alive:
            if final or (not alive and time.time() - info.st_mtime > _DEAD_FOR_GOOD_S):
                del self._live[day, name]
            return
        others = [n for n in self._days[day].extras if n.startswith(live.run_id)]
        first = f"{live.run_id}{LOG_SUFFIX}"
        self._read_whole(day, live.run_id, [*others, first])
        if (day, name) in self._live:
            live.alive = alive

    def is_one_sealed_log(self, run_id: str, day: str) -> bool:
        """Return whether a run is its one log, whose last line says all that a search knows of it."""
        known = self._days[day]
        if run_id in self.damage or (self._live and (day, f"{run_id}{LOG_SUFFIX}") in self._live):
            return False
        return not known.extras or not any(name.startswith(run_id) for name in known.extras)

    def files_of(self, row: int) -> tuple[str, list[str]]:
        """Return the folder of a run and the names of its files."""
        table = self.table
        run_id = bytes(table.ids.dense(table.rows)[row]).decode()
        (day,) = table.texts["day"].values(np.array([row]), table.rows)
        known = self._days[day or ""]
        return f"{self.root}/{RUNS}/{day}", [
            f"{run_id}{LOG_SUFFIX}",
            *(name for name in known.extras if name.startswith(run_id)),
        ]

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what changes whenever a row may have changed."""
        return (
            self._runs.mtime,
            tuple((day, known.mtime, len(known.extras)) for day, known in sorted(self._days.items())),
            tuple((key, live.size, live.alive) for key, live in sorted(self._live.items())),
            self.table.rows,
        )
