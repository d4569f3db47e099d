"""Brings what others put on the server into the mirror, where everything of ours can search, show and load it.

A list of runs comes with params, tags and the latest metrics. The rest (histories, artifacts, inputs) is fetched when
a run is opened, or bit by bit in the background: from the run's own files, where nbtrack wrote it; and only when it is
opened through MLflow's calls, where not. Bytes of artifacts are fetched when they are read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from nbtrack.bridge.importing import clean_name
from nbtrack.bridge.remote.ledger import Sent
from nbtrack.bridge.remote.logs import fetch_news, keep
from nbtrack.bridge.remote.push import TAG_GONE, TAG_LOCAL_ID, TAG_LOGGED, TO_OURS
from nbtrack.bridge.remote.rest import ServerRefusedError
from nbtrack.entities import DEFAULT_EXPERIMENT_ID, Artifact, DatasetInput, Status
from nbtrack.errors import NbtrackError, NotFoundError
from nbtrack.names import check_run_id
from nbtrack.store.bulk import EndedRun, Point, add_ended_run, checked_key
from nbtrack.store.files import remove, replace
from nbtrack.store.joining import remove_run
from nbtrack.store.layout import FORMAT_VERSION, LOG_SUFFIX, new_id
from nbtrack.store.lines import parse_line, seal

if TYPE_CHECKING:
    from nbtrack.bridge.remote.step import InStep

_NEWEST: Final = 200  # so many are looked at each time; all of them the first time, and when asked
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{21}")
_DEPTH: Final = 20
_AGAIN_S: Final = 2.0  # a live run that MLflow writes is fetched again at most so often
_CUT: Final = 250  # a text this long may be the beginning of a longer one: servers cut them


class Puller:
    """Fills one mirror."""

    def __init__(self, store: InStep) -> None:
        self._store = store
        self._rest = store.rest
        self._sent = store.sent
        self.shallow: set[str] = set()  # runs that are here as the server lists them, and whose own files it has
        self._called_at: dict[str, float] = {}

    def pull(self, everything: bool) -> int:
        """Bring experiments and runs up to date; return how many runs changed."""
        experiments = self._experiments()
        body = {
            "experiment_ids": list(experiments),
            "run_view_type": "ALL",
            "max_results": 1000 if everything else _NEWEST,
            "order_by": ["attributes.start_time DESC"],
        }
        changed = 0
        seen = set()
        for run in self._rest.pages("runs/search", "runs", body, None if everything else _NEWEST):
            seen.add(run["info"]["run_id"])
            changed += self._take(run, experiments)
        if not everything:  # runs that were live when we last looked, however old
            for sent in list(self._sent.all()):
                if sent.seen.endswith(" RUNNING") and sent.remote not in seen:
                    changed += self._take(self._rest.get("runs/get", {"run_id": sent.remote})["run"], experiments)
        return changed

    def _experiments(self) -> dict[str, str]:
        """Return the experiments of the server by its ids, with ours; made here if need be."""
        known = {str(theirs): ours for ours, theirs in self._sent.read("experiments").items()}
        known[DEFAULT_EXPERIMENT_ID] = DEFAULT_EXPERIMENT_ID
        body = {"max_results": 1000, "view_type": "ALL"}
        found: dict[str, str] = {}
        listed = list(self._rest.pages("experiments/search", "experiments", body))
        for one in sorted(listed, key=lambda one: (int(one.get("creation_time", 0)), str(one["experiment_id"]))):
            key, name = str(one["experiment_id"]), str(one["name"])
            deleted = one.get("lifecycle_stage") == "deleted"
            tags = {str(tag["key"]): str(tag.get("value", "")) for tag in one.get("tags", [])}
            local = known.get(key)
            if local is None:
                same = self._store.local_experiment_by_name(name)
                local = same.experiment_id if same is not None else self._store.local_create_experiment(name, tags, key)
                self._sent.write("experiments", {**self._sent.read("experiments"), local: key})
            here = self._store.local_experiment(local)
            changes: dict[str, Any] = {}
            if here.name != name:
                changes["name"] = name
            if (here.lifecycle_stage == "deleted") != deleted and key != DEFAULT_EXPERIMENT_ID:
                changes["deleted"] = deleted
            if other := {tag: tags.get(tag) for tag in {*here.tags, *tags} if here.tags.get(tag) != tags.get(tag)}:
                changes["tags"] = other
            if changes:
                self._store.local_edit_experiment(local, **changes)
            found[key] = local
        return found

    def _take(self, run: Mapping[str, Any], experiments: Mapping[str, str]) -> int:
        info, data = run["info"], run.get("data", {})
        tags = {str(one["key"]): str(one.get("value", "")) for one in data.get("tags", [])}
        run_id, logged, gone = tags.pop(TAG_LOCAL_ID, ""), tags.pop(TAG_LOGGED, ""), tags.pop(TAG_GONE, "")
        run_id = run_id if _RUN_ID.fullmatch(run_id) else _local_id(str(info["run_id"]))
        status = str(info.get("status", "RUNNING"))
        seen = f"{crc32(json.dumps([info, data], sort_keys=True).encode()):08x} {status}"
        sent = self._sent.get(run_id)
        if sent is not None and sent.seen == seen:
            return 0
        if gone:
            self._forget(run_id)
            self._sent.put(Sent(run_id, remote=str(info["run_id"]), open=False, seen=seen, deleted=True))
            return 1
        if sent is not None and sent.open:  # to be sent from here: only what others added is of interest
            return int(bool(logged) and logged != sent.logged and self._fetch(sent))
        if sent is None or sent.depth != "logs":
            ended = _as_run(run_id, info, data, tags, experiments[str(info["experiment_id"])])
            sent = Sent(run_id, remote=str(info["run_id"]), artifact_uri=str(info.get("artifact_uri", "")), open=False)
            sent.depth, sent.status = "list", status
            sent.deleted = info.get("lifecycle_stage") == "deleted"
            try:
                self._forget(run_id)
                add_ended_run(self._store, ended)
                if sent.deleted:
                    self._store.local_edit(run_id, deleted=True)
            except NbtrackError:
                return 0
            sent.files_there = bool(logged)
            if logged:
                self.shallow.add(run_id)
        else:
            sent.status, sent.deleted = status, info.get("lifecycle_stage") == "deleted"
            if logged and logged != sent.logged:
                self._fetch(sent)
            if logged in {"", sent.logged}:  # else its tags there and its files here may be of different moments
                self._take_changes(sent, tags)
        sent.seen = seen
        self._sent.put(sent)
        return 1

    def _forget(self, run_id: str) -> None:
        try:
            remove_run(self._store, run_id)
        except NotFoundError:
            return

    def _take_changes(self, sent: Sent, tags: Mapping[str, str]) -> None:
        """Take over what users of MLflow changed of a run of ours: its tags, and whether it is in the trash."""
        here = self._store.local_run(sent.run_id)
        shown = _named({TO_OURS.get(key, key): value for key, value in tags.items() if key != "mlflow.runName"})
        mine = here.data.tags
        new = {
            key: value
            for key, value in shown.items()
            if mine.get(key) != value and not (len(value) >= _CUT and mine.get(key, "").startswith(value))
        }
        if new or sent.deleted != (here.info.lifecycle_stage == "deleted"):
            self._aside(sent, tags=new, deleted=sent.deleted)

    def _aside(self, sent: Sent, **changes: Any) -> None:
        """Change a run in the mirror alone, as the server says."""
        _, before = self._store.files_of(sent.run_id)
        self._store.local_edit(sent.run_id, **changes)
        _, after = self._store.files_of(sent.run_id)
        sent.aside += sorted(set(after) - set(before))
        self._sent.put(sent)

    # -- one run in full -------------------------------------------------------------------------------------------
    def details(self, run_id: str) -> None:
        """Fetch what a list of runs does not hold."""
        sent = self._sent.get(run_id)
        if sent is None or sent.open or sent.depth == "logs":
            return
        live, now = sent.seen.endswith(" RUNNING"), time.monotonic()
        if sent.depth == "list" and sent.files_there and self._fetch(sent):
            return
        if sent.depth == "list" or (live and now - self._called_at.get(run_id, -_AGAIN_S) >= _AGAIN_S):
            self._called_at[run_id] = now
            self._from_calls(sent, list(self._files(sent.remote, "")))
            sent.depth = "calls"
            self._sent.put(sent)

    def _fetch(self, sent: Sent) -> bool:
        """Bring the run's own files up to those on the server; return whether its own files are what is here now."""
        folder, _ = self._store.files_of(sent.run_id)
        files = fetch_news(self._rest, sent, folder)
        first = f"{sent.run_id}{LOG_SUFFIX}"
        if sent.depth != "logs":
            if first not in files:
                return False
            self._forget(sent.run_id)
            sent.at, sent.aside, sent.marker, sent.depth = {}, [], "", "logs"
        keep(folder, files, first)
        if sent.marker:  # also: what is known of a log without a writer is asked again only if other files came or went
            remove(f"{folder}/{sent.marker}")
            sent.aside = [name for name in sent.aside if name != sent.marker]
            sent.marker = ""
        sent.at |= {name: len(data) for name, data in files.items()}
        self.shallow.discard(sent.run_id)
        if sent.status == "RUNNING" and not sent.open:  # its lock is elsewhere
            self._say_live(sent, folder)
        here = self._store.local_run(sent.run_id)
        for path, artifact in here.artifacts.items():
            self._sent.write(f"files-{artifact.digest}", {"remote": sent.remote, "path": path})
        if sent.deleted != (here.info.lifecycle_stage == "deleted"):
            self._aside(sent, deleted=sent.deleted)
        self._sent.put(sent)
        return True

    def _say_live(self, sent: Sent, folder: str) -> None:
        """Note that the writer lives, from the beginning of its log on: what the log says of its end comes later."""
        _, names = self._store.files_of(sent.run_id)
        logs = sorted((name for name in names if "~" not in name), key=lambda name: (len(name), name))
        with Path(folder, logs[-1]).open("rb") as file:
            header = parse_line(file.readline())
        at = int(header.get("t", 0)) if isinstance(header, dict) else 0
        sent.marker = f"{sent.run_id}~{new_id(at)}{LOG_SUFFIX}"
        record = {"t": at, "run": sent.run_id, "v": FORMAT_VERSION, "edit": {"status": "RUNNING"}}
        replace(f"{folder}/{sent.marker}", seal(record))
        sent.aside.append(sent.marker)

    def _files(self, remote: str, path: str, depth: int = 0) -> Iterator[tuple[str, int]]:
        query = {"run_id": remote, **({"path": path} if path else {})}
        for one in self._rest.get("artifacts/list", query).get("files", []):
            if one.get("is_dir"):
                if depth < _DEPTH:
                    yield from self._files(remote, str(one["path"]), depth + 1)
            else:
                yield str(one["path"]), int(one.get("file_size", 0))

    def _from_calls(self, sent: Sent, files: list[tuple[str, int]]) -> None:
        here = self._store.local_run(sent.run_id)
        run = self._rest.get("runs/get", {"run_id": sent.remote})["run"]
        ended = EndedRun(
            run_id=sent.run_id,
            run_name=here.info.run_name,
            experiment_id=here.info.experiment_id,
            status=here.info.status,
            start_time_ms=here.info.start_time,
            end_time_ms=here.info.end_time or here.info.start_time,
            params=here.data.params,
            tags=here.data.tags,
            metrics={key: self._history(sent.remote, key) for key in here.data.metrics},
            artifacts=[self._artifact(sent.remote, path, size) for path, size in files],
            inputs=[_input(one) for one in run.get("inputs", {}).get("dataset_inputs", [])],
        )
        self._forget(sent.run_id)
        add_ended_run(self._store, ended)
        if here.info.lifecycle_stage == "deleted":
            self._store.local_edit(sent.run_id, deleted=True)

    def _history(self, remote: str, key: str) -> list[Point]:
        points: list[Point] = []
        token = ""
        while True:
            query = {"run_id": remote, "metric_key": key, "max_results": 25_000}
            found = self._rest.get("metrics/get-history", {**query, **({"page_token": token} if token else {})})
            points += [_point(one) for one in found.get("metrics", [])]
            token = found.get("next_page_token") or ""
            if not token:
                return sorted(points, key=lambda point: (point[2], point[0]))

    def _artifact(self, remote: str, path: str, size: int) -> Artifact:
        """Return the record of a file whose bytes were not fetched; its digest stands for its place."""
        digest = sha256(f"{self._rest.url}\n{remote}\n{path}\n{size}".encode()).hexdigest()
        self._sent.write(f"files-{digest}", {"remote": remote, "path": path, "unknown": True})
        return Artifact(path, digest, size)

    def fetch(self, digest: str) -> tuple[bytes, bool] | None:
        """Return the bytes of a file that is on the server, and whether its digest is known to be theirs."""
        place = self._sent.read(f"files-{digest}")
        if not place:
            return None
        try:
            return self._rest.get_file(str(place["remote"]), str(place["path"])), not place.get("unknown")
        except ServerRefusedError as error:
            raise NotFoundError(f"blob {digest}: {error}") from None


