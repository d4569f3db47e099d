"""What MLflow calls logged models: one small file each beside the runs, of lines that are only ever appended.

A line is a patch: the fields that it sets; its sum over all lines is the model. The model's own files are artifacts of
the run that made it, so that whoever opens the store finds, loads and serves them; a model that no run made gets one
that holds them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orjson import JSONDecodeError, dumps, loads

from nbtrack.store.files import explained
from nbtrack.store.layout import now_ms

FOLDER: Final = "mlflow"
_ID: Final = re.compile(r"m-[0-9a-f]{32}")
_MAPPINGS: Final = ("tags", "params")


class ModelFiles:
    """The logged models of the store in the folder `root`."""

    def __init__(self, root: str) -> None:
        self.folder = f"{root}/{FOLDER}"
        self._known: dict[str, tuple[int, dict[str, Any]]] = {}

    def path(self, model_id: str) -> str | None:
        """Return where a model's file is; None for what is no id."""
        return f"{self.folder}/{model_id}.jsonl" if _ID.fullmatch(model_id) else None

    def append(self, model_id: str, patch: Mapping[str, Any]) -> None:
        """Add a patch."""
        path = f"{self.folder}/{model_id}.jsonl"
        line = dumps({"t": now_ms(), **patch}) + b"\n"
        with explained(f"logged model {model_id}", path):
            os.makedirs(self.folder, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                os.write(fd, line)
            finally:
                os.close(fd)

    def get(self, model_id: str) -> dict[str, Any] | None:
        """Return what the patches of a model add up to, or None if there is none."""
        path = self.path(model_id)
        if path is None:
            return None
        try:
            size = os.stat(path).st_size
            known = self._known.get(model_id)
            if known is None or known[0] != size:
                with open(path, "rb") as file:
                    data = file.read()
                known = self._known[model_id] = (len(data), _fold(data))
        except OSError:
            return None
        return known[1] if "experiment_id" in known[1] else None

    def remove(self, model_id: str) -> None:
        """Forget a model for good."""
        path = self.path(model_id)
        if path is not None and os.path.exists(path):
            os.unlink(path)
        self._known.pop(model_id, None)

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield every model."""
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return
        for name in names:
            model = self.get(name.removesuffix(".jsonl"))
            if model is not None:
                yield model


def _fold(data: bytes) -> dict[str, Any]:
    state: dict[str, Any] = {"tags": {}, "params": {}, "metrics": [], "deleted": False}
    for line in data.split(b"\n")[:-1]:
        try:
            patch = loads(line)
        except JSONDecodeError:  # torn by a crash
            continue
        if not isinstance(patch, dict):
            continue
        at = patch.pop("t", 0)
        for key in _MAPPINGS:
            merged = {**state[key], **(patch.pop(key, None) or {})}
            state[key] = {name: value for name, value in merged.items() if value is not None}
        metric = patch.pop("metric", None)
        if metric is not None:
            state["metrics"].append(metric)
        elif patch.keys() & {"status", "deleted", "experiment_id"}:
            state["updated"] = at
        state.update(patch)
    return state
