"""Why runs are different: ranked, in words, escaped, and through the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.capture.differences import circumstances
from nbtrack.errors import InvalidInputError
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


def cell(count: int, source: str, cell_id: str | None = None, *, this: bool = False) -> dict[str, Any]:
    return {"execution_count": count, "cell_id": cell_id, "source": source, "reads": [], "writes": [], "this": this}


def add(name: str, metrics: dict[str, float], params: dict[str, Any] | None = None, **capture: Any) -> str:
    with nbtrack.start_run(run_name=name) as run:
        nbtrack.log_params(params or {})
        nbtrack.log_metrics(metrics)
        run.log_capture(capture)
    return str(run.info.run_id)


def kinds(found: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.key) for one in found.differences]


def frame(digest: str, rows: int = 10, columns: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    return {"name": "X", "kind": "DataFrame", "shape": [rows, len(columns)], "columns": list(columns), "digest": digest}


def test_diff_ranks_what_most_likely_matters_first(store):
    packages = {"numpy": "2.4.0", "scikit-learn": "1.9.1", "rich": "14.0.0"}
    source = "%%track\nmodel = SVC(C=C).fit(X)\nacc = model.score(X)"
    a = add(
        "a",
        {"acc": 0.5},
        {"C": 1.0, "seed": 1, "n_jobs": 1},
        source=source,
        packages=packages,
        data=[frame("1" * 16)],
        git={"commit": "a" * 40},
        slice={"cells": [cell(1, "C = 1.0"), cell(2, "X = load()"), cell(3, source, this=True)]},
    )
    b = add(
        "b",
        {"acc": 0.75},
        {"C": 2.0, "seed": 2, "n_jobs": 2},
        source=source.replace("acc =", "# a comment\nacc ="),
        packages={**packages, "scikit-learn": "2.0.0", "rich": "14.0.1"},
        data=[frame("2" * 16, rows=12, columns=("a", "c"))],
        git={"commit": "b" * 40, "dirty": True},
        slice={"cells": [cell(7, "C = 2.0"), cell(8, "X = load(clean=True)"), cell(9, source, this=True)]},
    )
    found = nbtrack.diff(a, b)
    assert kinds(found) == [
        ("data", "X"),
        ("param", "C"),
        ("upstream", "In [2] X = load()"),
        ("seed", "seed"),
        ("environment", "scikit-learn"),
        ("upstream", "In [1] C = 1.0"),  # the param has said it already
        ("param", "n_jobs"),
        ("git", "commit"),
        ("environment", "rich"),
    ]
    assert found.metrics == (("acc", (0.5, 0.75)),)
    assert "the code of the cell" in found.same  # a comment is no difference
    data = found.differences[0]
    assert data.text == "X: 10 × 2 (11111111) → 12 × 2 (22222222); + c; − b"
    assert found.verdict.startswith("Most likely: data X: ")
    assert "  param: C: 1.0 → 2.0\n" in repr(found)
    weights = [one.weight for one in found.differences]
    assert weights == sorted(weights, reverse=True)
    code = next(one for one in found.differences if one.key == "In [2] X = load()")
    assert "+X = load(clean=True)" in code.patches[1]
    assert code.patches[0] == ""


def test_diff_data_that_changed_code_made_is_no_cause_of_its_own(store):
    def used(load: str) -> dict[str, Any]:
        made = {**cell(1, load), "writes": ["X"]}
        return {"cells": [made, {**cell(2, "p = f(X)", this=True), "reads": ["X"], "writes": ["p"]}]}

    result = {**frame("3" * 16), "name": "p"}
    a = add("a", {"acc": 0.5}, data=[frame("1" * 16), result], source="s", slice=used("X = load()"))
    changed = [frame("2" * 16), {**result, "digest": "4" * 16}]
    b = add("b", {"acc": 0.7}, data=changed, source="s", slice=used("X = load(2)"))
    c = add("c", {"acc": 0.7}, data=changed, source="s", slice=used("X = load()"))
    assert [one.kind for one in nbtrack.diff(a, b).differences] == ["upstream", "data"]
    assert [(one.key, one.weight) for one in nbtrack.diff(a, c).differences] == [("X", 0.95)]


def test_diff_matches_edited_cells_and_names_those_that_only_one_run_used(store):
    common = "frame = frame.dropna()\nframe = frame[frame.x > 0]\nframe = frame.reset_index()"
    a = add("a", {"acc": 0.5}, source="s", slice={"cells": [cell(1, "import pandas"), cell(2, common)]})
    edited = common.replace("> 0", "> frame.x.mean()")
    new = "frame['z'] = 1\nprint(frame)"
    b = add("b", {"acc": 0.6}, source="s", slice={"cells": [cell(4, "import pandas"), cell(5, edited), cell(6, new)]})
    found = nbtrack.diff(a, b)
    assert [(one.key, one.values) for one in found.differences] == [
        ("In [2] frame = frame.dropna()", ("In [2] frame = frame.dropna()", "In [5] frame = frame.dropna()")),
        ("In [6] frame['z'] = 1", (None, "In [6] frame['z'] = 1")),
    ]
    assert "1 cell that was used" in found.same


def test_diff_of_several_runs_is_a_table(store):
    ids = [add(f"r{i}", {"acc": i / 10, "same": 1.0}, {"C": i, "k": 1}) for i in range(4)]
    found = nbtrack.diff(*ids)
    assert found.run_ids == tuple(ids)
    assert found.differences[0].values == ("0", "1", "2", "3")
    assert found.metrics == (("acc", (0.0, 0.1, 0.2, 0.3)),)
    assert found._repr_html_().count("r3") >= 2


def test_diff_says_so_where_nothing_differs_or_nothing_is_known(store):
    a = add("a", {"acc": 0.5, "bad": float("nan")}, {"C": 1}, packages={"numpy": "2"})
    b = add("b", {"acc": 0.5, "bad": float("nan")}, {"C": 1})
    found = nbtrack.diff(a, b)
    assert found.verdict == "No difference found, and the metrics are the same."
    assert found.metrics == ()
    assert found.unknown == ("packages: not recorded for b",)
    c = add("c", {"acc": 0.75, "bad": float("nan")}, {"C": 1})
    assert "nothing recorded does" in nbtrack.diff(b, c).verdict
    with pytest.raises(InvalidInputError, match="expected two or more different runs, got 1"):
        nbtrack.diff(a, a)


def test_diff_shows_hostile_text_harmlessly(store):
    a = add(HOSTILE, {"acc": 0.5}, {HOSTILE.replace("<", "").replace(">", ""): HOSTILE}, source=f"x = '{HOSTILE}'")
    b = add("b", {"acc": 0.6}, {}, source="y = 2\x1b[31m", data=[{"name": HOSTILE}])
    found = nbtrack.diff(a, b)
    html = found._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
    assert "\x1b" not in repr(found)


def test_diff_through_the_wire_carries_the_same(store):
    a = add("a", {"acc": 0.5, "lost": float("nan")}, {"C": 1}, source="x = 1")
    b = add("b", {"acc": 0.7, "lost": 1.0}, {"C": 2}, source="import os")
    reply = json.loads(answer_json(store, json.dumps({"op": "diff", "run_ids": [a, b]}).encode()))
    assert reply["ok"], reply
    told = reply["answer"]
    assert told["run_names"] == ["a", "b"]
    assert told["metrics"][0] == {"key": "acc", "values": [0.5, 0.7], "better": "higher"}
    assert told["metrics"][1]["values"] == ["NaN", 1.0]
    assert told["differences"][0]["text"] == "C: 1 → 2"
    assert told["differences"][1]["kind"] == "cell"
    assert "+import os" in told["differences"][1]["patches"][1]


def test_circumstances_are_what_is_around_the_code(store):
    a = add("a", {}, {"C": 1}, data=[frame("1" * 16)], seeds={"numpy": 1}, packages={"numpy": "1.0"}, python="3.11.1")
    b = add("b", {}, {"C": 2}, data=[frame("2" * 16)], seeds={"numpy": 2}, packages={"numpy": "2.0"}, python="3.12.1")
    found = circumstances(store.get_run(a), store.get_run(b))
    assert [one.key for one in found] == ["X", "numpy", "numpy", "python"]
    assert found[0].text == "X: same shape, other content"
