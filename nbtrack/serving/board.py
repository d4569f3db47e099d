"""What a worker tells of its models while it gets them ready and while it serves them: for the card of its server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nbtrack.models.environment import differences
from nbtrack.serving import records

if TYPE_CHECKING:
    from nbtrack.serving.scorer import Scorer
    from nbtrack.serving.target import Target


class Checks:
    """The rehearsal, step by step: what is known of the model, and whether it answers as it should."""

    def __init__(self, server_id: str, *, several: bool) -> None:
        record = records.read_record(server_id)
        self._server_id = server_id
        self._several = several
        self._checks = [check for check in (record.checks if record else ()) if check["name"] == "port"]

    def _add(self, target: Target, *checks: tuple[str, str, str]) -> None:
        whose = f"{target.model_name}: " if self._several else ""
        self._checks += [{"name": name, "state": state, "text": f"{whose}{text}"} for name, state, text in checks]
        records.mark(self._server_id, checks=tuple(self._checks))

    def found(self, target: Target) -> None:
        """Tell of a model what its manifest says."""
        signature = target.manifest.signature
        if signature is not None and signature.inputs:
            count = len(signature.inputs)
            schema = ("signature", "ok", f"{count} column{'' if count == 1 else 's'}")
        else:
            schema = ("signature", "note", "none: requests are not checked before the model sees them")
        found = differences(target.manifest.environment, target.manifest.flavor)
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            environment = ("environment", "note", "; ".join(map(str, found[:3])) + more)
        else:
            environment = ("environment", "ok", "the same packages as when it was logged")
        self._add(target, schema, environment)

    def rehearsed(self, target: Target, scorer: Scorer) -> None:
        """Tell that a model answered its example."""
        if target.manifest.input_example is None:
            self._add(target, ("example", "note", "none was logged with the model"))
        elif scorer.differs:
            self._add(target, ("example", "note", "answered otherwise than when the model was logged"))
        else:
            self._add(target, ("example", "ok", f"answered as logged in {scorer.predict_s * 1e3:.2g} ms"))


class Board:
    """Puts what the followers of several models tell into the one record of their server."""

    def __init__(self, server_id: str, count: int) -> None:
        self._server_id = server_id
        self._lock = threading.Lock()
        self._errors = [""] * count

    def tell(self, place: int, changes: dict[str, Any]) -> None:
        """Take changes of the model at `place`."""
        with self._lock:
            self._errors[place] = changes.get("error", self._errors[place])
            told = {**changes, "error": " ".join(filter(None, self._errors))}
            if place:
                record = records.read_record(self._server_id)
                others = [dict(other) for other in record.others] if record is not None else []
                if place <= len(others):
                    others[place - 1] |= {name: value for name, value in changes.items() if name in others[place - 1]}
                told = {"others": tuple(others), "error": told["error"]}
            records.mark(self._server_id, **told)
