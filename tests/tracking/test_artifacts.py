"""Files, figures, images, tables and data sets of a run."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import nbtrack
from nbtrack.errors import InvalidInputError, InvalidNameError


@pytest.fixture
def run(store):
    with nbtrack.start_run() as active:
        yield active


def read(run, path: str) -> bytes:
    return run.store.read_blob(run.store.get_run(run.run_id).artifacts[path].digest)


def test_log_artifact_file_and_folder_keep_their_names(run, tmp_path):
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    nbtrack.log_artifact(folder / "a.txt", "texts")
    nbtrack.log_artifact(folder)
    nbtrack.log_artifacts(folder, "all")
    paths = set(run.store.get_run(run.run_id).artifacts)
    assert paths == {"texts/a.txt", "out/a.txt", "out/sub/b.txt", "all/a.txt", "all/sub/b.txt"}
    assert read(run, "all/sub/b.txt") == b"b"


def test_log_artifact_missing_file_is_told_with_the_working_directory(run):
    with pytest.raises(InvalidInputError, match=r"there is no file 'nothing.txt' \(working directory"):
        nbtrack.log_artifact("nothing.txt")


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../b", "C:\\x", "a%2f..%2fb"])
def test_log_text_hostile_path_is_refused(run, path):
    with pytest.raises(InvalidNameError, match="artifact path"):
        nbtrack.log_text("x", path)


def test_log_dict_writes_json_or_yaml_by_the_name(run):
    nbtrack.log_dict({"lr": 0.1, "name": "größe"}, "config.json")
    nbtrack.log_dict({"lr": 0.1}, "config.yaml")
    assert json.loads(read(run, "config.json")) == {"lr": 0.1, "name": "größe"}
    assert read(run, "config.yaml") == b"lr: 0.1\n"


def test_log_figure_plotly_html_stands_alone(run):
    figure = go.Figure(go.Scatter(y=[1, 3, 2]))
    nbtrack.log_figure(figure, "curve.html", save_kwargs={"include_plotlyjs": False})
    nbtrack.log_figure(figure, "curve.json")
    assert b"Plotly.newPlot" in read(run, "curve.html")
    assert json.loads(read(run, "curve.json"))["data"][0]["type"] == "scatter"


def test_log_figure_of_something_else_is_refused(run):
    with pytest.raises(InvalidInputError, match="expected a matplotlib, plotly or altair figure, got int"):
        nbtrack.log_figure(3, "x.png")


def decode_png(data: bytes) -> np.ndarray:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, pixels, header = 8, b"", ()
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            pixels += body
        at += 12 + size
    width, height = header[:2]
    channels = {0: 1, 2: 3, 6: 4}[header[3]]
    rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(height, width * channels + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_log_image_array_is_a_correct_png(run, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    nbtrack.log_image(array, "a.png")
    nbtrack.log_image(array / 255.0, key="steps", step=3)
    assert (decode_png(read(run, "a.png")) == array.reshape(4, 6, -1)).all()
    assert (decode_png(read(run, "images/steps/00000003.png")) == array.reshape(4, 6, -1)).all()


def test_log_image_wrong_shape_or_name_is_refused(run):
    with pytest.raises(InvalidInputError, match=r"expected shape \(height, width\)"):
        nbtrack.log_image(np.zeros((2, 3, 7)), "a.png")
    with pytest.raises(InvalidInputError, match="stored as PNG"):
        nbtrack.log_image(np.zeros((2, 3)), "a.jpg")
    with pytest.raises(InvalidInputError, match="give artifact_file or key"):
        nbtrack.log_image(np.zeros((2, 3)))


def test_log_table_adds_rows(run):
    nbtrack.log_table({"q": ["a"], "score": [0.5]}, "answers.json")
    nbtrack.log_table(pd.DataFrame({"q": ["b"], "score": [0.75]}), "answers.json")
    table = json.loads(read(run, "answers.json"))
    assert table["columns"] == ["q", "score"]
    assert table["data"] == [["a", 0.5], ["b", 0.75]]


def test_log_input_fingerprint_depends_on_content_only(run, tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    one = nbtrack.log_input(frame, "training", name="wine")
    assert nbtrack.log_input(frame.copy()).digest == one.digest
    assert nbtrack.log_input(frame.assign(a=[1, 3])).digest != one.digest
    assert (one.name, one.context, one.profile["shape"]) == ("wine", "training", [2, 2])
    array = np.arange(6.0)
    assert nbtrack.log_input(array).digest != nbtrack.log_input(array.reshape(2, 3)).digest
    (tmp_path / "d.csv").write_text("a\n1\n")
    assert nbtrack.log_input(tmp_path / "d.csv").profile["size_bytes"] == 4
    assert len(run.inputs.dataset_inputs) == 6
    with pytest.raises(InvalidInputError, match="expected a DataFrame, an array or the path of a file, got object"):
        nbtrack.log_input(object())
