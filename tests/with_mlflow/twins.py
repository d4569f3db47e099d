"""The same calls on MLflow's own database and on a store of ours, and their answers side by side."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from nbtrack.bridge.plugin.registry import RegistryStore
from nbtrack.bridge.plugin.tracking import TrackingStore

_ID = re.compile(r"m-[0-9a-f]{32}|\b[0-9a-f]{32}\b")
_OWN = {  # what each store decides for itself
    "artifact_location",
    "artifact_uri",
    "creation_time",
    "creation_timestamp",
    "last_update_time",
    "last_updated_timestamp",
    "workspace",
}


class Twin:
    """One of the two stores, and what it answered so far. Ids are named by the order in which they came up."""

    def __init__(self, store: Any, registry: Any, folder: Path) -> None:
        self.store, self.registry = store, registry
        self.answers: list[tuple[str, Any]] = []
        self._folder = str(folder)
        self._ids: dict[str, str] = {}

    def ask(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Note what a call answers, or which error it raises; return the answer, None after an error."""
        frame = inspect.currentframe()
        where = f"line {frame.f_back.f_lineno}" if frame is not None and frame.f_back is not None else ""
        what = f"{where} {getattr(call, '__name__', '')}{args if call.__name__ != '<lambda>' else ''}"
        answer = None
        try:
            answer = call(*args, **options)
            said = self._plain(answer)
        except MlflowException as error:
            said = f"raises {error.error_code}"
        self.answers.append((self._named(what), said))
        return answer

    def _named(self, text: str) -> str:
        named = _ID.sub(lambda found: self._ids.setdefault(found[0], f"<{len(self._ids)}>"), text)
        return named.replace(self._folder, "<folder>")

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._named(value)
        if isinstance(value, float):
            return repr(value)
        if value is None or isinstance(value, int):
            return value
        if isinstance(value, dict):
            return {self._named(str(key)): self._plain(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(one) for one in value], bool(getattr(value, "token", None))
        if isinstance(value, set):
            return sorted(str(self._plain(one)) for one in value)
        fields = {key.lstrip("_"): one for key, one in vars(value).items() if key.lstrip("_") not in _OWN}
        return [type(value).__name__, {key: self._plain(fields[key]) for key in sorted(fields)}]


class Twins:
    """Pairs of stores, each pair new; the database is copied from one that was made once."""

    def __init__(self, folder: Path) -> None:
        # Here, as what they import warns of itself, which while pytest collects tests is an error.
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as SqlRegistry
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as SqlStore

        self._store, self._registry = SqlStore, SqlRegistry
        self._folder, self._count = folder, 0
        self._empty = folder / "empty.db"
        SqlStore(f"sqlite:///{self._empty}", f"file://{folder}/artifacts")._dispose_engine()

    def agree(self, script: Callable[[Twin], None]) -> None:
        """Run a script on both stores of a new pair; raise AssertionError where they answer differently."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        database = f"sqlite:///{shutil.copy(self._empty, folder / 'mlflow.db')}"
        ours = f"nbtrack://{folder / 'store'}"
        theirs = Twin(self._store(database, f"file://{folder}/artifacts"), self._registry(database), folder)
        mine = Twin(TrackingStore(ours), RegistryStore(ours), folder)
        for twin in (theirs, mine):
            script(twin)
        differing = [
            f"{what}\n  MLflow: {wanted}\n  ours:   {said}"
            for (what, wanted), (_, said) in zip(theirs.answers, mine.answers, strict=True)
            if wanted != said
        ]
        assert theirs.answers and not differing, "\n".join(differing)
