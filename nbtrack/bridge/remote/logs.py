"""The own files of a run, kept on the server as artifacts of it: who has them has all of the run, bit for bit.

What MLflow keeps of a run is less: it orders values by step, keeps equal ones once, bends the infinite ones and cuts
long texts. The files of a run only grow, each by one writer, so they are copied as they grow, in parts; whoever lacks
some fetches only those.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nbtrack.store.files import replace
from nbtrack.store.layout import RUN_FILE

if TYPE_CHECKING:
    from nbtrack.bridge.remote.ledger import Sent
    from nbtrack.bridge.remote.rest import Rest

FOLDER: Final = "nbtrack/log"
PART_BYTES: Final = 1 << 18
_PART: Final = re.compile(r"(.+?\.jsonl)(?:\.([0-9]+))?")


def put_parts(rest: Rest, sent: Sent, name: str, start: int, data: bytes) -> None:
    """Send the bytes `data` of the file `name` that stand from `start`, which is where a part begins."""
    for at in range(0, len(data), PART_BYTES):
        part = (start + at) // PART_BYTES
        path = f"{FOLDER}/{name}" if not part else f"{FOLDER}/{name}.{part}"
        rest.put_file(sent.artifact_uri, path, data[at : at + PART_BYTES])


def _parts(rest: Rest, remote: str) -> dict[str, list[int]]:
    """Return the sizes of the parts of each file of a run."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for one in rest.get("artifacts/list", {"run_id": remote, "path": FOLDER}).get("files", []):
        name = _PART.fullmatch(str(one["path"]).rpartition("/")[2])
        if name is not None and RUN_FILE.fullmatch(name[1]) and not one.get("is_dir"):
            found[name[1]][int(name[2] or 0)] = int(one.get("file_size", 0))
    return {name: [parts[n] for n in range(len(parts)) if n in parts] for name, parts in found.items()}


def fetch_news(rest: Rest, sent: Sent, folder: str) -> dict[str, bytes]:
    """Return what the files of a run are now, whole lines only, where the server has more of them than `folder`."""
    news: dict[str, bytes] = {}
    for name, sizes in _parts(rest, sent.remote).items():
        path = Path(folder, name)
        known = sent.at.get(name, 0)
        here = path.stat().st_size if sent.depth == "logs" and path.exists() else 0
        if not name.startswith(sent.run_id) or sum(sizes) <= max(known, here):
            continue
        first = here // PART_BYTES
        data = path.read_bytes()[: first * PART_BYTES] if here else b""
        for part in range(first, len(sizes)):
            at = f"{FOLDER}/{name}" if not part else f"{FOLDER}/{name}.{part}"
            data += rest.get_file(sent.remote, at)
        news[name] = data[: data.rfind(b"\n") + 1]
    return {name: data for name, data in news.items() if data}


def keep(folder: str, files: dict[str, bytes], first: str) -> None:
    """Put files of a run into its folder; the one called `first` last, because without it there is no run."""
    for name in sorted(files, key=lambda one: (one == first, one)):
        replace(f"{folder}/{name}", files[name])


def sizes_in(folder: str, names: list[str]) -> dict[str, int]:
    """Return how long files are now."""
    return {name: Path(folder, name).stat().st_size for name in names}
