"""Parquet as a request and as an answer; whole files scored piece by piece, in as much memory as a piece takes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbtrack.entities import Column, Signature
from nbtrack.errors import InvalidInputError
from nbtrack.serving import bulk
from nbtrack.serving.bulk import Finished, format_of, predict_file
from nbtrack.serving.scorer import Scorer

from .helpers import Served

PARQUET = "application/vnd.apache.parquet"
SUM = Scorer(lambda data: data.sum(axis=1), Signature(inputs=(Column("a", "double"), Column("b", "double"))))


def as_parquet(frame: pd.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, **options)
    return buffer.getvalue()


def test_parquet_is_scored_as_the_frame_is(wine: Served, mixed: Served) -> None:
    for served in (wine, mixed):
        frame = served.data
        shuffled = frame.sample(frac=1, random_state=0, axis=1).assign(more=1)
        for body in (as_parquet(frame), as_parquet(shuffled, index=True), as_parquet(frame.convert_dtypes())):
            reply = served.ask(body, PARQUET)
            assert reply.status == 200 and reply.json["predictions"] == served.model.predict(frame).tolist()
    assert wine.ask(as_parquet(wine.data[:0]), PARQUET).json == {"predictions": []}


def test_parquet_that_does_not_fit_is_a_refusal_that_says_where(mixed: Served) -> None:
    frame = mixed.data.head(20)
    for broken, where, expected in (
        (frame.drop(columns="city"), "schema", "column 'city'"),
        (frame.assign(age=[*range(19), 1.5]), "row 19, column 'age'", "long"),
        (frame.assign(level=2**40), "row 0, column 'level'", "integer"),
        (frame.assign(city=5), "row 0, column 'city'", "string"),
    ):
        reply = mixed.ask(as_parquet(broken), PARQUET)
        assert (reply.status, reply.json["path"], reply.json["expected"]) == (400, where, expected)
    good = as_parquet(frame)
    for junk in (b"PAR1", good[:-30], good[:60] + bytes(100) + good[160:], b"a,b\n1,2\n"):
        reply = mixed.ask(junk, PARQUET)
        assert reply.status == 400 and "Traceback" not in reply.text


def test_parquet_bomb_is_refused_before_it_unpacks(wine: Served, mixed: Served) -> None:
    rows = 2_000_000
    many = pa.table({name: pa.nulls(rows, pa.float64()) for name in wine.data.columns})
    one_text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, dtype=np.int32)), ["x" * 1_000_000])
    texts = pa.Table.from_pandas(mixed.data.sample(10_000, replace=True), preserve_index=False)
    texts = texts.set_column(texts.column_names.index("city"), "city", one_text)
    for served, table in ((wine, many), (mixed, texts)):
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        reply = served.ask(buffer.getvalue(), PARQUET)
        assert (reply.status, reply.json["error_code"]) == (413, "PAYLOAD_TOO_LARGE")
    nested = pa.table({"x": [[1.0]]} | {name: [1.0] for name in wine.data.columns[1:]})
    nested = nested.rename_columns(list(wine.data.columns))
    buffer = io.BytesIO()
    pq.write_table(nested, buffer)
    assert wine.ask(buffer.getvalue(), PARQUET).json["path"] == "schema"


def test_answer_is_parquet_for_who_accepts_it(wine: Served) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", wine.server.port, timeout=20)
    connection.request("POST", "/invocations", as_parquet(wine.data), {"Content-Type": PARQUET, "Accept": PARQUET})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.headers["Content-Type"] == PARQUET
    assert pd.read_parquet(io.BytesIO(body))["prediction"].tolist() == wine.model.predict(wine.data).tolist()


WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from nbtrack.serving.codec import Codec
from nbtrack.serving.refusal import Refusal
from nbtrack.entities import Column, Signature
try:
    Codec(Signature(inputs=(Column("a", "double"),))).decode(b"PAR1", "application/vnd.apache.parquet")
except Refusal as refusal:
    print(refusal.status, refusal.message)
"""


def test_where_pyarrow_is_missing_the_answer_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("415 Parquet needs pyarrow") and "nbtrack[parquet]" in done.stdout


def scored(body: bytes, kind: str, answer: str, scorer: Scorer = SUM) -> tuple[bytes, list[int]]:
    out, places = io.BytesIO(), []
    predict_file(scorer, io.BytesIO(body), kind, out, answer, places.append)
    return out.getvalue(), places


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PIECE_BYTES", 37)
    monkeypatch.setattr(bulk, "PIECE_ROWS", 7)


@pytest.mark.usefixtures("small_pieces")
def test_pieces_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"b": rng.normal(size=100), "note": ['x\n"y",'] * 100, "a": rng.normal(size=100)})
    expected = frame[["a", "b"]].to_numpy().sum(axis=1).tolist()
    text = frame.to_csv(index=False).encode()
    for body, kind in ((text, "csv"), (text.rstrip(b"\n"), "csv"), (as_parquet(frame), "parquet")):
        out, places = scored(body, kind, "json")
        assert json.loads(out) == {"predictions": expected}
        assert places == sorted(places) and len(places) > 5
        assert places[-1] == (len(body) if kind == "csv" else 100)
        rows = list(csv.reader(io.StringIO(scored(body, kind, "csv")[0].decode())))
        assert rows[0] == ["prediction"] and [float(row[0]) for row in rows[1:]] == expected
        assert pd.read_parquet(io.BytesIO(scored(body, kind, "parquet")[0]))["prediction"].tolist() == expected
    request = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": frame[["a", "b"]].to_numpy().tolist()}})
    assert json.loads(scored(request.encode(), "json", "json")[0]) == {"predictions": expected}


