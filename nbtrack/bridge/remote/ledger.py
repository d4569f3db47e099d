"""What was sent of each run, and whom a run is on the server: small files beside the mirror of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.store.files import replace


@dataclass(slots=True)
class Sent:
    """What the server knows of a run: `at` holds the bytes that were sent of each of its files.

    `open` says whether more may be to send; a run that came from the server has `seen`, what it was then.
    """

    run_id: str
    remote: str = ""
    creating: bool = False
    artifact_uri: str = ""
    at: dict[str, int] = field(default_factory=dict)
    open: bool = True
    seen: str = ""
    details: bool = False
    refused: list[str] = field(default_factory=list)


class SentFiles:
    """The records of all runs, in the folder `root`."""

    def __init__(self, root: str) -> None:
        self._folder = Path(root) / "remote"
        (self._folder / "runs").mkdir(parents=True, exist_ok=True)

    def get(self, run_id: str) -> Sent | None:
        """Return the record of a run, None if there is none that can be read."""
        found = self._read(f"runs/{run_id}.json")
        try:
            return None if found is None else Sent(**found)
        except TypeError:
            return None

    def put(self, sent: Sent) -> None:
        """Write the record of a run."""
        self.write(f"runs/{sent.run_id}.json", asdict(sent))

    def all(self) -> Iterator[Sent]:
        """Yield all records."""
        for path in sorted((self._folder / "runs").glob("*.json")):
            sent = self.get(path.stem)
            if sent is not None:
                yield sent

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return None

    def read(self, name: str) -> dict[str, Any]:
        """Return a further record, empty if it is not there."""
        found = self._read(f"{name}.json" if not name.endswith(".json") else name)
        return found if isinstance(found, dict) else {}

    def write(self, name: str, record: Any) -> None:
        """Write a record, whole or not at all."""
        name = name if name.endswith(".json") else f"{name}.json"
        replace(str(self._folder / name), json.dumps(record).encode())
