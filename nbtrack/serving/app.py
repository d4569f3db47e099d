"""The HTTP side of a model server: a bare ASGI application, for a framework would cost more than most models."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import orjson

from nbtrack._version import __version__
from nbtrack.serving import v2
from nbtrack.serving.codec import PARQUET, Codec, Decoded, encode
from nbtrack.serving.describe import openapi, schema_json
from nbtrack.serving.guard import Guard, Headers
from nbtrack.serving.metrics import metrics_text
from nbtrack.serving.page import PAGE_POLICY, render_page
from nbtrack.serving.refusal import Refusal
from nbtrack.serving.served import Live, Served, Split, compared, health

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Inference = tuple[str, str | None, str]  # model, version and verb of a path of the Open Inference Protocol
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 128 << 20
RECENT: Final = 50
BODY_TIMEOUT_S: Final = 30.0
_BIG_BODY_BYTES: Final = 256 << 10  # decoded in a thread, so that /ping stays quick
_JSON: Final = b"application/json"
_PARQUET: Final = tuple(kind.encode() for kind in PARQUET)
_TEXT: Final = b"text/plain; charset=utf-8"
_log = logging.getLogger("nbtrack.serving")


@dataclass(frozen=True, slots=True)
class Seen:
    """One scoring request, without its data; `why` says why it was refused."""

    at_ms: int
    status: int
    rows: int
    ms: float
    model: str
    why: str

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        told = {"at_ms": self.at_ms, "status": self.status, "rows": self.rows, "ms": round(self.ms, 3)}
        return told | {"model": self.model, "why": self.why}


@dataclass(slots=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    kind: bytes = _JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    rows: int = 0
    ms: float = 0.0


class App:
    """The ASGI application of a model server.

    Parameters
    ----------
    served
        Its models. The first answers where a request names none; ``/models/NAME/…`` is about one of them.
    split
        Which of the first two answers where a request names none, or the first one without a version.
    guard
        Who may ask.
    counter
        The first number is raised by one with each scoring request; others can see it from outside.
    """

    def __init__(
        self,
        served: Sequence[Served],
        *,
        split: Split | None = None,
        guard: Guard | None = None,
        counter: Any = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.served = list(served)
        self._split = split
        self._guard = guard or Guard()
        self._counter = counter if counter is not None else [0]
        self._max_body = max_body_bytes
        self._started = time.monotonic()
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self._gets: dict[str, Callable[[Served], Answer]] = {
            "/": self._page,
            "/docs": self._page,
            "/ping": lambda _: Answer(b"\n", kind=_TEXT),
            "/health": self._health,
            "/version": lambda _: Answer(__version__.encode(), kind=_TEXT),
            "/schema": lambda served: Answer(orjson.dumps(schema_json(served.live.scorer.signature))),
            "/openapi.json": self._openapi,
            "/metrics": self._metrics_text,
            "/requests": self._requests,
            "/drift": self._drift,
        }

    def count_connections(self, open_now: Callable[[], int]) -> None:
        """Let the models know how many connections are open."""
        for each in self.served:
            each.connections = open_now

    def _route(self, path: str) -> tuple[Served, str]:
        """Return the model that a path is about, and the rest of the path."""
        if path.startswith("/models/"):
            name, slash, rest = path[8:].partition("/")
            for each in self.served:
                if name == each.name and slash:
                    return each, f"/{rest}"
            raise Refusal(
                f"no such model is served here; served are {', '.join(each.name for each in self.served)}."
                " Paths are /models/NAME/invocations and so on.",
                status=404,
            )
        return self.served[0], path

    def _is_shared(self, path: str, served: Served, inference: Inference | None) -> bool:
        """Return whether a request leaves open which model answers: the Open Inference Protocol always names one."""
        if path.startswith("/models/"):
            return False
        return inference is None or (served is self.served[0] and inference[1] is None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # no websockets here
            return
        method, headers = scope["method"], scope["headers"]
        served, path, inference, scoring, why = self.served[0], scope["path"], None, False, ""
        live = served.live
        try:
            self._guard.check(method, path, headers)
            served, path = self._route(path)
            if path.startswith("/v2/models/") and (inference := v2.parse_path(path)) is not None:
                served = self._named(inference)
            scoring = path == "/invocations" or (inference is not None and inference[2] == "/infer")
            if self._split is not None and scoring and self._is_shared(scope["path"], served, inference):
                served = self.served[self._split.choose(headers)]
            live = served.live  # one and the same from here to the answer, whatever takes its place meanwhile
            if scoring and method == "POST":
                answer = await self._invocations(served, live, headers, receive, inference)
            else:
                answer = self._get(served, method, path)
        except Refusal as refusal:
            answer, why = self._refuse(live, refusal, scoring and inference is None), refusal.told
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("a request failed")
            why = "the server failed; its log says why."
            answer = self._refuse(live, Refusal(why, status=500), scoring)
        if scoring:
            served.metrics.count(answer.status)
            self._counter[0] += 1
            self.recent.append(
                Seen(time.time_ns() // 1_000_000, answer.status, answer.rows, answer.ms, live.label, why)
            )
        await _send(send, answer, live.header, head_only=method == "HEAD")

    # -- scoring ---------------------------------------------------------------------------------------------------
    async def _invocations(
        self, served: Served, live: Live, headers: Headers, receive: Receive, inference: Inference | None
    ) -> Answer:
        content_type = ""
        length: int | None = None
        as_parquet = False
        for name, value in headers:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"content-length":
                length = int(value)
            elif name == b"accept" and value in _PARQUET:
                as_parquet = True
            elif name == b"content-encoding" and value != b"identity":
                raise Refusal("compressed bodies are not read here. Send it as it is.", status=415)
        if length is not None and length > self._max_body:
            raise self._too_large()
        body = await self._read(receive)
        started = time.perf_counter()
        request_id = None
        read: Callable[[Codec], Decoded] = partial(_read_body, body, content_type)
        decode = partial(read, live.scorer.codec)
        if inference is not None:
            decoded, request_id = v2.decode(body, live.scorer.codec.schema)
            read = partial(_read_inference, body)
        elif len(body) > _BIG_BODY_BYTES:
            decoded = await asyncio.get_running_loop().run_in_executor(None, decode)
        else:
            decoded = decode()
        ready = time.perf_counter()
        predictions = await live.batcher.score(decoded)
        scored = time.perf_counter()
        if served.shadow is not None:
            served.shadow.compare(read, predictions)
        if inference is None and as_parquet:
            from nbtrack.serving.parquet import encode_parquet

            answer = Answer(encode_parquet(predictions), kind=_PARQUET[0], rows=decoded.rows)
        elif inference is None:
            answer = Answer(encode(predictions), rows=decoded.rows)
        else:
            told = v2.encode(predictions, live.model_name, live.version, request_id)
            answer = Answer(orjson.dumps(told, default=str), rows=decoded.rows)
        done = time.perf_counter()
        answer.ms = (done - started) * 1e3
        served.metrics.latency.add(done - started)
        served.metrics.rows += decoded.rows
        if served.log is not None:
            served.log.see(decoded.data, decoded.rows, predictions, answer.ms, live.label)
        spent = ((ready - started) * 1e3, (scored - ready) * 1e3, (done - scored) * 1e3)
        answer.headers.append((b"server-timing", b"decode;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f" % spent))
        if decoded.note:
            answer.headers.append((b"x-nbtrack-note", decoded.note.encode()))
        return answer

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if len(body) > self._max_body:
                raise self._too_large()
            return body
        parts, size = [body], len(body)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while message.get("more_body"):
                    message = await receive()
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._max_body:
                        raise self._too_large()
                    parts.append(part)
        except TimeoutError:
            raise Refusal(f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s.", status=408) from None
        if message["type"] == "http.disconnect":
            raise Refusal("the client went away.")
        return b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(
            f"the body is too large; expected at most {self._max_body:,} bytes. Send fewer rows at once.", status=413
        )

    # -- everything else -------------------------------------------------------------------------------------------
    def _named(self, inference: Inference) -> Served:
        """Return the model that a path of the Open Inference Protocol names."""
        name, version, _ = inference
        for each in self.served:
            if name == each.name and version in {None, each.live.version}:
                return each
        raise Refusal("another model is served here. GET /v2/models/<its name>, or /health to see which.", status=404)

    def _v2(self, path: str, served: Served) -> Answer:
        live = served.live
        if path in {"/v2", "/v2/"}:
            return Answer(orjson.dumps({"name": "nbtrack", "version": __version__, "extensions": []}))
        if path == "/v2/health/live":
            return Answer(orjson.dumps({"live": True}))
        inference = v2.parse_path(path)
        if path == "/v2/health/ready" or (inference is not None and inference[2] == "/ready"):
            return Answer(orjson.dumps({"name": live.model_name, "ready": True}))
        if inference is None:
            raise Refusal("there is nothing here; see the Open Inference Protocol.", status=404)
        return Answer(orjson.dumps(v2.metadata(live.model_name, live.version, live.scorer.signature)))

    def _get(self, served: Served, method: str, path: str) -> Answer:
        handler = self._gets.get(path)
        scoring = path == "/invocations" or path.endswith("/infer")
        if handler is None and not scoring and path.startswith("/v2"):
            handler = partial(self._v2, path)
        if handler is None and not scoring:
            raise Refusal(
                f"there is nothing here. POST rows to /invocations; GET one of {', '.join(self._gets)}.", status=404
            )
        allowed = "POST" if handler is None else "GET, HEAD"
        if handler is None or method not in {"GET", "HEAD"}:
            answer = self._refuse(served.live, Refusal(f"only {allowed} works here.", status=405), scoring=False)
            answer.headers.append((b"allow", allowed.encode()))
            return answer
        return handler(served)

    def _health(self, served: Served) -> Answer:
        uptime_s = time.monotonic() - self._started
        told = health(served, uptime_s)
        if len(self.served) > 1:
            told["models"] = [health(each, uptime_s) for each in self.served]
        if self._split is not None:
            told["split"] = list(self._split.weights)
        return Answer(orjson.dumps(told))

    def _openapi(self, served: Served) -> Answer:
        live = served.live
        return Answer(
            orjson.dumps(openapi(live.model_name, live.version or "0", live.scorer.signature, live.scorer.example))
        )

    def _metrics_text(self, _: Served) -> Answer:
        text = metrics_text(self.served, time.monotonic() - self._started)
        return Answer(text.encode(), kind=b"text/plain; version=0.0.4; charset=utf-8")

    def _requests(self, _: Served) -> Answer:
        """The last requests, newest first: when, how they went, how many rows, how long, which model. Never data."""
        found = [seen.plain() for seen in reversed(self.recent)]
        told = {"total": int(self._counter[0]), "compared": compared(self.served, self._split)}
        return Answer(orjson.dumps({"requests": found, **told}))

    def _drift(self, served: Served) -> Answer:
        """How the rows that were asked for differ from those that the model was trained on."""
        if served.log is None:
            raise Refusal("requests are not looked at here; start the server with a request log.", status=404)
        return Answer(orjson.dumps(served.log.drift_report()))

    def _page(self, served: Served) -> Answer:
        live = served.live
        facts = {
            "model": live.model_name,
            "version": live.version,
            "uri": live.model_uri,
            "nbtrack": __version__,
            "schema": schema_json(live.scorer.signature),
            "example": live.scorer.example,
        }
        return Answer(
            render_page(facts), kind=b"text/html; charset=utf-8", headers=[(b"content-security-policy", PAGE_POLICY)]
        )

    def _refuse(self, live: Live, refusal: Refusal, scoring: bool) -> Answer:
        shows_example = scoring and refusal.status in {400, 415}
        body = orjson.dumps(refusal.body(live.scorer.example if shows_example else None), default=str)
        answer = Answer(body, refusal.status)
        if refusal.status == 401:
            answer.headers.append((b"www-authenticate", b"Bearer"))
        if refusal.status == 503:
            answer.headers.append((b"retry-after", b"1"))
        if refusal.status in {408, 413}:  # the rest of the body is not wanted
            answer.headers.append((b"connection", b"close"))
        return answer


async def _send(send: Send, answer: Answer, label: bytes, *, head_only: bool) -> None:
    headers = [
        (b"content-type", answer.kind),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-nbtrack-model", label),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else answer.body})


def _read_body(body: bytes, content_type: str, codec: Codec) -> Decoded:
    return codec.decode(body, content_type)


def _read_inference(body: bytes, codec: Codec) -> Decoded:
    return v2.decode(body, codec.schema)[0]
