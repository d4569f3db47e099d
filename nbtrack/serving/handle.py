"""A running model server as one holds it in a notebook: ask it, look at it, go back a version, stop it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtrack.entities import VIEW_MIME, ServerInfo
from nbtrack.errors import InvalidInputError, NotFoundError, ServingError
from nbtrack.reprs import server_card_html
from nbtrack.serving import client, logfile, process, records

if TYPE_CHECKING:
    from types import TracebackType


class ModelServer:
    """A running model server: ask it, look at its log, stop it.

    As a context manager it is stopped at the end of the block, unless it had been running before.

    Examples
    --------
    >>> with nbtrack.serve("models:/wine/Staging") as server:  # doctest: +SKIP
    ...     server.predict(X_test)
    """

    def __init__(self, record: records.Record, *, reused: bool = False) -> None:
        self._record = record
        self._reused = reused

    @property
    def server_id(self) -> str:
        """Its id."""
        return self._record.server_id

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:1234``."""
        return self._record.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._record.port

    @property
    def info(self) -> ServerInfo:
        """What is known of it now; `status` is ``"stopped"`` once it is gone."""
        for record, requests in records.live_records():
            if record.server_id == self.server_id:
                self._record = record
                return record.info(requests)
        record = self._record
        return ServerInfo(
            **{name: getattr(record.info(), name) for name in ServerInfo.__slots__ if name != "status"},
            status="stopped",
        )

    def predict(self, data: Any, model: str = "") -> Any:
        """Return the served model's predictions for `data`, as an array with one entry a row.

        Parameters
        ----------
        data
            A DataFrame, an array, a list of rows, or a mapping of columns.
        model
            The name of one of the server's models; the first one, if not given.

        Raises
        ------
        InvalidInputError
            If the data does not fit the model.
        ServingError
            If the server does not answer.
        """
        status, text, _ = client.post(self._record, client.encode_request(data), "application/json", model)
        return client.decode_answer(self._record, status, text)

    def logs(self, lines: int = 50) -> str:
        """Return the last lines of what the server printed."""
        return logfile.tail(records.log_path(self.server_id), lines)

    def rollback(self, wait_s: float = 10) -> None:
        """Let the version that answered before answer again, at once and without a failed request.

        The registry stays as it is, and what the server follows is not followed until :meth:`follow`.

        Raises
        ------
        InvalidInputError
            If no other version has answered.
        ServingError
            If it does not answer after `wait_s`.
        """
        info = self.info
        if not info.previous:
            raise InvalidInputError(
                f"rollback: the server {self.server_id} has answered with no other version. Promote the one you want."
            )
        records.hold(self.server_id, info.previous)
        deadline = time.monotonic() + wait_s
        while (record := records.read_record(self.server_id)) is not None and record.resolved_uri != info.previous:
            if time.monotonic() > deadline:
                raise ServingError(
                    f"rollback: {info.previous} does not answer after {wait_s:g} s. The log says more: server.logs()."
                )
            time.sleep(0.02)

    def follow(self) -> None:
        """Follow the stage or alias again, after :meth:`rollback`."""
        records.hold(self.server_id, "")

    def stop(self) -> None:
        """Stop it; requests in flight are answered first. Stopping it twice does no harm."""
        try:
            process.stop_server(self.server_id)
        except NotFoundError:
            return

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._reused:
            self.stop()

    def __repr__(self) -> str:
        info = self.info
        return f"<ModelServer {info.server_id} of {info.model_uri} at {info.url}: {info.status}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        info = self.info
        store = _shown_store(self._record.store_uri)
        view = {"version": 1, "view": "server", "store": store, "run_ids": [], "server_id": info.server_id}
        return {
            VIEW_MIME: view,
            "text/html": server_card_html(info, curl=client.curl_command(info), log=self.logs(20)),
            "text/plain": repr(self),
        }


def _shown_store(uri: str) -> str:
    """Return a store's folder relative to the working directory where that is possible."""
    try:
        return Path(uri).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return uri
