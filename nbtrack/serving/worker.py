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
from typing import Any, Final

from nbtrack.errors import NbtrackError, ServingError
from nbtrack.serving import logfile, records
from nbtrack.serving.order import GRACE_S, Order, read_order

ORPHAN_GRACE_S: Final = 0.5  # for requests in flight, when the owner is gone


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
        self._follower: Any = None
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
        records.forget(self.order.server_id)
        os._exit(0)

    def load(self) -> Any:
        """Return the application, its model loaded and rehearsed."""
        from nbtrack.serving.app import App
        from nbtrack.serving.guard import Guard
        from nbtrack.serving.loading import load_scorer
        from nbtrack.serving.target import find_target
        from nbtrack.store import open_store

        order = self.order
        store = open_store(order.store_uri, create=False) if order.store_uri else None
        target = find_target(order.follow or order.resolved_uri, store)  # a stage may have moved since a crash
        scorer = load_scorer(target.uri, order.store_uri)
        scorer.rehearse()
        app = App(scorer, target, guard=Guard(order.allowed_hosts, order.token), counter=self.life.counters)
        if order.shadow:
            from nbtrack.serving.shadow import Shadow

            second = load_scorer(order.shadow, order.store_uri)
            second.rehearse()
            app.shadow = Shadow(second, order.shadow)
        if order.follow and store is not None:
            from nbtrack.serving.follow import Follower

            self._follower = Follower(app, order.server_id, order.follow, store, threading.get_ident())
        return app

    async def _serve(self, server: Any) -> None:
        from nbtrack.serving.protocol import close_slow_heads

        if self._follower is not None:
            arguments = (asyncio.get_running_loop(), self.stop)
            threading.Thread(target=self._follower.run, args=arguments, name="nbtrack-follow", daemon=True).start()
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
        self._server = server = uvicorn.Server(config)
        app.connections = lambda: len(server.server_state.connections)
        # The model's objects live as long as the process: no collection need ever walk through them again.
        gc.collect()
        gc.freeze()
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve(server))
        finally:
            self.stop.set()
            records.forget(self.order.server_id)


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
    live = app.live
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
