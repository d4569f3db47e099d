"""Curves, bands, figures and files over the wire."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    yield open_store(tmp_path / "store")


def ask(store: Store, op: str, **fields: Any) -> Any:
    reply = json.loads(answer_json(store, json.dumps({"op": op, **fields}).encode()))
    assert reply["ok"], reply
    return reply["answer"]


def refused(store: Store, op: str, **fields: Any) -> str:
    reply = json.loads(answer_json(store, json.dumps({"op": op, **fields}).encode()))
    assert not reply["ok"], reply
    return f"{reply['error']['code']}: {reply['error']['message']}"


def curve_run(name: str, offset: float, count: int = 5000) -> str:
    with nbtrack.start_run(run_name=name) as run:
        nbtrack.log_param("kind", name[0])
        for step in range(count):
            nbtrack.log_metric("loss", offset + (9.0 if step == 777 else 0.0), step=step, timestamp=10_000 + step * 10)
    return run.run_id


def test_series_of_a_window_is_finer_and_says_how_many_points_there_are(store: Store) -> None:
    run_id = curve_run("a", 1.0)
    (whole,) = ask(store, "series", run_ids=[run_id], keys=["loss"], max_points=100)["series"]
    assert (whole["count"], whole["start"], whole["smooth"]) == (5000, 10_000, None)
    assert len(whole["step"]) <= 100
    assert max(whole["value"]) == 10.0
    (part,) = ask(store, "series", run_ids=[run_id], keys=["loss"], max_points=100, low=770, high=790)["series"]
    assert part["step"] == list(range(769, 792))
    (late,) = ask(store, "series", run_ids=[run_id], keys=["loss"], axis="relative", low=49_900)["series"]
    assert late["time"][0] == 10_000 + 49_890


def test_series_smoothed_brings_raw_and_smooth_values(store: Store) -> None:
    run_id = curve_run("a", 1.0, 800)
    (one,) = ask(store, "series", run_ids=[run_id], keys=["loss"], smooth=0.9)["series"]
    assert max(one["value"]) == 10.0
    assert 1.0 < max(one["smooth"]) < 2.0
    assert "smooth: expected 0 to below 1" in refused(store, "series", run_ids=[run_id], keys=["loss"], smooth=1.5)


def test_bands_of_groups_keep_their_order_and_leave_out_empty_ones(store: Store) -> None:
    runs = [curve_run("a1", 1.0, 50), curve_run("a2", 3.0, 50), curve_run("b", 7.0, 50)]
    groups = {"b": runs[2:], "none": [], "a": runs[:2]}
    first, second = ask(store, "bands", groups=groups, keys=["loss"])["bands"]
    assert (first["name"], second["name"], second["runs"]) == ("b", "a", 2)
    assert (second["mean"][0], second["low"][0], second["high"][0]) == (2.0, 1.0, 3.0)


def test_figure_of_a_filter_has_words_numbers_and_a_drawing(store: Store) -> None:
    for i in range(6):
        with nbtrack.start_run(run_name=f"r{i}"):
            nbtrack.log_param("lr", i)
            nbtrack.log_metrics({"accuracy": i / 10, "odd": float("nan")})
    figure = ask(store, "figure", kind="scatter", filter="metrics.accuracy > 0.15", metric="accuracy")
    assert figure["note"] == "accuracy over lr: 4 of 4 runs have both."
    assert figure["spec"]["data"][0]["y"] == [0.2, 0.3, 0.4, 0.5]
    assert figure["table"]["total"] == 4
    assert refused(store, "figure", kind="best", metric="nothing").startswith("not_found: column: none of these runs")


def test_plotly_is_the_program_of_the_installed_plotly(store: Store) -> None:
    found = ask(store, "plotly")
    source = gzip.decompress(base64.b64decode(found["source"])).decode()
    assert "plotly.js" in source[:200]
    import plotly

    assert found["version"] == plotly.__version__


FILES: list[tuple[str, bytes, str]] = [
    ("notes.txt", "hällo".encode(), "text"),
    ("page.html", b"<script>1</script>", "html"),
    ("drawing.svg", b"<svg/>", "svg"),
    ("rows.csv", b"a,b\n1,x\n", "table"),
    ("records.json", b'[{"a": 1}, {"a": 2}]', "table"),
    ("config.json", b'{"a": 1}', "text"),
    ("figure.json", b'{"data": [], "layout": {}}', "plotly"),
    ("image.png", b"\x89PNG....", "image"),
    ("weights.bin", b"\0\1\2\3", "binary"),
    ("empty.txt", b"", "text"),
    ("bad.csv", b"\xff\xfe\0", "binary"),
]


@pytest.mark.parametrize(("path", "data", "kind"), FILES)
def test_artifact_comes_as_what_it_is(store: Store, path: str, data: bytes, kind: str) -> None:
    with nbtrack.start_run() as run:
        run.log_bytes(data, path)
    found = ask(store, "artifact", run_id=run.run_id, path=path)
    assert (found["kind"], found["size_bytes"]) == (kind, len(data))
    if kind in {"text", "html", "svg", "plotly"}:
        assert found["text"] == data.decode()
    whole = ask(store, "artifact", run_id=run.run_id, path=path, whole=True)
    assert base64.b64decode(whole["data"]) == data


def test_artifact_too_long_to_show_is_cut_between_characters(store: Store) -> None:
    with nbtrack.start_run() as run:
        run.log_bytes("ä".encode() * 150_000 + b"x", "log.txt")
    found = ask(store, "artifact", run_id=run.run_id, path="log.txt")
    assert (found["kind"], found["cut"], set(found["text"])) == ("text", True, {"ä"})
    assert "has no file 'nothing'" in refused(store, "artifact", run_id=run.run_id, path="nothing")


def test_run_names_its_parent_its_children_and_what_it_read(store: Store) -> None:
    with nbtrack.start_run(run_name="parent") as parent:
        parent.log_input(pd.DataFrame({"a": [1]}), "training", name="frame")
        with nbtrack.start_run(run_name="child", nested=True) as child:
            pass
    above = ask(store, "run", run_id=parent.run_id)
    assert above["children"] == [[child.run_id, "child", "FINISHED"]]
    assert [(one["name"], one["context"]) for one in above["inputs"]] == [("frame", "training")]
    assert ask(store, "run", run_id=child.run_id)["parent"] == [parent.run_id, "parent"]
