"""Keeps what steps return, and finds it again for a step whose code, params and inputs are the same.

Values are artifacts of the step's run, handed on by their digest and read only when somebody needs them. They are
pickles: only those that this user's own key vouches for are ever loaded.
"""

from __future__ import annotations

import hmac
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import IntegrityError, NbtrackError
from nbtrack.models.trust import sign
from nbtrack.pipelines.codes import UnknownError, code_digest, file_digest, pickled, value_digest
from nbtrack.tracking.location import store_for_writing
from nbtrack.tracking.redaction import Redactor

if TYPE_CHECKING:
    from nbtrack.store import Store
    from nbtrack.tracking import ActiveRun

TAG_STEP: Final = "nbtrack.step"
TAG_KEY: Final = "nbtrack.step_key"
MOST_BYTES: Final = 1 << 30  # what a step returns beyond that is not kept
_FOLDER: Final = "outputs"
_PLAIN: Final = (str, list, dict, tuple)
_MOST_SEARCHED: Final = 1 << 16  # bytes of one value: searching more would take longer than a step may cost


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that lies in the store; or, where there is a `path`, a file whose content does."""

    store: Store
    digest: str
    path: str = ""

    def load(self) -> Any:
        """Return the value, or the path of the file, which is put back if it is gone or was changed.

        The store checks the bytes against the digest, and the digest is vouched for.
        """
        if not self.path:
            return pickle.loads(self.store.read_blob(self.digest))  # noqa: S301 - only this user's own, see `find`
        if file_digest(self.path) != self.digest:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            Path(self.path).write_bytes(self.store.read_blob(self.digest))
        return self.path


class Values(Mapping[str, Any]):
    """What steps may ask for, by name; what is kept in the store is read when it is asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._values: dict[str, Any] = dict(given)
        self.kept: dict[str, Kept] = {}
        self.origin: dict[str, str] = dict.fromkeys(given, "")  # the step that returned it; empty for params

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self.kept[name].load()
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.origin)

    def __len__(self) -> int:
        return len(self.origin)

    def take(self, step: str, values: Mapping[str, Any], kept: Mapping[str, Kept]) -> None:
        """Add what a step returned: values, or where they are kept, or both."""
        for name in {**values, **kept}:
            self._values.pop(name, None)
            self.kept.pop(name, None)
            self.origin[name] = step
        self._values.update(values)
        self.kept.update(kept)

    def digest(self, name: str) -> str:
        """Return what changes when a value does; raises UnknownError."""
        if name not in self.kept:
            return value_digest(self[name])
        kept = self.kept[name]
        return f"file {kept.digest}" if kept.path else kept.digest


def key_of(step: str, function: Callable[..., Any], names: list[str], values: Values) -> tuple[str, str]:
    """Return ``(key, "")`` of a step with these inputs, or ``("", why there is none)``."""
    try:
        inputs = {name: values.digest(name) for name in sorted(names)}
        told = json.dumps([step, code_digest(function), inputs])
    except UnknownError as error:
        return "", str(error)
    return sha256(told.encode()).hexdigest(), ""


def keep(run: ActiveRun, key: str, returned: Mapping[str, Any]) -> tuple[dict[str, Kept], str]:
    """Keep what a step returned with its run; return where, and why it could not be kept."""
    try:
        data = {name: harmless(name, value) for name, value in returned.items()}
    except UnknownError as error:
        return {}, str(error)
    if (size := sum(map(len, data.values()))) > MOST_BYTES:
        return {}, f"{size:,} bytes are more than is kept"
    for number, content in enumerate(data.values()):
        run.log_bytes(content, f"{_FOLDER}/{number}.pickle")
    kept = {name: Kept(run.store, sha256(content).hexdigest()) for name, content in data.items()}
    vouch(run, key, kept)
    return kept, ""


def harmless(name: str, value: Any) -> bytes:
    """Return the pickle of a value that may be kept; raises UnknownError if it has none, or if it holds a key."""
    content = pickled(value)
    redactor = Redactor()
    if isinstance(value, _PLAIN) and len(content) <= _MOST_SEARCHED:
        try:
            redactor.json({name: value})
        except RecursionError:
            raise UnknownError("it holds itself") from None
    elif len(content) <= _MOST_SEARCHED:
        redactor.text(content.decode("latin-1"))
    if redactor.found:
        raise UnknownError("it holds what looks like a key or password, which is not written anywhere")
    return content


