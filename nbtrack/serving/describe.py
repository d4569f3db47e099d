"""What a served model says of itself: its schema, an example that works, and its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nbtrack.entities import Column, Signature

EXAMPLE_ROWS: Final = 3
_JSON: Final[Mapping[str, Mapping[str, Any]]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {},
}
_SAMPLES: Final = {"boolean": True, "integer": 1, "long": 1, "string": "text", "datetime": "2020-01-01T00:00:00"}


def schema_json(signature: Signature | None) -> dict[str, Any]:
    """Return a signature as plain values."""

    def columns(found: tuple[Column, ...]) -> list[dict[str, Any]]:
        return [{"name": c.name, "type": c.type, "required": c.required} for c in found]

    if signature is None:
        return {"inputs": None, "outputs": None, "params": None}
    params = [{"name": c.name, "type": c.type, "default": c.default} for c in signature.params]
    return {"inputs": columns(signature.inputs), "outputs": columns(signature.outputs), "params": params}


def example_body(signature: Signature | None, logged: Any = None) -> dict[str, Any]:
    """Return a request body that the model accepts: the first rows of the logged example, else one made up.

    Parameters
    ----------
    signature
        The model's signature.
    logged
        The logged input example as parsed JSON, in one of the request formats.
    """
    if isinstance(logged, Mapping):
        if isinstance(split := logged.get("dataframe_split"), Mapping):
            columns = split.get("columns")
            rows = list(split.get("data", []))[:EXAMPLE_ROWS]
            return {"dataframe_split": {"columns": columns, "data": rows} if columns else {"data": rows}}
        for name in ("dataframe_records", "instances", "inputs"):
            if name in logged:
                found = logged[name]
                return {name: found[:EXAMPLE_ROWS] if isinstance(found, list) else found}
        if "columns" in logged and "data" in logged:
            return {"dataframe_split": {"columns": logged["columns"], "data": logged["data"][:EXAMPLE_ROWS]}}
    if isinstance(logged, list) and logged:
        return {"inputs": logged[:EXAMPLE_ROWS]}
    if signature is None or not signature.inputs:
        return {"inputs": [[0.0]]}
    row = [_SAMPLES.get(column.type, 0.0) for column in signature.inputs]
    if any(column.name is None for column in signature.inputs):
        return {"inputs": [row]}
    return {"dataframe_split": {"columns": [column.name for column in signature.inputs], "data": [row]}}


def openapi(title: str, version: str, signature: Signature | None, example: Any) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document with a real body schema."""
    answer = {"type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array"}}}
    refusal = {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {key: {"type": "string"} for key in ("error_code", "message", "path", "expected")}
        | {"example": {"description": "a body that works"}},
    }

    def refused(what: str) -> dict[str, Any]:
        return {
            "description": what,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }

    def page(what: str, kind: str = "application/json") -> dict[str, Any]:
        return {"get": {"summary": what, "responses": {"200": {"description": what, "content": {kind: {}}}}}}

    text = "text/plain"
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": {
            "/invocations": {
                "post": {
                    "operationId": "invocations",
                    "summary": "Score rows",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": _body_schema(signature), "example": example},
                            "text/csv": {"schema": {"type": "string"}},
                            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "One prediction for each row, in the order of the rows",
                            "content": {"application/json": {"schema": answer}, "application/vnd.apache.parquet": {}},
                        },
                        "400": refused("The body cannot be read, or does not fit the schema"),
                        "403": refused("The request comes from a strange page or under a strange name"),
                        "413": refused("The body is too large"),
                        "415": refused("None of JSON in UTF-8, CSV in UTF-8, and Parquet"),
                    },
                }
            },
            "/ping": page("Whether the server answers", text),
            "/health": page("Whether the model answers"),
            "/version": page("The version of nbtrack", text),
            "/schema": page("The signature of the model"),
            "/metrics": page("Counters for Prometheus", text),
        },
        "components": {"schemas": {"Refusal": refusal}},
    }


def _cell(column: Column) -> dict[str, Any]:
    found = dict(_JSON.get(column.type, {}))
    nullable = not column.required or column.type in {"double", "float"}
    if nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


def _body_schema(signature: Signature | None) -> dict[str, Any]:
    columns = signature.inputs if signature else ()
    cells = [_cell(column) for column in columns]
    row: dict[str, Any] = {"type": "array"}
    if cells:
        row |= {"prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)}
    record: dict[str, Any] = {"type": "object"}
    if cells and all(column.name for column in columns):
        record["properties"] = {str(c.name): cell for c, cell in zip(columns, cells, strict=True)}
        record["required"] = [str(column.name) for column in columns if column.required]
    rows = {"type": "array", "items": row}
    records = {"type": "array", "items": record}
    split = {
        "type": "object",
        "required": ["data"],
        "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": rows},
    }
    if any(column.name for column in columns):
        split["properties"] = {
            "columns": {"const": [column.name for column in columns]},
            "data": rows,
        }
        split["required"] = ["columns", "data"]
    either = {"anyOf": [records, rows]}
    params = {"params": {"type": "object"}} if signature and signature.params else {}
    forms = {"dataframe_split": split, "dataframe_records": records, "instances": either, "inputs": either}
    return {
        "oneOf": [
            {"type": "object", "required": [name], "properties": {name: form} | params} for name, form in forms.items()
        ]
    }
