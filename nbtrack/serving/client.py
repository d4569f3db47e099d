"""Asking a model server: what the server object, the try-it form and the command line send."""

from __future__ import annotations

import http.client
import json
import math
import shlex
import time
from typing import Any, Final
from urllib.parse import quote, urlsplit

from nbtrack.entities import ServerInfo
from nbtrack.errors import InvalidInputError, ServingError
from nbtrack.serving import logfile, records

TIMEOUT_S: Final = 60.0
LOG_LINES: Final = 60


def invoke(server_id: str, body: str | bytes, content_type: str = "application/json") -> tuple[int, str, float]:
    """Send one scoring request as it is.

    Returns
    -------
    tuple
        The status, the body of the answer, and how long it took, in ms.

    Raises
    ------
    NotFoundError
        If there is no such server.
    ServingError
        If it does not answer.
    """
    return post(_record(server_id), body, content_type)


def _record(server_id: str) -> records.Record:
    record = records.read_record(server_id)
    if record is None:
        raise records.no_server(server_id)
    return record


def post(record: records.Record, body: str | bytes, content_type: str, model: str = "") -> tuple[int, str, float]:
    """Send one scoring request to the server of a record, about one of its models if `model` names it."""
    path = f"/models/{quote(model)}/invocations" if model else "/invocations"
    data = body.encode() if isinstance(body, str) else body
    started = time.perf_counter()
    status, text = _ask(record, "POST", path, data, {"Content-Type": content_type})
    return status, text, (time.perf_counter() - started) * 1e3


def _ask(
    record: records.Record, method: str, path: str, data: bytes | None, headers: dict[str, str]
) -> tuple[int, str]:
    if record.token:
        headers["Authorization"] = f"Bearer {record.token}"
    parts = urlsplit(record.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body=data, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise ServingError(
            f"model server {record.server_id}: {record.url} does not answer ({type(error).__name__}: {error})."
            " It may have been stopped; its log says more: nbtrack.serving.get_server(id).logs()."
        ) from error
    finally:
        connection.close()


def encode_request(data: Any) -> bytes:
    """Return the JSON body that asks for predictions of `data`.

    Parameters
    ----------
    data
        A DataFrame, a Series, an array, a list of rows or of records, or a mapping of columns.

    Raises
    ------
    InvalidInputError
        If it is none of these.
    """
    if hasattr(data, "to_frame") and not hasattr(data, "columns"):  # a Series
        data = data.to_frame()
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        split = data.to_dict(orient="split", index=False)
        names = [str(name) for name in split["columns"]]
        return _dumps({"dataframe_split": {"columns": names, "data": split["data"]}})
    if hasattr(data, "toarray"):
        data = data.toarray()
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, (list, tuple, dict)):
        return _dumps({"inputs": data})
    raise InvalidInputError(
        f"predict: expected a DataFrame, an array, a list of rows or a mapping of columns, got {type(data).__name__}."
    )


def _dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, default=_plain, allow_nan=False).encode()
    except ValueError:  # NaN is written as null
        return json.dumps(_without_nan(value), default=_plain).encode()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        found = value.isoformat()
        return None if found == "NaT" else found
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    raise InvalidInputError(f"predict: a value of type {type(value).__name__} cannot be sent as JSON.")


def decode_answer(record: records.Record, status: int, text: str) -> Any:
    """Return the predictions of an answer as an array.

    Raises
    ------
    InvalidInputError
        If the server refused the data: with its reason.
    ServingError
        If the server failed.
    """
    import numpy as np

    try:
        told = json.loads(text)
    except ValueError:
        told = {"message": "its answer is no JSON"}
    if status == 200:
        predictions = told["predictions"]
        if isinstance(predictions, list) and predictions and isinstance(predictions[0], dict):
            return predictions
        return np.array(predictions)
    where = f" at {told['path']}" if told.get("path") else ""
    kind = InvalidInputError if 400 <= status < 500 else ServingError
    raise kind(f"model server {record.server_id} (status {status}){where}: {told.get('message', text[:300])}")


def server_example(info: ServerInfo) -> str:
    """Return a JSON body that a running server accepts: the first rows of its model's logged input example."""
    record = records.read_record(info.server_id)
    return record.example if record is not None and record.example else '{"inputs": []}'


def curl_command(info: ServerInfo) -> str:
    """Return a command for a shell that gets a prediction from a server."""
    return snippets(info)["curl"]


def snippets(info: ServerInfo) -> dict[str, str]:
    """Return what gets a prediction from a server, as it stands: ``curl``, ``python``, ``javascript`` (for Node.js).

    Where the server asks for its token, they take it from the environment variable NBTRACK_SERVE_TOKEN.
    """
    record = records.read_record(info.server_id)
    secret = record is not None and bool(record.token)
    body, url = server_example(info), f"{info.url}/invocations"
    parts = ["curl", url, "-H", "Content-Type: application/json"]
    curl = " ".join(shlex.quote(part) for part in parts)
    curl += ' -H "Authorization: Bearer $NBTRACK_SERVE_TOKEN"' if secret else ""
    kind = '"Content-Type": "application/json"'
    from_python = ', "Authorization": "Bearer " + os.environ["NBTRACK_SERVE_TOKEN"]' if secret else ""
    from_node = ', "Authorization": "Bearer " + process.env.NBTRACK_SERVE_TOKEN' if secret else ""
    python = [
        "import os\n" * secret + "from urllib.request import Request, urlopen\n",
        f"body = {json.dumps(body)}.encode()",
        f"request = Request({json.dumps(url)}, body, {{{kind}{from_python}}})",
        "print(urlopen(request).read().decode())",
    ]
    javascript = [
        f"const answer = await fetch({json.dumps(url)}, {{",
        '  method: "POST",',
        f"  headers: {{{kind}{from_node}}},",
        f"  body: {json.dumps(body)},",
        "});",
        "console.log(await answer.text());",
    ]
    curl = f"{curl} -d {shlex.quote(body)}"
    return {"curl": curl, "python": "\n".join(python), "javascript": "\n".join(javascript)}


def activity(server_id: str) -> dict[str, Any]:
    """Return what a server was asked lately, how its rows differ from the training data, and the end of its log.

    Raises
    ------
    NotFoundError
        If there is no such server.
    ServingError
        If it does not answer.
    """
    record = _record(server_id)
    found = {name: _get(record, f"/{name}") for name in ("requests", "drift", "health")}
    return {**found, "log": logfile.tail(records.log_path(server_id), LOG_LINES)}


def _get(record: records.Record, path: str) -> Any:
    """Return the parsed answer to a GET; None where there is nothing."""
    status, text = _ask(record, "GET", path, None, {})
    return json.loads(text) if status == 200 else None
