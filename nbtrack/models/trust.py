"""Whose model is it? A key of the user's own, kept outside every store, signs the manifests that he writes.

A manifest with a valid signature was written by this user on this machine, so its pickles may run. Anything else is a
stranger's: see ``safe_pickle``.
"""

from __future__ import annotations

import hmac
import os
import stat
import sys
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from nbtrack.errors import NbtrackWarning

DATA_ENV: Final = "NBTRACK_DATA_DIR"
KEY_BYTES: Final = 32


def data_dir() -> Path:
    """Return the folder for what nbtrack keeps of this user, outside every store."""
    if value := os.environ.get(DATA_ENV):
        return Path(value)
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "nbtrack"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "nbtrack"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "nbtrack"


def user_key(create: bool = True) -> bytes | None:
    """Return the key of this user; None, with a warning, where there is none that proves anything.

    There is none if none can be made, as in a home that is read-only, and it proves nothing if somebody else could
    have read or replaced it. Models are then saved without a signature, and loaded as a stranger's.
    """
    return _key(data_dir() / "key", create)


def _warn_useless(path: Path, why: str) -> None:
    warnings.warn(
        f"key {str(path)!r}: {why}, so it proves nothing: your own models are loaded as a stranger's. Remove the file;"
        " a new key is made, and models logged until then have to be logged again or trusted one by one.",
        NbtrackWarning,
        stacklevel=3,
    )


@lru_cache(maxsize=16)
def _read_once(path: Path, changed_ns: int, size: int) -> bytes:
    return path.read_bytes()


def _key(path: Path, create: bool) -> bytes | None:
    try:
        found = path.lstat()
    except OSError:
        return _make(path) if create else None
    why = ""
    if not stat.S_ISREG(found.st_mode):
        why = "it is no plain file"
    elif hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        why = f"others may read or change it (mode {stat.S_IMODE(found.st_mode):o})"
    elif found.st_size != KEY_BYTES:
        why = f"it has {found.st_size} bytes, expected {KEY_BYTES}"
    if why:
        _warn_useless(path, why)
        return None
    return _read_once(path, found.st_mtime_ns, found.st_size)


def _make(path: Path) -> bytes | None:
    temp = path.with_name(f"key.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
        try:
            os.link(temp, path)  # of several processes at once exactly one key wins
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                temp.replace(path)
    except OSError:
        return None
    finally:
        with suppress(OSError):
            temp.unlink()
    return _key(path, create=False)


def _canonical(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode({k: v for k, v in record.items() if k != "hmac"}, order="deterministic")


def sign(record: dict[str, Any]) -> str:
    """Return the signature of a manifest, given as plain JSON values; empty if this user can have no key."""
    key = user_key()
    return "" if key is None else hmac.new(key, _canonical(record), "sha256").hexdigest()


def is_own(raw: bytes) -> bool:
    """Return whether a manifest, given as its bytes, was signed with the key of this user."""
    key = user_key(create=False)
    if key is None:
        return False
    try:
        record = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError:
        return False
    signature = record.get("hmac")
    expected = hmac.new(key, _canonical(record), "sha256").hexdigest()
    return isinstance(signature, str) and hmac.compare_digest(signature.encode(), expected.encode())
