"""What was sent of each run, and whom a run is on the server: small files beside the mirror of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from nbtrack.store.files import replace

Depth = Literal["list", "calls", "logs"]  # what a run in the mirror was made from; its own files are all of it


@dataclass(slots=True)
class Sent:
    """What mirror and server know of a run of each other.

    `at` holds how many bytes of each of its files both have, but for those `aside`, which are of this mirror alone,
    among them the `marker` that says that a run of somebody else is live. `open` says whether more may be to send;
    `seen` is what the server's list last said of the run, `status` and `deleted` what this mirror last told the server.
    `files_there` says of a run of depth "list" that its own files can be fetched, too.
    """

    run_id: str
    remote: str = ""
    creating: bool = False
    artifact_uri: str = ""
    at: dict[str, int] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)
    marker: str = ""
    open: bool = True
    seen: str = ""
    depth: Depth = "logs"
    files_there: bool = False
    status: str = "RUNNING"
    deleted: bool = False
    refused: list[str] = field(default_factory=list)

    @property
    def logged(self) -> str:
        """A short text for which files there are, and how long: equal where two mirrors have the same."""
        return f"{crc32(json.dumps(sorted(self.at.items())).encode()):08x}"


_FIELDS = {one.name for one in fields(Sent)}


class SentFiles:
    """The records of all runs, in the folder `root`."""

    def __init__(self, root: str) -> None:
        self._folder = Path(root) / "remote"
        (self._folder / "runs").mkdir(parents=True, exist_ok=True)

    def get(self, run_id: str) -> Sent | None:
        """Return the record of a run, None if there is none that can be read."""
        found = self._read(f"runs/{run_id}.json")
        try:
            return None if found is None else Sent(**{key: found[key] for key in found if key in _FIELDS})
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
