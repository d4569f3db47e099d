"""Keeps what steps return, and finds it again for a step whose code, params and inputs are the same.

Values are artifacts of the step's run, handed on by their digest and read only when somebody needs them. They are
pickles: only those that this user's own key vouches for are ever loaded.
"""

from __future__ import annotations

import hmac
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import NbtrackError
from nbtrack.models.trust import sign
from nbtrack.pipelines.codes import UnknownError, code_digest, pickled, value_digest

if TYPE_CHECKING:
    from nbtrack.store import Store
    from nbtrack.tracking import ActiveRun

TAG_KEY: Final = "nbtrack.step_key"
MOST_BYTES: Final = 1 << 30  # what a step returns beyond that is not kept
_FOLDER: Final = "outputs"


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that lies in the store."""

    store: Store
    digest: str

    def load(self) -> Any:
        """Return the value. The store checks the bytes against the digest, and the digest is vouched for."""
        return pickle.loads(self.store.read_blob(self.digest))  # noqa: S301 - only this user's own, see `find`


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
        return self.kept[name].digest if name in self.kept else value_digest(self[name])


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
        data = {name: pickled(value) for name, value in returned.items()}
    except UnknownError as error:
        return {}, str(error)
    if (size := sum(map(len, data.values()))) > MOST_BYTES:
        return {}, f"{size:,} bytes are more than is kept"
    kept = {}
    for number, (name, content) in enumerate(data.items()):
        run.log_bytes(content, f"{_FOLDER}/{number}.pickle")
        kept[name] = Kept(run.store, sha256(content).hexdigest())  # by which the store knows them, too
    record = {"key": key, "outputs": {name: one.digest for name, one in kept.items()}}
    run.log_capture({"step": {**record, "hmac": sign(record)}})
    run.set_tags({TAG_KEY: key})
    return kept, ""


def find(store: Store, key: str) -> tuple[str, dict[str, Kept]] | None:
    """Return the newest finished run of a step with this key, and what it returned; None if there is none of ours."""
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
        kept = {name: Kept(store, digest) for name, digest in found["outputs"].items()}
        try:
            for one in kept.values():
                store.blob_path(one.digest)
        except NbtrackError:
            continue
        return run.run_id, kept
    return None
