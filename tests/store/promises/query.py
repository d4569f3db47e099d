"""Filters at random, judged by an evaluator of their own: whatever serves a search, its meaning is the plain one."""

from __future__ import annotations

import fnmatch
import math
import random
from collections.abc import Callable
from typing import Any

from nbtrack.store.base import Store

from .base import Promises

T0 = 1_700_000_000_000
Row = dict[str, Any]
Test = Callable[[Row], bool]
NUMBERS = [0.0, -0.0, 1.0, 2.5, -3.0, 1e308, math.inf, -math.inf, math.nan, 0.1]
TEXTS = ["a", "A", "b", "ab", "x%y", "x_y", "ü", "it's", "10", "9", "0.5"]
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "last": lambda v: v[-1],
    "min": lambda v: min((x for x in v if x == x), default=math.nan),
    "max": lambda v: max((x for x in v if x == x), default=math.nan),
    "count": lambda v: float(len(v)),
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def quoted(text: str) -> str:
    """Return a text as the filter language quotes it."""
    return '"' + text + '"' if "'" in text else f"'{text}'"


def like(text: str, pattern: str) -> bool:
    """Return whether a text fits a SQL pattern, by way of the shell's."""
    escaped = "".join({"%": "*", "_": "?"}.get(c, f"[{c}]" if c in "*?[" else c) for c in pattern)
    return fnmatch.fnmatchcase(text, escaped)


def number_test(rng: random.Random) -> tuple[str, Test]:
    """Return a comparison of a metric, and what it means."""
    key, op = rng.choice(["m", "k", "none"]), rng.choice(list(COMPARE))
    wanted = rng.choice([n for n in NUMBERS if math.isfinite(n)])
    name, fold = rng.choice(list(AGGREGATES.items()))
    field = f"metrics.{key}" if name == "last" else rng.choice([f"{name}(metrics.{key})", f"metrics.{key}.{name}"])

    def test(row: Row) -> bool:
        values = row["metrics"].get(key)
        return values is not None and COMPARE[op](fold(values), wanted)

    return f"{field} {op} {wanted!r}", test


def text_test(rng: random.Random) -> tuple[str, Test]:
    """Return a test of a param, tag or name, and what it means."""
    kind, key = rng.choice([("params", "p"), ("params", "q r"), ("tags", "t"), ("name", "run_name")])
    field = key if kind == "name" else f"{kind}.`{key}`"
    wanted = rng.choice(TEXTS)

    def value(row: Row) -> str | None:
        found: str | None = row["name"] if kind == "name" else row[kind].get(key)
        return found

    def on(test: Callable[[str], bool]) -> Test:
        return lambda row: (found := value(row)) is not None and test(found)

    match rng.randrange(6):
        case 0:
            return f"{field} = {quoted(wanted)}", on(lambda found: found == wanted)
        case 1:
            return f"{field} != {quoted(wanted)}", on(lambda found: found != wanted)
        case 2:
            pattern = rng.choice(["%", "a%", "%b", "_", "x_y", "%'%", "%.%", wanted])
            return f"{field} LIKE {quoted(pattern)}", on(lambda found: like(found, pattern))
        case 3:
            pattern = rng.choice(["A%", "%B", "Ab"])
            return f"{field} ilike {quoted(pattern)}", on(lambda found: like(found.lower(), pattern.lower()))
        case 4:
            some = rng.sample(TEXTS, 3)
            negated = rng.random() < 0.5
            listed = ", ".join(map(quoted, some))
            return f"{field} {'NOT ' * negated}IN ({listed})", on(lambda found: (found in some) != negated)
        case _:
            negated = rng.random() < 0.5
            return f"{field} IS {'NOT ' * negated}NULL", lambda row: (value(row) is None) != negated


def expression(rng: random.Random, depth: int = 0) -> tuple[str, Test]:
    """Return a filter and what it means."""
    if depth > 3 or rng.random() < 0.35:
        return rng.choice((number_test, text_test))(rng)
    if rng.random() < 0.15:
        text, test = expression(rng, depth + 1)
        return f"NOT ({text})", lambda row: not test(row)
    parts = [expression(rng, depth + 1) for _ in range(rng.choice((2, 2, 3)))]
    tests = [test for _, test in parts]
    if rng.random() < 0.5:
        return " AND ".join(f"({text})" for text, _ in parts), lambda row: all(test(row) for test in tests)
    return " or ".join(f"({text})" for text, _ in parts), lambda row: any(test(row) for test in tests)


