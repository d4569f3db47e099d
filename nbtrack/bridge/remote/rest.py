"""MLflow's REST interface, as much of it as a store needs, without MLflow."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from nbtrack.errors import StoreError

_TRIES: Final = 3
_PAUSE_S: Final = 0.3
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


class ServerAwayError(StoreError):
    """The server does not answer; what was to be sent is kept and sent later."""


class ServerRefusedError(StoreError):
    """The server answered that it does not accept this; `code` is its word for why."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class Rest:
    """Calls to the MLflow server at `url`; user and password, or a token, come from MLflow's environment variables."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise StoreError(f"store {url!r}: expected the address of an MLflow server, such as http://host:5000.")
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def _headers(self) -> dict[str, str]:
        token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
        if token:
            return {"Authorization": f"Bearer {token}"}
        if user:
            word = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
            return {"Authorization": "Basic " + base64.b64encode(word.encode()).decode()}
        return {}

    def _ask(self, method: str, path: str, data: bytes | None, kind: str, *, tries: int) -> bytes:
        headers = {**self._headers(), **({"Content-Type": kind} if data is not None else {})}
        request = Request(f"{self.url}/{path}", data, headers, method=method)  # noqa: S310 - http(s) is checked
        for left in range(tries - 1, -1, -1):
            try:
                with urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                    found: bytes = answer.read()
                    return found
            except HTTPError as error:
                if error.code not in _AGAIN or not left:
                    raise self._refusal(path, error) from None
            except (URLError, HTTPException, OSError) as error:
                if not left:
                    reason = getattr(error, "reason", None) or error
                    raise ServerAwayError(f"store {self.url}: the server does not answer ({reason}).") from None
            time.sleep(_PAUSE_S * 2 ** (tries - 1 - left))
        raise ServerAwayError(f"store {self.url}: the server does not answer.")

    def _refusal(self, path: str, error: HTTPError) -> StoreError:
        try:
            body = json.loads(error.read())
            code, text = str(body.get("error_code", error.code)), str(body.get("message", error.reason))
        except (ValueError, AttributeError, OSError):
            code, text = str(error.code), str(error.reason)
        if error.code in _AGAIN and code not in {"INTERNAL_ERROR", "BAD_REQUEST"}:
            return ServerAwayError(f"store {self.url}: the server is in trouble ({error.code} {text[:200]}).")
        hint = " Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        more = hint if error.code in {401, 403} else ""
        return ServerRefusedError(f"store {self.url}: {path} was refused ({code}): {text[:500]}{more}", code)

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, tries: int = _TRIES) -> dict[str, Any]:
        """Ask something."""
        words = f"?{urlencode(query)}" if query else ""
        return self._json(self._ask("GET", f"api/2.0/mlflow/{path}{words}", None, "", tries=tries), path)

    def post(self, path: str, body: Mapping[str, Any], *, tries: int = _TRIES, method: str = "POST") -> dict[str, Any]:
        """Change something, or search; sent again where the answer is lost, so only what may be done twice."""
        data = json.dumps(body).encode()
        return self._json(self._ask(method, f"api/2.0/mlflow/{path}", data, "application/json", tries=tries), path)

    def _json(self, data: bytes, path: str) -> dict[str, Any]:
        try:
            found = json.loads(data or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            what = f"store {self.url}: the answer to {path} is not that of an MLflow server. Check the URL."
            raise ServerRefusedError(what, "NO_JSON")
        return found

    def pages(self, path: str, key: str, body: Mapping[str, Any], limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield what a search finds, page by page, up to `limit`."""
        token, count = "", 0
        while True:
            found = self.post(path, {**body, **({"page_token": token} if token else {})})
            for one in found.get(key, []):
                yield one
                count += 1
                if limit is not None and count >= limit:
                    return
            token = found.get("next_page_token") or ""
            if not token:
                return

    # -- files -----------------------------------------------------------------------------------------------------
    def put_file(self, artifact_uri: str, path: str, data: bytes) -> None:
        """Store a file of a run through the server's proxy.

        Raises
        ------
        ServerRefusedError
            If the server keeps artifacts where only MLflow's own clients reach them.
        """
        parts = urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts":
            raise ServerRefusedError(
                f"store {self.url}: its artifacts lie in {artifact_uri!r}, which it gives no way to. Start the server"
                " with --serve-artifacts.",
                "NO_PROXY",
            )
        place = quote(f"{parts.path.strip('/')}/{path}")
        self._ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{place}", data, "application/octet-stream", tries=_TRIES)

    def get_file(self, run: str, path: str) -> bytes:
        """Return the bytes of an artifact of a run."""
        words = urlencode({"path": path, "run_uuid": run})
        return self._ask("GET", f"get-artifact?{words}", None, "", tries=_TRIES)
