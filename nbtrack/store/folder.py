"""The store folder itself: made, recognised, and its format checked."""

from __future__ import annotations

import os
import warnings
from typing import Any, Final

from nbtrack.errors import DamageWarning, StoreError, StoreFormatError, StoreNotFoundError
from nbtrack.store import liveness
from nbtrack.store.files import explained, put_new, write_all
from nbtrack.store.layout import FORMAT_VERSION, RUNS, STORE_FILE, now_ms
from nbtrack.store.lines import parse_line, seal, unseal
from nbtrack.store.log import open_log, pread

_LOG_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_format(root: str) -> int:
    """Return the format of a store, and refuse a newer one; raises StoreNotFoundError, StoreFormatError."""
    path = f"{root}/{STORE_FILE}"
    try:
        fd, size = open_log(path)
        try:
            data = pread(fd, min(size, 1 << 16), 0)
        finally:
            os.close(fd)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.isdir(f"{root}/{RUNS}"):
            return FORMAT_VERSION  # copied without its first file
        raise _not_found(root) from None
    except OSError as error:
        raise StoreError(f"store {root}: {STORE_FILE} cannot be read ({error.strerror}).") from error
    record = unseal(data) or parse_line(data)
    version = record.get("format") if isinstance(record, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise StoreFormatError(
            f"store {root}: was written by a newer nbtrack; expected format {FORMAT_VERSION} or older, got {version}."
            " Update with `pip install -U nbtrack`; nothing was changed."
        )
    if unseal(data) is None:
        warnings.warn(
            f"store {root}: {STORE_FILE} is damaged; it is read as format {FORMAT_VERSION}. `nbtrack store check"
            " --repair` writes it anew.",
            DamageWarning,
            stacklevel=4,
        )
        return FORMAT_VERSION
    return int(version or FORMAT_VERSION)


def _not_found(root: str) -> StoreNotFoundError:
    if os.path.isfile(root):
        return StoreNotFoundError(f"store {root}: is a file; expected a folder. Name the folder that holds the store.")
    what = "is not a store" if os.path.isdir(root) else "does not exist"
    return StoreNotFoundError(f"store {root}: {what}. Check the path, or start a run to create it.")


def make_store(root: str) -> None:
    """Make a store at `root` unless there is one; any number of processes may do so at once."""
    if os.path.lexists(root) and not os.path.isdir(root):
        raise _not_found(root)
    with explained("store", root):
        try:
            os.makedirs(f"{root}/{RUNS}", exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreNotFoundError(
                f"store {root}: a part of this path is a file ({error.filename}). Choose another folder."
            ) from error
        put_new(f"{root}/{STORE_FILE}", store_record())


def store_record() -> bytes:
    """Return the bytes of a new ``nbtrack.json``."""
    return seal(
        {"format": FORMAT_VERSION, "id": os.urandom(8).hex(), "created_at_ms": now_ms(), "what": "nbtrack store"}
    )


def is_writable(root: str) -> bool:
    """Return whether runs can be added: asked by trying."""
    path = f"{root}/.{os.urandom(8).hex()}.tmp"
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
    except OSError:
        return False
    return True


def open_new_log(path: str, header: dict[str, Any]) -> tuple[int, int]:
    """Create a log, take its life sign and write `header`; return ``(file descriptor, size)``.

    `header` gets the identity of this process. Raises FileExistsError if the name is taken.
    """
    try:
        fd = os.open(path, _LOG_FLAGS, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, _LOG_FLAGS, 0o666)
    try:
        header.update(liveness.identity())
        if liveness.lock(fd):
            header |= {"lock": True, "dev": os.fstat(fd).st_dev}
        line = seal(header)
        write_all(fd, line)
    except BaseException:
        os.close(fd)
        os.unlink(path)
        raise
    return fd, len(line)


def tree_size(root: str) -> int:
    """Return the bytes of all files under `root`."""
    total = 0
    stack = [root]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue
        except OSError:
            continue
    return total
