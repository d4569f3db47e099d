"""The one vocabulary between our user interface and the store, and the one function that answers it.

The cell widget asks through the kernel's comm, the JupyterLab panel through jupyter_server, a report has its answers
inside: all three speak the requests and answers below. ``js/src/wire.ts`` is generated from this file.

Numbers that JSON cannot say (NaN, ±inf) travel as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

from typing import Any, Literal

from nbtrack.wire import differing, pictures, registered, repeating, servers, tables
from nbtrack.wire.base import Answer, Number, Request


# -- requests: reading -------------------------------------------------------------------------------------------------
class GetInfo(Request, frozen=True, tag="info"):
    """About the store."""


class GetRevision(Request, frozen=True, tag="revision"):
    """Has anything changed? Cheap; asked once or twice a second."""


class GetRun(Request, frozen=True, tag="run"):
    """Everything about one run."""

    run_id: str


class ListServers(Request, frozen=True, tag="servers"):
    """Model servers of this store on this machine."""


# -- requests: changing ------------------------------------------------------------------------------------------------
class EditRun(Request, frozen=True, tag="edit_run"):
    """Rename, tag, annotate, trash or restore a run. A tag of null is removed."""

    run_id: str
    run_name: str | None = None
    tags: dict[str, str | None] = {}
    deleted: bool | None = None


class Pin(Request, frozen=True, tag="pin"):
    """Keep (``pinned``) or leave out (``unpinned``) a param or metric that is found in the notebook of a run.

    It holds from the notebook's next run on; null takes the choice back.
    """

    run_id: str
    kind: Literal["param", "metric"]
    key: str
    choice: Literal["pinned", "unpinned"] | None = None


class Serve(Request, frozen=True, tag="serve"):
    """Serve a model on this machine; answers when it is ready, or with the reason why not."""

    model_uri: str
    port: int | None = None


class StopServer(Request, frozen=True, tag="stop_server"):
    """Stop a model server."""

    server_id: str


class Invoke(Request, frozen=True, tag="invoke"):
    """Send one scoring request to a served model: the try-it form. `body` is sent as it is."""

    server_id: str
    body: str
    content_type: str = "application/json"


AnyRequest = (
    GetInfo
    | GetRevision
    | tables.ListRuns
    | tables.GetCatalog
    | tables.GroupRuns
    | tables.ListViews
    | tables.SaveView
    | GetRun
    | differing.GetDiff
    | pictures.GetSeries
    | pictures.GetBands
    | pictures.GetFigure
    | pictures.GetPlotly
    | pictures.GetArtifact
    | pictures.MakeReport
    | registered.ListModels
    | registered.GetHistory
    | registered.DiffVersions
    | ListServers
    | EditRun
    | Pin
    | repeating.Reproduce
    | repeating.GetReproduction
    | registered.Register
    | registered.Promote
    | registered.Undo
    | registered.Approve
    | registered.SetGates
    | registered.EditVersion
    | Serve
    | StopServer
    | servers.GetActivity
    | servers.RollbackServer
    | Invoke
)


# -- answers -----------------------------------------------------------------------------------------------------------
class StoreInfo(Answer, frozen=True):
    """About the store. `server` is the nbtrack version of the process that answers."""

    uri: str
    name: str
    writable: bool
    format_version: int
    runs: int
    models: int
    server: str
    user: str


class Revision(Answer, frozen=True):
    """Changes whenever something in the store does."""

    revision: str


class ArtifactEntry(Answer, frozen=True):
    """A file of a run."""

    path: str
    size_bytes: int
    digest: str


class MetricEntry(Answer, frozen=True):
    """A metric of a run in one line."""

    key: str
    last: Number
    min: Number
    max: Number
    count: int
    step: int
    better: Literal["higher", "lower"] | None = None
    previous: Number | None = None  # the same metric of `previous_run`, for the change shown on a card


class DataInput(Answer, frozen=True):
    """Data that a run read, as it was told with ``log_input``."""

    name: str
    context: str
    digest: str
    source: str


class RunDetail(Answer, frozen=True):
    """Everything about one run, ready to show."""

    run_id: str
    run_name: str
    experiment: str
    status: str
    start_time: int
    end_time: int | None
    user: str
    deleted: bool
    note: str
    params: dict[str, str]
    metrics: list[MetricEntry]
    tags: dict[str, str]
    artifacts: list[ArtifactEntry]
    models: list[registered.LoggedModel]
    capture: dict[str, Any]
    previous_run: tuple[str, str] | None = None  # id and name of the run before it: of the same cell if there is one
    parent: tuple[str, str] | None = None  # id and name of the run that this is a part of
    children: list[tuple[str, str, str]] = []  # id, name and status of the runs that are parts of this one
    inputs: list[DataInput] = []
    reproducing: bool = False  # whether the process that answers is just running it again
    pins: dict[str, str] = {}  # "param:C" or "metric:loss" -> "pinned" or "unpinned", as chosen for its notebook


class Server(Answer, frozen=True):
    """A model server. `curl`, `python` and `javascript` work as they stand; `example` is a body that it accepts.

    `path` is where a Jupyter server reaches it for a browser on another machine, below its base URL. `follow` is the
    URI whose meaning it follows, `held` the version that it answers with all the same, `previous` the one before.
    """

    server_id: str
    url: str
    path: str
    port: int
    model_uri: str
    model_name: str
    version: int | None
    stage: str
    owner: str
    status: str
    started_at: int
    error: str
    requests: int
    follow: str
    held: str
    previous: str
    others: list[servers.OtherModel]
    checks: list[servers.Check]
    curl: str
    python: str
    javascript: str
    example: str


class Servers(Answer, frozen=True):
    """Model servers of this store on this machine."""

    servers: list[Server]


class Invocation(Answer, frozen=True):
    """What a served model answered."""

    status: int
    body: str
    ms: float


class Done(Answer, frozen=True):
    """It is done; `text` says what, for the status line."""

    text: str


class Failure(Answer, frozen=True):
    """Why not, and what to do.

    `code`: ``invalid not_found no_store conflict gate read_only serving failed internal``.
    """

    code: str
    message: str


ANSWERS: dict[str, type[Answer]] = {
    "info": StoreInfo,
    "revision": Revision,
    **tables.ANSWERS,
    "run": RunDetail,
    **differing.ANSWERS,
    **pictures.ANSWERS,
    **registered.ANSWERS,
    "servers": Servers,
    "edit_run": Done,
    "pin": Done,
    **repeating.ANSWERS,
    "edit_version": Done,
    "serve": Server,
    "stop_server": Done,
    **servers.ANSWERS,
    "rollback_server": Done,
    "invoke": Invocation,
}
