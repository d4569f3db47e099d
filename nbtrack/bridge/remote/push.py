"""Sends what runs logged to the server: the logs themselves are the spool, and what was sent of each is noted.

A batch may be sent twice, when the answer to the first was lost. That makes no doubles: a server's database keeps equal
points once, params and tags anyway; and a run that may have been created is looked for by the tag that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.bridge.remote.ledger import Sent
from nbtrack.bridge.remote.logs import PART_BYTES, put_parts
from nbtrack.bridge.remote.rest import ServerRefusedError
from nbtrack.entities import DEFAULT_EXPERIMENT_ID, TAG_NOTE, TAG_PARENT, TAG_SOURCE, TAG_USER, Run
from nbtrack.errors import NbtrackError, NotFoundError
from nbtrack.store.lines import parse_line

if TYPE_CHECKING:
    from nbtrack.bridge.remote.step import InStep

TAG_LOCAL_ID: Final = "nbtrack.run_id"  # on the server: what the run is called here, and for everybody who uses nbtrack
TAG_LOGGED: Final = "nbtrack.logged"  # which of the run's own files are there, and how long
TAG_GONE: Final = "nbtrack.gone"  # of a run that was taken back, or removed for good
_AT_ONCE: Final = 1000
_STATUSES: Final = {"CRASHED": "FAILED"}
_TO_THEIRS: Final = {
    TAG_NOTE: "mlflow.note.content",
    TAG_PARENT: "mlflow.parentRunId",
    TAG_USER: "mlflow.user",
    TAG_SOURCE: "mlflow.source.name",
}
TO_OURS: Final = {theirs: ours for ours, theirs in _TO_THEIRS.items()}


class Pusher:
    """Sends the runs of one mirror."""

    def __init__(self, store: InStep) -> None:
        self._store = store
        self._rest = store.rest
        self._sent = store.sent

    def push(self, run_id: str) -> bool:
        """Send what is new of a run; return whether the run is over and all of it was sent.

        Raises
        ------
        ServerAwayError
            If the server does not answer; what was sent until then is noted.
        """
        sent = self._sent.get(run_id) or Sent(run_id)
        try:
            run = self._store.local_run(run_id)  # first: of a run that is over by now the files are complete
            folder, names = self._store.files_of(run_id)
        except NotFoundError:  # taken back
            self.say_gone(sent)
            return True
        if not sent.remote:
            self._create(sent)
        batch = _Batch()
        news = False
        for name in sorted(names, key=lambda one: ("~" in one, len(one), one)):
            if name not in sent.aside:
                news |= self._push_file(sent, batch, f"{folder}/{name}", name)
        over = run.info.status not in {"RUNNING", "SCHEDULED"}
        if news:
            if sent.depth == "logs" and not any("its log" in text for text in sent.refused):
                batch.tags[TAG_LOGGED] = sent.logged
            self._send(sent, batch)
        self._say_status(sent, run)
        sent.open = not over
        self._sent.put(sent)
        return over

    def _say_status(self, sent: Sent, run: Run) -> None:
        """Tell the server of the end of a run, that it goes on, or that it is in the trash."""
        shown = _STATUSES.get(run.info.status, run.info.status)
        if shown != sent.status:
            body = {"run_id": sent.remote, "status": shown, "run_name": run.info.run_name}
            self._attempt(
                sent, "runs/update", {**body, **({} if run.info.end_time is None else {"end_time": run.info.end_time})}
            )
            sent.status = shown
        if (run.info.lifecycle_stage == "deleted") != sent.deleted:
            sent.deleted = not sent.deleted
            self._attempt(sent, "runs/delete" if sent.deleted else "runs/restore", {"run_id": sent.remote})

    def _out_of_the_trash(self, sent: Sent) -> None:
        if sent.deleted:  # MLflow takes nothing for a run in the trash
            self._rest.post("runs/restore", {"run_id": sent.remote})
            sent.deleted = False

    def say_gone(self, sent: Sent) -> None:
        """Make everybody forget a run. MLflow's interface has no way to remove one: it stays in the trash there."""
        if sent.remote:
            self._rest.post("runs/restore", {"run_id": sent.remote})
            self._attempt(sent, "runs/set-tag", {"run_id": sent.remote, "key": TAG_GONE, "value": "true"})
            self._attempt(sent, "runs/delete", {"run_id": sent.remote})
        sent.open, sent.at, sent.deleted = False, {}, True
        self._sent.put(sent)

    def _create(self, sent: Sent) -> None:
        run = self._store.local_run(sent.run_id)
        experiment = self._experiment(run.info.experiment_id)
        if sent.creating:  # the answer to an earlier try may have been lost
            query = {
                "experiment_ids": [experiment],
                "filter": f"tags.`{TAG_LOCAL_ID}` = '{sent.run_id}'",
                "max_results": 1,
            }
            for found in self._rest.post("runs/search", {**query, "run_view_type": "ALL"}).get("runs", []):
                self._created(sent, found)
                return
        sent.creating = True
        self._sent.put(sent)
        tags = {TAG_LOCAL_ID: sent.run_id, "mlflow.runName": run.info.run_name}
        body = {"experiment_id": experiment, "start_time": run.info.start_time, "run_name": run.info.run_name}
        user = run.data.tags.get(TAG_USER)
        answer = self._rest.post(
            "runs/create", {**body, "tags": _pairs(tags), **({"user_id": user} if user else {})}, tries=1
        )
        self._created(sent, answer["run"])

    def _created(self, sent: Sent, run: Mapping[str, Any]) -> None:
        sent.remote, sent.artifact_uri = str(run["info"]["run_id"]), str(run["info"].get("artifact_uri", ""))
        self._sent.put(sent)

    def _experiment(self, experiment_id: str) -> str:
        """Return what the server calls an experiment, which is created there if need be."""
        if experiment_id == DEFAULT_EXPERIMENT_ID:
            return DEFAULT_EXPERIMENT_ID
        known = self._sent.read("experiments")
        if experiment_id not in known:
            name = self._store.local_experiment(experiment_id).name
            try:
                found = self._rest.get("experiments/get-by-name", {"experiment_name": name})["experiment"][
                    "experiment_id"
                ]
            except ServerRefusedError as error:
                if error.code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                found = self._rest.post("experiments/create", {"name": name}, tries=1)["experiment_id"]
            known = {**self._sent.read("experiments"), experiment_id: str(found)}
            self._sent.write("experiments", known)
        return str(known[experiment_id])

    # -- lines -----------------------------------------------------------------------------------------------------
    def _push_file(self, sent: Sent, batch: _Batch, path: str, name: str) -> bool:
        """Send the whole lines of a file that were not sent yet; return whether there were any."""
        start = sent.at.get(name, 0)
        first = start - start % PART_BYTES
        with Path(path).open("rb") as file:
            header = parse_line(file.readline())
            file.seek(first)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        if len(data) <= start - first:
            return False
        self._out_of_the_trash(sent)
        if sent.depth == "logs":
            try:
                put_parts(self._rest, sent, name, first, data)
            except ServerRefusedError as error:
                self._refused(sent, f"its log: {error}")
        base = int(header.get("t", 0)) if isinstance(header, dict) else 0
        at = start
        for line in data[start - first :].splitlines(keepends=True):
            record = parse_line(line)
            if isinstance(record, list):
                batch.add_metrics(base, record)
            elif isinstance(record, dict):
                self._take(sent, batch, record)
            at += len(line)
            if batch.size >= _AT_ONCE:
                self._send(sent, batch)
                sent.at[name] = at
                self._sent.put(sent)
        sent.at[name] = at  # noted with the rest of the batch
        return True

    def _take(self, sent: Sent, batch: _Batch, record: Mapping[str, Any]) -> None:
        if "end" in record:
            return
        if edit := record.get("edit"):
            self._take_edit(sent, batch, edit, int(record.get("t", 0)))
            return
        batch.params.update(record.get("params") or {})
        self._take_tags(sent, batch, record.get("tags") or {})
        if name := record.get("name"):
            batch.tags["mlflow.runName"] = str(name)
        if path := record.get("artifact"):
            self._upload(sent, str(path), str(record["sha256"]))
        if inputs := record.get("inputs"):
            self._attempt(
                sent, "runs/log-inputs", {"run_id": sent.remote, "datasets": [_dataset(one) for one in inputs]}
            )

    def _take_edit(self, sent: Sent, batch: _Batch, edit: Mapping[str, Any], at: int) -> None:
        batch.params.update(edit.get("params") or {})
        self._take_tags(sent, batch, edit.get("tags") or {})
        for key, value in (edit.get("metrics") or {}).items():
            batch.metrics.append({"key": key, "value": value, "timestamp": at, "step": 0})
        for path, digest, _ in edit.get("artifacts") or ():
            self._upload(sent, path, digest)
        if name := edit.get("name"):
            batch.tags["mlflow.runName"] = name

    def _take_tags(self, sent: Sent, batch: _Batch, tags: Mapping[str, Any]) -> None:
        for key, value in tags.items():
            shown = _TO_THEIRS.get(key, key)
            if value is not None:
                batch.tags[shown] = str(value)
            elif batch.tags.pop(shown, None) is None:
                self._attempt(sent, "runs/delete-tag", {"run_id": sent.remote, "key": shown})

    def _upload(self, sent: Sent, path: str, digest: str) -> None:
        try:
            data = self._store.local_blob(digest)
        except NbtrackError as error:
            self._refused(sent, f"artifact {path!r}: {error}")
            return
        try:
            self._rest.put_file(sent.artifact_uri, path, data)
        except ServerRefusedError as error:
            self._refused(sent, f"artifact {path!r}: {error}")

    def _send(self, sent: Sent, batch: _Batch) -> None:
        """Send a batch; if the server refuses it, its parts one by one, so that only what is refused stays here."""
        for body in batch.bodies():
            try:
                self._rest.post("runs/log-batch", {"run_id": sent.remote, **body})
            except ServerRefusedError:
                for kind, items in body.items():
                    for item in items:
                        self._attempt(sent, "runs/log-batch", {"run_id": sent.remote, kind: [item]})
        batch.clear()

    def _attempt(self, sent: Sent, path: str, body: Mapping[str, Any]) -> None:
        try:
            self._rest.post(path, body)
        except ServerRefusedError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                self._refused(sent, str(error))

    def _refused(self, sent: Sent, text: str) -> None:
        if text not in sent.refused and len(sent.refused) < 100:
            sent.refused.append(text)
        self._store.warn_refused(sent.run_id, text)