def _local_id(remote: str) -> str:
    return remote if _RUN_ID.fullmatch(remote) else sha256(remote.encode()).hexdigest()[:32]


def _number(value: Any) -> float:
    return float(str(value).replace("Infinity", "inf"))


def _point(one: Mapping[str, Any]) -> Point:
    return int(one.get("timestamp", 0)), _number(one.get("value", 0)), int(one.get("step", 0))


def _as_run(
    run_id: str, info: Mapping[str, Any], data: Mapping[str, Any], tags: Mapping[str, str], experiment_id: str
) -> EndedRun:
    status: Status = info.get("status", "RUNNING")
    start = int(info.get("start_time", 0))
    name = tags.get("mlflow.runName") or info.get("run_name") or run_id[:8]
    shown = {TO_OURS.get(key, key): value for key, value in tags.items() if key != "mlflow.runName"}
    return EndedRun(
        run_id=check_run_id(run_id),
        run_name=clean_name(str(name)),
        experiment_id=experiment_id,
        status=status,
        start_time_ms=start,
        end_time_ms=int(info.get("end_time") or start),
        params=_named({one["key"]: str(one.get("value", "")) for one in data.get("params", [])}),
        tags=_named(shown),
        metrics=_named({one["key"]: [_point(one)] for one in data.get("metrics", [])}),
    )


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        try:
            found[checked_key(key)] = value
        except NbtrackError:
            continue
    return found


def _input(one: Mapping[str, Any]) -> DatasetInput:
    data = one.get("dataset", {})
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in one.get("tags", [])}
    kept = {key: data.get(key) for key in ("source_type", "schema", "profile")} | {"tags": tags}
    texts = (str(data.get(key, "")) for key in ("name", "digest", "source"))
    name, digest, source = texts
    return DatasetInput(name, tags.get("mlflow.data.context", ""), digest, source, {"mlflow": kept})
