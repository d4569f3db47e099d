"""The nbtrack that runs here as a wheel, to be installed where it cannot be had otherwise: no index need know of it."""

from __future__ import annotations

import base64
import io
import zipfile
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from nbtrack._version import __version__

NEEDED: Final = ("orjson", "numpy", "pandas", "msgspec", "packaging", "click", "rich", "uvicorn", "httptools", "uvloop")
WHEEL_NAME: Final = f"nbtrack-{__version__}-py3-none-any.whl"
_LEFT_OUT: Final = {"__pycache__", "labextension", "static"}
_INFO: Final = f"nbtrack-{__version__}.dist-info"


@lru_cache(maxsize=1)
def this_wheel() -> bytes:
    """Return a wheel of this package, without the front end; the same bytes each time."""
    root = Path(__file__).parents[1]
    files = {
        f"nbtrack/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _LEFT_OUT & set(path.relative_to(root).parts)
    }
    wheel = "Wheel-Version: 1.0\nGenerator: nbtrack\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    about = f"Metadata-Version: 2.1\nName: nbtrack\nVersion: {__version__}\n"
    about += "".join(f"Requires-Dist: {line}\n" for line in server_needs())
    files[f"{_INFO}/METADATA"] = about.encode()
    files[f"{_INFO}/WHEEL"] = wheel.encode()
    files[f"{_INFO}/entry_points.txt"] = b"[console_scripts]\nnbtrack = nbtrack.cli:main\n"
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{_INFO}/RECORD"] = f"{record}{_INFO}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(sha256(data).digest()).decode().rstrip("=")


def all_needs() -> tuple[str, ...]:
    """Return our dependencies, but for those of extras, as requirement lines."""
    return tuple(line for line in metadata.requires("nbtrack") or list(NEEDED) if "extra ==" not in line)


@lru_cache(maxsize=1)
def server_needs() -> tuple[str, ...]:
    """Return what a model server needs of our dependencies, as requirement lines."""
    return tuple(line for line in all_needs() if Requirement(line).name in NEEDED)