class _Batch:
    """What is to be sent at once."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, Any]] = []
        self.params: dict[str, Any] = {}
        self.tags: dict[str, str] = {}

    @property
    def size(self) -> int:
        return len(self.metrics)

    def add_metrics(self, base: int, record: list[Any]) -> None:
        at, step, values = record
        for key, value in values.items():
            self.metrics.append({"key": key, "value": value, "timestamp": base + at, "step": step})

    def bodies(self) -> Iterator[dict[str, list[Any]]]:
        """Yield bodies within MLflow's limits: 100 params, 100 tags, 1,000 of all; the last one holds the last tags."""
        params, tags = _pairs(self.params), _pairs(self.tags)
        texts = [(params[n : n + 100], tags[n : n + 100]) for n in range(0, max(len(params), len(tags)), 100)]
        room = _AT_ONCE - sum(map(len, texts[-1])) if texts else 0
        first = self.metrics[:room] if len(self.metrics) <= room else []
        for start in range(len(first), len(self.metrics), _AT_ONCE):
            yield {"metrics": self.metrics[start : start + _AT_ONCE]}
        for number, (some_params, some_tags) in enumerate(texts, 1):
            body = {"params": some_params, "tags": some_tags, "metrics": first if number == len(texts) else []}
            yield {kind: items for kind, items in body.items() if items}

    def clear(self) -> None:
        self.metrics, self.params, self.tags = [], {}, {}


def _pairs(texts: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in texts.items()]


def _dataset(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = (record.get("profile") or {}).get("mlflow") or {}
    tags = kept.get("tags") or {"mlflow.data.context": record.get("context", "")}
    data = {
        "name": record["name"],
        "digest": record.get("digest") or "unknown",
        "source_type": kept.get("source_type") or "local",
        "source": record.get("source") or "{}",
        "schema": kept.get("schema") or "",
        "profile": kept.get("profile") or "",
    }
    return {"tags": _pairs(tags), "dataset": data}
