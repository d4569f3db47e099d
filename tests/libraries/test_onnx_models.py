"""ONNX graphs: kept as they are, computed by onnxruntime."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.models import load_bundle
from tests.libraries.conftest import library
from tests.libraries.forging import resigned

onnx = library("onnx")
library("onnxruntime")
FLOAT, LONG = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
ROWS = np.arange(8.0).reshape(4, 2)
WEIGHTS = np.array([[1.0], [-2.0]], dtype=np.float32)


def line(*, external: bool = False):
    """A graph of one matrix product: (rows, 2) -> (rows, 1)."""
    weights = onnx.numpy_helper.from_array(WEIGHTS, "w")
    if external:
        onnx.external_data_helper.set_external_data(weights, "../../etc/passwd")
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "line",
        [onnx.helper.make_tensor_value_info("x", FLOAT, [None, 2])],
        [onnx.helper.make_tensor_value_info("y", FLOAT, [None, 1])],
        [weights],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def named():
    """A graph of two named inputs, (rows, 1) each, and two outputs."""
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["sum"]), onnx.helper.make_node("Sub", ["a", "b"], ["difference"])],
        "named",
        [info("a", LONG, [None, 1]), info("b", LONG, [None, 1])],
        [info("sum", LONG, [None, 1]), info("difference", LONG, [None, 1])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def test_graph_comes_back_and_predicts_arrays_and_frames_also_of_a_stranger(store, stranger):
    with nbtrack.start_run():
        info = nbtrack.onnx.log_model(line(), "line", input_example=ROWS)
    assert {"onnx", "onnxruntime"} <= set(info.manifest.environment["packages"])
    with stranger():
        bundle = load_bundle(info.model_uri)
        assert bundle.model == line()
        for rows in (ROWS, pd.DataFrame(ROWS), ROWS.astype(int)):
            assert np.array_equal(bundle.predict(rows), ROWS @ WEIGHTS)


def test_several_inputs_and_outputs_go_by_their_names(tmp_path):
    nbtrack.save_model(named(), tmp_path / "m")
    answer = nbtrack.predict(tmp_path / "m", {"b": [1, 2], "a": [10, 20]})
    assert answer.to_dict("list") == {"sum": [11, 22], "difference": [9, 18]}
    with pytest.raises(InvalidInputError, match=r"expected columns \['a', 'b'\], missing \['b'\]"):
        nbtrack.predict(tmp_path / "m", {"a": [1]})


def test_classifier_of_scikit_learn_keeps_its_labels(tmp_path):
    skl2onnx = library("skl2onnx")
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(ROWS, ["no", "no", "yes", "yes"])
    graph = skl2onnx.to_onnx(model, ROWS[:1].astype(np.float32), options={"zipmap": False})
    nbtrack.save_model(graph, tmp_path / "m", input_example=ROWS)
    answer = nbtrack.predict(tmp_path / "m", ROWS)
    assert list(answer["label"]) == list(model.predict(ROWS))
    assert np.allclose(answer["probabilities"].tolist(), model.predict_proba(ROWS), atol=1e-5)


def test_data_outside_of_the_model_is_refused_on_both_ways(tmp_path):
    with pytest.raises(InvalidInputError, match="the tensor 'w' lies in another file"):
        nbtrack.save_model(line(external=True), tmp_path / "m")
    nbtrack.save_model(line(), tmp_path / "m")
    forged = resigned(tmp_path / "m", tmp_path / "bad", "model.onnx", line(external=True).SerializeToString())
    with pytest.raises(IntegrityError, match="its tensor 'w' names a file outside the model"):
        nbtrack.load_model(forged)
    with pytest.raises(IntegrityError, match=r"its model\.onnx is no ONNX model"):
        nbtrack.load_model(resigned(tmp_path / "m", tmp_path / "no", "model.onnx", b"\xffnothing"))
    with pytest.raises(InvalidInputError, match=r"expected an onnx\.ModelProto, got bytes"):
        nbtrack.onnx.save_model(b"", tmp_path / "n")