def put_all(store: Store, values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Put values into the store; return their digests (`left`), why some cannot be (`failed`), and the size in bytes.

    `missing` are names that there are not.
    """
    found: dict[str, Any] = {"left": {}, "failed": {}, "missing": [], "size": 0}
    for name in names:
        if name not in values:
            found["missing"].append(name)
            continue
        try:
            content = harmless(name, values[name])
        except UnknownError as error:
            found["failed"][name] = f"{name}: {error}"
            continue
        found["size"] += len(content)
        if found["size"] <= MOST_BYTES:
            found["left"][name] = store.put_blob(content)[0]
    return found


def keep_more(
    store: Store, run_id: str, key: str, returned: Mapping[str, Any], blobs: Mapping[str, Kept], **more: Any
) -> dict[str, Kept]:
    """Keep what a step left with its run, which has ended: values, and what lies in the store already."""
    from nbtrack.tracking import ActiveRun

    ended = store.get_run(run_id).info.end_time
    run = ActiveRun(store, store.resume_run(run_id))
    kept = {}
    for number, (name, value) in enumerate(returned.items()):
        content = pickled(value)
        run.log_bytes(content, f"{_FOLDER}/{number}.pickle")
        kept[name] = Kept(store, sha256(content).hexdigest())
    for number, (name, one) in enumerate(blobs.items(), start=len(kept)):
        path = f"{_FOLDER}/{Path(one.path).name}" if one.path else f"{_FOLDER}/{number}.pickle"
        run.log_bytes(store.blob_path(one.digest), path)
        kept[name] = one
    if key:
        vouch(run, key, kept, **more)
    run.release().end("FINISHED", ended)
    return kept


def vouch(run: ActiveRun, key: str, kept: Mapping[str, Kept], **more: Any) -> None:
    """Write down, signed by this user's key, what the step `key` left, so that a later pipeline may reuse it."""
    files = {name: one.path for name, one in kept.items() if one.path}
    record = {"key": key, "outputs": {name: one.digest for name, one in kept.items()}, **more}
    record |= {"files": files} if files else {}
    run.log_capture({"step": {**record, "hmac": sign(record)}})
    run.set_tags({TAG_KEY: key})


def find(
    store: Store, key: str, fits: Callable[[Mapping[str, Any]], bool] | None = None
) -> tuple[str, dict[str, Kept]] | None:
    """Return the newest finished run of a step with this key, and what it returned; None if there is none of ours.

    `fits` is asked of each record whether it will do.
    """
    try:
        runs = store.search_runs(filter_string=f"tags.`{TAG_KEY}` = '{key}' and status = 'FINISHED'", max_results=3)
    except NbtrackError:
        return None
    for run in runs:
        found = store.get_run(run.run_id).capture.get("step")
        if not isinstance(found, dict) or found.get("key") != key or not isinstance(found.get("outputs"), dict):
            continue
        signature = sign({name: value for name, value in found.items() if name != "hmac"})
        if not signature or not hmac.compare_digest(signature, str(found.get("hmac"))):
            continue
        if fits is not None and not fits(found):
            continue
        files = found.get("files") or {}
        kept = {name: Kept(store, digest, files.get(name, "")) for name, digest in found["outputs"].items()}
        try:
            for one in kept.values():
                store.blob_path(one.digest)
        except NbtrackError:
            continue
        return run.run_id, kept
    return None


def handed(digest: str, signature: str) -> Any:
    """Return a value that a pipeline hands to a notebook by its digest; raises IntegrityError if no pipeline did."""
    if not (expected := sign({"handed": digest})) or not hmac.compare_digest(expected, signature):
        raise IntegrityError(f"handed: nobody vouches for the value {digest[:12]}. Run the pipeline again.")
    return Kept(store_for_writing(), digest).load()


def handing(store: Store, name: str, values: Values) -> str:
    """Return the line of Python that gives a notebook the value `name`; raises UnknownError if it cannot be kept."""
    if name not in values.kept or values.kept[name].store is not store:
        digest, _ = store.put_blob(pickled(values[name]))
    else:
        digest = values.kept[name].digest
    return f"{name} = handed({digest!r}, {sign({'handed': digest})!r})"
