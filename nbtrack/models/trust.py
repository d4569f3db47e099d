"""Who made a model: a signature with a key of this user, kept outside every store.

A model with a good signature was written by this user on this machine and may load fully. Anybody else's is loaded by
an exact allow-list only (see ``unpickle``), since a pickle is a program.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from contextlib import suppress
from pathlib import Path

from nbtrack.entities import ModelManifest
from nbtrack.models.manifest import signed_part

_KEY_BYTES = 32


def key_path() -> Path:
    """Return where this user's key lies."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "nbtrack" / "signing.key"


def _read_key() -> bytes | None:
    path = key_path()
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        if hasattr(os, "getuid"):
            found = os.fstat(file.fileno())
            if found.st_uid != os.getuid() or found.st_mode & 0o077:
                return None  # somebody else could have put it there, or read it
        key = file.read(_KEY_BYTES + 1)
    return key if len(key) == _KEY_BYTES else None


def _make_key() -> bytes | None:
    """Create the key if there is none; of several processes that try at once, one wins and all use its key."""
    path = key_path()
    temp = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(temp, path)
    except OSError:  # a home that cannot be written to: models stay unsigned
        return None
    finally:
        temp.unlink(missing_ok=True)
    return _read_key()


def sign(manifest: ModelManifest) -> str:
    """Return this user's signature of a manifest, or ``""`` where no key can be kept."""
    key = _read_key() or _make_key()
    return hmac.new(key, signed_part(manifest), hashlib.sha256).hexdigest() if key else ""


def is_own(manifest: ModelManifest) -> bool:
    """Return whether this user signed this very manifest."""
    key = _read_key()
    if not key or not manifest.hmac:
        return False
    return hmac.compare_digest(hmac.new(key, signed_part(manifest), hashlib.sha256).hexdigest(), manifest.hmac)
