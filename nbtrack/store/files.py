"""The two ways a file appears in a store besides growing: put if absent, and replaced whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nbtrack.errors import StoreFullError, StoreReadOnlyError

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINKS: Final = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}


@contextmanager
def explained(what: str, path: str) -> Iterator[None]:
    """Turn the system's errors about a folder that cannot be written into the store's own."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise StoreReadOnlyError(
                f"{what}: {path} cannot be written ({error.strerror}). Reading works; to write, change its permissions"
                " or choose another folder with set_tracking_uri()."
            ) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StoreFullError(
                f"{what}: no room left for {path} ({error.strerror}). Free some space; nothing stored before is harmed."
            ) from error
        raise


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def temp_name(folder: str) -> str:
    """Return a fresh name for a file that is not whole yet; readers skip names with a leading dot."""
    return f"{folder}/.{os.urandom(8).hex()}.tmp"


def write_temp(folder: str, data: bytes, *, sync: bool = False) -> str:
    """Write `data` to a new temporary file in `folder`, which is made if it is missing; return its path."""
    temp = temp_name(folder)
    try:
        fd = os.open(temp, _NEW, 0o666)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        fd = os.open(temp, _NEW, 0o666)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    except OSError:
        os.close(fd)
        remove(temp)
        raise
    os.close(fd)
    return temp


def remove(path: str) -> None:
    """Remove a file; it does not matter if that fails."""
    with suppress(OSError):
        if os.name == "nt":  # which would not remove what is marked read-only, as blobs are
            os.chmod(path, 0o600)
        os.unlink(path)


def link_new(temp: str, path: str) -> bool:
    """Give `temp` the name `path` unless that is taken; return whether it was free. `temp` stays."""
    try:
        os.link(temp, path)
    except FileExistsError:
        return os.stat(temp).st_nlink == 2 and os.path.samefile(temp, path)  # the reply of a network folder got lost
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        return _copy_new(temp, path)
    return True


def _copy_new(temp: str, path: str) -> bool:
    """The same where the file system has no hard links; readers skip a newest file that is not whole yet."""
    with open(temp, "rb") as source:
        data = source.read()
    try:
        fd = os.open(path, _NEW, 0o666)
    except FileExistsError:
        return False
    try:
        write_all(fd, data)
    finally:
        os.close(fd)
    return True


def put_new(path: str, data: bytes, *, sync: bool = False) -> bool:
    """Put a whole file at `path` unless something is there; return whether it was free."""
    temp = write_temp(os.path.dirname(path), data, sync=sync)
    try:
        return link_new(temp, path)
    finally:
        remove(temp)


def replace(path: str, data: bytes, *, sync: bool = False) -> None:
    """Put a whole file at `path`, in place of what is there."""
    temp = write_temp(os.path.dirname(path), data, sync=sync)
    try:
        os.replace(temp, path)
    except OSError:
        remove(temp)
        raise
