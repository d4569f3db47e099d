"""ONNX: graphs as they are, data alone; onnxruntime computes them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nbtrack.errors import IntegrityError, InvalidInputError
from nbtrack.models.flavors import Saved, check_kind, comes_from, file_of, need, rows_of, table_of

NAME = PACKAGE = MODULE = "onnx"
PRIORITY = 0
_FILE = "model.onnx"
_MAX_SESSIONS: Final = 8
_TYPES: Final = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"} | {
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
    "tensor(float16)": "float16",
}
_sessions: list[tuple[Any, Any]] = []  # (model, session): protobuf objects take neither attributes nor weak references
_lock = threading.Lock()


def handles(model: Any) -> bool:
    """Return whether this is a model in ONNX's own form."""
    return type(model).__name__ == "ModelProto" and comes_from(model, "onnx")


def save(model: Any) -> Saved:
    """Return the graph with its weights; raises InvalidInputError if they lie in other files."""
    check_kind(handles(model), model, NAME, "an onnx.ModelProto")
    if (outside := next(_outside(model), None)) is not None:
        raise InvalidInputError(
            f"onnx.log_model: the tensor {outside[:80]!r} lies in another file. Load the model with its external data"
            " (onnx.load does), so that it is whole."
        )
    try:
        return Saved({_FILE: model.SerializeToString()})
    except ValueError as error:  # protobuf's limit is 2 GiB
        raise InvalidInputError(f"onnx.log_model: the model cannot be written as one file ({error}).") from None


def _outside(message: Any) -> Iterator[str]:
    """Yield the names of tensors, however deep, whose data lies in another file."""
    onnx = need(MODULE, PACKAGE)
    stack = [message.graph, *message.functions]
    while stack:
        part = stack.pop()
        for tensor in getattr(part, "initializer", ()):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                yield tensor.name
        for node in part.node:
            for attribute in node.attribute:
                if attribute.t.data_location == onnx.TensorProto.EXTERNAL:
                    yield attribute.t.name or node.name
                stack += [attribute.g, *attribute.graphs] if attribute.HasField("g") else list(attribute.graphs)
                yield from (t.name for t in attribute.tensors if t.data_location == onnx.TensorProto.EXTERNAL)


def load(files: Mapping[str, bytes], options: Mapping[str, Any], trusted: bool, what: str) -> Any:
    """Return the ``onnx.ModelProto``."""
    onnx = need(MODULE, PACKAGE)
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(file_of(files, _FILE, what))
    except (DecodeError, ValueError) as error:
        raise IntegrityError(f"{what}: its {_FILE} is no ONNX model ({error}). Log the model again.") from None
    if (outside := next(_outside(model), None)) is not None:
        raise IntegrityError(f"{what}: its tensor {outside[:80]!r} names a file outside the model, which is not read.")
    return model


def _session(model: Any) -> Any:
    """Return the onnxruntime session of a model, made once."""
    with _lock:
        for known, session in _sessions:
            if known is model:
                return session
        runtime = need("onnxruntime", "onnxruntime")
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        _sessions.append((model, session))
        del _sessions[:-_MAX_SESSIONS]
        return session


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Return the output of the graph as an array; a frame with a column for each if it has several.

    A graph with one input gets all columns as one array; one with several gets the columns of these names.
    """
    session = _session(model)
    inputs = session.get_inputs()
    if len(inputs) == 1:
        fed = {inputs[0].name: rows_of(data).astype(_TYPES.get(inputs[0].type, "float32"))}
    else:
        missing = [one.name for one in inputs if one.name not in getattr(data, "columns", data)]
        if missing:
            raise InvalidInputError(f"onnx.predict: expected columns {[i.name for i in inputs]}, missing {missing}.")
        fed = {}
        for one in inputs:
            array = rows_of(data[one.name]).astype(_TYPES.get(one.type, "float32"))
            fed[one.name] = array.reshape(-1, 1) if len(one.shape) == 2 and array.ndim == 1 else array
    names = [one.name for one in session.get_outputs()]
    answers = session.run(None, fed)
    return answers[0] if len(answers) == 1 else table_of(dict(zip(names, answers, strict=True)))


def modules(model: Any) -> set[str]:
    """Return the packages that read and compute it."""
    if "onnxruntime" not in sys.modules:  # what predicts it belongs to its environment, also if nothing has yet
        need("onnxruntime", "onnxruntime")
    return {"onnx", "onnxruntime"}