def fill(store: Store, rng: random.Random, count: int) -> dict[str, Row]:
    """Write runs at random; return what each holds."""
    rows: dict[str, Row] = {}
    for number in range(count):
        row: Row = {"name": rng.choice(TEXTS), "metrics": {}, "params": {}, "tags": {}}
        writer = store.create_run(run_name=row["name"], start_time_ms=T0 + number)
        for key in ("m", "k"):
            values = rng.choices(NUMBERS, k=rng.choice((0, 1, 1, 3)))
            for value in values:
                writer.log_metrics({key: value})
            if values:
                row["metrics"][key] = values
        for kind, keys, call in (("params", ("p", "q r"), writer.log_params), ("tags", ("t",), writer.set_tags)):
            row[kind] = {key: rng.choice(TEXTS) for key in keys if rng.random() < 0.7}
            call(row[kind])
        writer.end(end_time_ms=T0 + number + 5)
        rows[writer.run_id] = row
    return rows


class QueryPromises(Promises):
    """What a store promises about the meaning of filters."""

    def test_search_random_filters_mean_what_they_say(self, store: Store) -> None:
        rng = random.Random(11)
        rows = fill(store, rng, 120)
        reader = self.fresh(store)
        reader.rebuild_index()
        some = 0
        for _ in range(600):
            text, test = expression(rng)
            expected = [run_id for run_id in reversed(rows) if test(rows[run_id])]
            found = [r.run_id for r in reader.search_runs(filter_string=text)]
            assert found == expected, (text, [rows[r] for r in set(found) ^ set(expected)][:3])
            assert list(reader.run_table(filter_string=text).run_ids) == expected
            some += 0 < len(found) < len(rows)
        assert some > 250

    def test_search_random_filters_see_live_and_edited_runs(self, store: Store) -> None:
        rng = random.Random(12)
        rows = fill(store, rng, 30)
        reader = self.fresh(store)
        reader.search_runs()
        for number in range(self.many_changes):
            run_id = rng.choice(list(rows))
            if number % 3 == 0:
                text = rng.choice(TEXTS)
                store.edit_run(run_id, tags={"t": text})
                rows[run_id]["tags"]["t"] = text
            elif number % 3 == 1 and "t" in rows[run_id]["tags"]:
                store.edit_run(run_id, tags={"t": None})
                del rows[run_id]["tags"]["t"]
            else:
                fresh = fill(store, rng, 1)
                rows |= fresh
            for _ in range(4):
                text, test = expression(rng)
                found = {r.run_id for r in reader.search_runs(filter_string=text)}
                assert found == {run_id for run_id, row in rows.items() if test(row)}, text

    def test_search_params_compare_as_numbers_with_a_number(self, store: Store) -> None:
        ids = {}
        for value in ("9", "10", "0.5", "1e2", "abc", ""):
            writer = store.create_run(run_name=value or "empty")
            writer.log_params({"p": value})
            writer.end()
            ids[value] = writer.run_id
        for text, expected in (
            ("params.p > 5", {"9", "10", "1e2"}),
            ("params.p <= 9", {"9", "0.5"}),
            ("params.p = 10", {"10"}),
            ("params.p = '10'", {"10"}),
            ("params.p > '5'", {"9", "abc"}),
        ):
            found = {r.data.params["p"] for r in self.fresh(store).search_runs(filter_string=text)}
            assert found == expected, text

    def test_search_hostile_filters_are_quick(self, store: Store) -> None:
        import time

        writer = store.create_run(run_name="a" * 200)
        writer.log_params({"p": "a" * 5000 + "b"})
        writer.end()
        reader = self.fresh(store)
        start = time.process_time()
        for text in (
            "params.p LIKE '" + "%a" * 200 + "%c'",
            "params.p LIKE '" + "a%" * 200 + "'",
            "(" * 50 + "metrics.m > 1" + ")" * 50,
            " or ".join(f"metrics.m{i} > 1" for i in range(400)),
            f"run_id in ({', '.join(repr('0' * 21) for _ in range(500))})",
        ):
            reader.search_runs(filter_string=text)
        assert time.process_time() - start < 5