@pytest.mark.usefixtures("small_pieces")
def test_csv_without_a_header_and_empty_files() -> None:
    unnamed = Scorer(lambda data: data[:, 0], Signature(inputs=(Column(None, "double"), Column(None, "double"))))
    body = "".join(f"{i}.0,1.0\n" for i in range(30)).encode()
    assert json.loads(scored(body, "csv", "json", unnamed)[0])["predictions"] == [float(i) for i in range(30)]
    assert scored(b"a,b\n", "csv", "json")[0] == b'{"predictions":[]}\n'
    assert scored(b"a,b\n", "csv", "csv")[0] == b"prediction\n"
    assert len(pd.read_parquet(io.BytesIO(scored(b"a,b\n", "csv", "parquet")[0]))) == 0


@pytest.mark.usefixtures("small_pieces")
def test_row_that_does_not_fit_is_named_by_its_line() -> None:
    lines = ["a,b", *("1.0,2.0" for _ in range(40))]
    lines[33] = "1.0,x"
    with pytest.raises(InvalidInputError, match="line 34, column 'b'"):
        scored("\n".join(lines).encode(), "csv", "json")
    frame = pd.DataFrame({"a": ["1"] * 40, "b": ["2"] * 39 + ["x"]})
    with pytest.raises(InvalidInputError, match="row 39, column 'b'"):
        scored(as_parquet(frame), "parquet", "json")
    for body in (b"", b"\n\n"):
        with pytest.raises(InvalidInputError, match="empty"):
            scored(body, "csv", "json")
    with pytest.raises(InvalidInputError, match="no Parquet file"):
        scored(b"PAR1", "parquet", "json")


def test_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PIECE_BYTES", 1000)
    monkeypatch.setattr(bulk, "MAX_LINE_BYTES", 10_000)
    with pytest.raises(InvalidInputError, match="no line of the file ends"):
        scored(b"a,b\n1,2\n" + b'"' + b"1,2\n" * 10_000, "csv", "json")


def test_models_that_answer_with_tables_and_labels() -> None:
    two = Scorer(lambda data: np.stack([data[:, 0], data[:, 1]], axis=1), SUM.signature)
    assert scored(b"a,b\n1,2\n3,4\n", "csv", "csv", two)[0] == b"prediction_0,prediction_1\n1.0,2.0\n3.0,4.0\n"
    frame = Scorer(lambda data: pd.DataFrame({"low": data[:, 0], "high": data[:, 1]}), SUM.signature)
    assert scored(b"a,b\n1,2\n", "csv", "csv", frame)[0] == b"low,high\n1.0,2.0\n"
    words = Scorer(lambda data: np.array(["ä,b"] * len(data)), SUM.signature)
    assert scored(b"a,b\n1,2\n", "csv", "csv", words)[0] == 'prediction\n"ä,b"\n'.encode()
    short = Scorer(lambda data: data[:1, 0], SUM.signature)
    with pytest.raises(InvalidInputError, match="1 predictions for 2 rows"):
        scored(b"a,b\n1,2\n3,4\n", "csv", "csv", short)


def test_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")
    with pytest.raises(RuntimeError, match="half way"), Finished(target) as file:
        file.write(b"half")
        raise RuntimeError("half way")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and target.read_text() == "before"
    with Finished(target) as file:
        file.write(b"whole")
    assert target.read_text() == "whole"
    found = [format_of(name) for name in ("a.CSV", "a.pq", "b.parquet", "c.json", "d", "e.txt")]
    assert found == ["csv", "parquet", "parquet", "json", None, None]


MEASURED = """
import resource, sys
from nbtrack.cli import cli
cli(["models", "predict", *sys.argv[1:]], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    import nbtrack

    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(100_000, 10)), columns=list("abcdefghij"))
    from sklearn.linear_model import LinearRegression

    nbtrack.save_model(LinearRegression().fit(data, data["a"]), tmp_path / "m", input_example=data.head(2))
    text = data.to_csv(index=False).encode()
    head, _, rows = text.partition(b"\n")
    memory, sizes = [], []
    for name, times in (("small.csv", 1), ("large.csv", 12)):
        with (tmp_path / name).open("wb") as file:
            file.write(head + b"\n")
            for _ in range(times):
                file.write(rows)
        out = tmp_path / f"{name}.out.csv"
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "-m", tmp_path / "m", "-i", tmp_path / name, "-o", out],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        memory.append(int(done.stderr.split()[-1]) / 1024)
        sizes.append((tmp_path / name).stat().st_size / 1e6)
        with out.open() as file:
            assert sum(1 for _ in file) == 1 + 100_000 * times
    print(f"{sizes[0]:.0f} MB of CSV: {memory[0]:.0f} MB; {sizes[1]:.0f} MB of CSV: {memory[1]:.0f} MB")
    assert sizes[1] > 200 and memory[1] - memory[0] < 20
