"""The Open Inference Protocol, version 2: what KServe, Triton and MLServer clients speak.

Columns come as one tensor each, named like the model's inputs, of shape ``[rows]`` or ``[rows, 1]``; or all in one
tensor of shape ``[rows, columns]``.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import numpy as np

from nbtrack.entities import Signature
from nbtrack.serving.codec import Decoded, plain
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.schema import Columns, Rows, Schema

_TYPES: Final = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
    "object": "BYTES",
}
_PATH: Final = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready|/infer)?")


class Tensor(msgspec.Struct):
    """One input: its values flat, or nested by row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Inference(msgspec.Struct):
    """One request."""

    inputs: list[Tensor]
    id: str | None = None


_DECODER = msgspec.json.Decoder(Inference)


def parse_path(path: str) -> tuple[str, str | None, str] | None:
    """Return model, version and verb of a path below ``/v2/models``; None for any other."""
    found = _PATH.fullmatch(path)
    return (found.group(1), found.group(2), found.group(3) or "") if found else None


def decode(body: bytes, schema: Schema) -> tuple[Decoded, str | None]:
    """Return what a request asks for, and its id.

    Raises
    ------
    Refusal
        If it cannot be read or does not fit the schema.
    """
    try:
        asked = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal(
            'expected {"inputs": [{"name", "shape", "datatype", "data"}]} in JSON.', expected="an inference request"
        ) from None
    if not asked.inputs:
        raise Refusal("there are no inputs.", path="$.inputs", expected="one tensor a column, or one of all columns")
    tensors = [_values(tensor, i) for i, tensor in enumerate(asked.inputs)]
    rows = len(tensors[0])
    first = asked.inputs[0]
    if len(asked.inputs) == 1 and len(first.shape) == 2 and (first.shape[1] != 1 or schema.width != 1):
        return Decoded(schema.from_rows(Rows(tensors[0], None, "$.inputs[0].data")) if rows else None, rows), asked.id
    names = [tensor.name for tensor in asked.inputs]
    if len(set(names)) != len(names):
        raise Refusal("a name occurs twice. Send each column once.", path="$.inputs")
    at = {name: place for place, name in enumerate(names)}
    for place, (tensor, values) in enumerate(zip(asked.inputs, tensors, strict=True)):
        if len(values) != rows or len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
            raise Refusal(
                "columns must have the shape [rows] or [rows, 1], with as many rows each.",
                path=f"$.inputs[{place}].shape",
                expected=f"[{rows}]",
            )
    columns = {
        name: [value[0] for value in values] if len(tensor.shape) == 2 else values
        for name, tensor, values in zip(names, asked.inputs, tensors, strict=True)
    }
    given = Columns(columns, rows, lambda i, name: f"$.inputs[{at[name]}].data[{i}]", "$.inputs")
    return Decoded(schema.from_columns(given) if rows else None, rows), asked.id


def _values(tensor: Tensor, place: int) -> list[Any]:
    """Return the values of a tensor by row."""
    shape = tensor.shape
    path = f"$.inputs[{place}]"
    if not 1 <= len(shape) <= 2 or min(shape) < 0:
        raise Refusal("this shape is not known here.", path=f"{path}.shape", expected="[rows] or [rows, columns]")
    nested = len(shape) == 2 and any(isinstance(row, list) for row in tensor.data)
    if nested or len(shape) == 1:
        fits = len(tensor.data) == shape[0]
        if nested:
            fits = fits and all(isinstance(row, list) and len(row) == shape[1] for row in tensor.data)
        values = tensor.data
    else:
        fits = len(tensor.data) == shape[0] * shape[1]
        values = [tensor.data[i : i + shape[1]] for i in range(0, len(tensor.data), shape[1])] if shape[1] else []
    if not fits:
        raise Refusal("the data does not have the shape that it says.", path=f"{path}.data", expected=f"shape {shape}")
    return values


def encode(predictions: Any, model: str, version: str, request_id: str | None) -> dict[str, Any]:
    """Return predictions as an answer."""
    found = plain(predictions)
    array = found if isinstance(found, np.ndarray) else np.array(found, dtype=None if len(found) else np.float64)
    kind = {"b": "BOOL", "i": f"INT{array.itemsize * 8}", "u": f"UINT{array.itemsize * 8}", "f": "FP64"}
    output = {
        "name": "predict",
        "shape": list(array.shape),
        "datatype": kind.get(array.dtype.kind, "BYTES"),
        "data": array.reshape(-1).tolist(),
    }
    told: dict[str, Any] = {"model_name": model, "outputs": [output]}
    if version:
        told["model_version"] = version
    if request_id is not None:
        told["id"] = request_id
    return told


def metadata(model: str, version: str, signature: Signature | None) -> dict[str, Any]:
    """Return what the model takes and gives."""
    inputs = signature.inputs if signature else ()
    outputs = signature.outputs if signature else ()
    named = bool(inputs) and all(column.name is not None for column in inputs)
    tensors = [{"name": c.name, "datatype": _TYPES[c.type], "shape": [-1]} for c in inputs]
    if inputs and not named:
        tensors = [{"name": "input", "datatype": _TYPES[inputs[0].type], "shape": [-1, len(inputs)]}]
    kind = _TYPES[outputs[0].type] if outputs else "FP64"
    shape = [-1] if len(outputs) <= 1 else [-1, len(outputs)]
    return {
        "name": model,
        "versions": [version] if version else [],
        "platform": "nbtrack",
        "inputs": tensors,
        "outputs": [{"name": "predict", "datatype": kind, "shape": shape}],
    }
