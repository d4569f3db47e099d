"""Model folders as a stranger would make them: whole, with right digests, around a file of his."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbtrack.entities import MANIFEST_NAME


def resigned(model: Path, target: Path, name: str, data: bytes, options: dict[str, Any] | None = None) -> Path:
    """Copy a saved model with other bytes for one of its files, and other options."""
    shutil.copytree(model, target)
    (target / name).write_bytes(data)
    record = json.loads((target / MANIFEST_NAME).read_text())
    record["files"][name] = [sha256(data).hexdigest(), len(data)]
    record["options"] |= options or {}
    (target / MANIFEST_NAME).write_text(json.dumps(record))
    return target
