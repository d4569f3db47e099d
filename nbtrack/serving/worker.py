"""The process that serves one model: ``python -m nbtrack.serving.worker``, started by :func:`nbtrack.serving.serve`.

Its standard input carries one line of JSON that says what to serve, and is then the *pipe of life*: it ends when the
owner ends, however that comes about, and the worker ends with it. Its standard output carries one line back: that it is
ready, or why it is not. The listening socket comes from the owner, so requests wait in line while the model loads.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from nbtrack.errors import NbtrackError, ServingError
from nbtrack.serving import logfile, records
from nbtrack.serving.board import Board, Checks
from nbtrack.serving.order import GRACE_S, Order, read_order

ORPHAN_GRACE_S: Final = 0.5  # for requests in flight, when the owner is gone
LOG_GRACE_S: Final = 2.0  # for the request log to be written, at the end


def _listening_socket(order: Order) -> socket.socket:
    if order.share:
        shared: socket.socket = socket.fromshare(base64.b64decode(order.share))  # type: ignore[attr-defined]
        return shared
    return socket.socket(fileno=order.fd)


class Worker:
    """One model, served until told to stop."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.life = records.Life(order.server_id)
        self.stop = threading.Event()
        self._server: Any = None
        self._followers: list[Any] = []
        self._logs: list[Any] = []
        self._writing: list[threading.Thread] = []
        threading.Thread(
            target=logfile.keep_small, args=(records.log_path(order.server_id), self.stop), daemon=True
        ).start()
        if order.tied:
            threading.Thread(target=self._watch_owner, name="nbtrack-owner", daemon=True).start()

    def _watch_owner(self) -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        logging.getLogger("nbtrack.serving").info("the owner is gone")
        if self._server is not None:
            self._server.should_exit = True
            time.sleep(ORPHAN_GRACE_S)
        self._end_logs()
        records.forget(self.order.server_id)
        os._exit(0)

    def load(self) -> Any:
        """Return the application, its models loaded and rehearsed."""
        from nbtrack.serving.app import App
        from nbtrack.serving.guard import Guard
        from nbtrack.serving.loading import load_scorer
        from nbtrack.serving.served import Served, Split
        from nbtrack.serving.shadow import Shadow
        from nbtrack.serving.target import find_target
        from nbtrack.store import open_store

        order = self.order
        store = open_store(order.store_uri, create=False) if order.store_uri else None
        checks = Checks(order.server_id, several=len(order.models) > 1)
        served: list[Served] = []
        for place, wanted in enumerate(order.models):
            held = records.held(order.server_id) if place == 0 else ""
            target = find_target(held or wanted.follow or wanted.resolved_uri, store)  # it may have moved since a crash
            checks.found(target)
            scorer = load_scorer(target.uri, order.store_uri, trust=order.trusted(target.digest))
            scorer.rehearse()
            checks.rehearsed(target, scorer)
            served.append(Served(scorer, target))
        if order.split:
            served[0].compare_with(served[1])
            served[1].compare_with(served[0])
        if order.shadow:
            second = load_scorer(order.shadow, order.store_uri)
            second.rehearse()
            served[0].shadow = Shadow(second, order.shadow)
        if store is not None:
            self._attach(served, store)
        return App(
            served,
            split=Split(order.split) if order.split else None,
            guard=Guard(order.allowed_hosts, order.token),
            counter=self.life.counters,
        )

    def _attach(self, served: list[Any], store: Any) -> None:
        """Make the models follow their stages, and log their requests."""
        from nbtrack.serving.follow import Follower

        order, here = self.order, threading.get_ident()
        board = Board(order.server_id, len(served))
        for place, (one, wanted) in enumerate(zip(served, order.models, strict=True)):
            if wanted.follow:
                held = partial(records.held, order.server_id) if place == 0 else str
                tell = partial(board.tell, place)
                self._followers.append(Follower(one, wanted.follow, store, here, held, tell, order.trusted))
            if order.log_share > 0:
                from nbtrack.serving.request_log import RequestLog

                log = RequestLog(store, one.name, order.log_share, order.log_max_bytes, order.mask)
                one.log = log
                self._logs.append(log)

    async def _serve(self, server: Any) -> None:
        from nbtrack.serving.protocol import close_slow_heads

        for follower in self._followers:
            arguments = (asyncio.get_running_loop(), self.stop)
            threading.Thread(target=follower.run, args=arguments, name="nbtrack-follow", daemon=True).start()
        for log in self._logs:
            thread = threading.Thread(target=log.run, args=(self.stop,), name="nbtrack-log", daemon=True)
            thread.start()
            self._writing.append(thread)
        sweeping = asyncio.create_task(close_slow_heads(server.server_state.connections))
        await server.serve(sockets=[_listening_socket(self.order)])
        sweeping.cancel()

    def run(self, app: Any) -> None:
        """Answer requests until told to stop."""
        import uvicorn

        from nbtrack.serving.protocol import MAX_CONNECTIONS, GuardedProtocol

        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=int(GRACE_S),
            limit_concurrency=MAX_CONNECTIONS,
            backlog=2048,
        )
        worker = self

        class Server(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                await super().shutdown(sockets)
                await asyncio.to_thread(worker._end_logs)  # now: uvicorn ends the process by the signal that it got

        self._server = server = Server(config)
        app.count_connections(lambda: len(server.server_state.connections))
        # The model's objects live as long as the process: no collection need ever walk through them again.
        gc.collect()
        gc.freeze()
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve(server))
        finally:
            self.stop.set()
            records.forget(self.order.server_id)

    def _end_logs(self) -> None:
        """Let what was logged reach the store, if that does not take long."""
        self.stop.set()
        for thread in self._writing:
            thread.join(LOG_GRACE_S)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return how to make the fastest event loop there is; None for Python's own."""
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _say(fd: int, **told: Any) -> None:
    try:
        os.write(fd, json.dumps(told).encode() + b"\n")
        os.close(fd)
    except OSError:  # nobody listens any more
        pass


def main() -> int:
    """Serve what standard input orders; return the exit code."""
    answers = logfile.take_output()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 1)  # byte by byte: what comes after this line is the pipe of life
        if not part:
            return 1
        line += part
    order = read_order(bytes(line))
    log = logging.getLogger("nbtrack.serving")
    try:
        worker = Worker(order)
        app = worker.load()
    except BaseException as error:
        log.exception("the model could not be served")
        own = isinstance(error, NbtrackError)
        _say(
            answers,
            ok=False,
            kind=type(error).__name__,
            error=str(error) if own else f"{type(error).__name__}: {error}",
        )
        return 1
    live = app.served[0].live
    version = int(live.version) if live.version else None
    meaning = {"resolved_uri": live.model_uri, "version": version, "digest": live.digest}
    records.mark(order.server_id, status="ready", pid=os.getpid(), error="", **meaning)
    log.info("serving %s (process %d)", live.model_uri, os.getpid())
    _say(answers, ok=True)
    worker.run(app)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServingError as error:
        sys.exit(str(error))
