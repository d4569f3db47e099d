"""Bytes by content: ``blobs/ab/<sha256>``. The same bytes are stored once, whatever run or path they belong to."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import Any

from nbtrack.errors import IntegrityError, InvalidInputError, NotFoundError
from nbtrack.store.files import explained, remove, temp_name, write_all
from nbtrack.store.layout import DIGEST
from nbtrack.store.log import OPEN_FLAGS

_PIECE = 1 << 20


class Blobs:
    """The blobs of one store."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, digest: str) -> str:
        """Where a blob lies, or would."""
        if not DIGEST.fullmatch(digest):
            raise NotFoundError(f"blob: expected a sha256 of 64 lower-case hex digits, got {digest!r:.80}.")
        return f"{self.folder}/{digest[:2]}/{digest}"

    def put(self, data: bytes | str | Path) -> tuple[str, int]:
        """Store bytes, or the file at a path; return ``(sha256, size)``."""
        if isinstance(data, bytes | bytearray | memoryview):
            return self._put_bytes(bytes(data))
        return self._put_file(Path(data))

    def _put_bytes(self, data: bytes) -> tuple[str, int]:
        from hashlib import sha256

        digest = sha256(data).hexdigest()
        path = self.path(digest)
        if not _touch(path, len(data)):
            with explained("artifact", path):
                fd, temp = self._temp()
                self._settle(fd, temp, path, lambda: write_all(fd, data))
        return digest, len(data)

    def _put_file(self, source: Path) -> tuple[str, int]:
        from hashlib import sha256

        _check_source(source)
        try:
            from_fd = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise _unreadable(source, error) from error
        try:
            if not S_ISREG(os.fstat(from_fd).st_mode):
                raise InvalidInputError(f"artifact {str(source)!r}: expected a regular file. Log the files one by one.")
            hasher = sha256()
            size = 0
            with explained("artifact", self.folder):
                fd, temp = self._temp()
                try:
                    while piece := os.read(from_fd, _PIECE):
                        hasher.update(piece)
                        write_all(fd, piece)
                        size += len(piece)
                except BaseException:
                    os.close(fd)
                    remove(temp)
                    raise
                path = self.path(hasher.hexdigest())
                if _touch(path, size):
                    os.close(fd)
                    remove(temp)
                else:
                    self._settle(fd, temp, path, lambda: None)
        finally:
            os.close(from_fd)
        return hasher.hexdigest(), size

    def _temp(self) -> tuple[int, str]:
        temp = temp_name(self.folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            return os.open(temp, flags, 0o666), temp
        except FileNotFoundError:
            os.makedirs(self.folder, exist_ok=True)
            return os.open(temp, flags, 0o666), temp

    def _settle(self, fd: int, temp: str, path: str, fill: Any) -> None:
        try:
            try:
                fill()
            finally:
                os.close(fd)
            os.chmod(temp, 0o444)  # many runs may share it: nobody should train into it
            try:
                os.replace(temp, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.replace(temp, path)
        except BaseException:
            remove(temp)
            raise

    def read(self, digest: str) -> bytes:
        """The bytes of a blob, verified."""
        from hashlib import sha256

        with self.open(digest) as file:
            data: bytes = file.read()
        if (found := sha256(data).hexdigest()) != digest:
            raise IntegrityError(
                f"blob {digest}: its bytes have changed; expected this sha256, got {found}. Restore"
                f" {self.path(digest)} from a backup, or log the artifact again."
            )
        return data

    def open(self, digest: str) -> Any:
        """A blob, opened for reading; links are not followed."""
        path = self.path(digest)
        try:
            return open(os.open(path, OPEN_FLAGS), "rb")
        except OSError as error:
            raise NotFoundError(
                f"blob {digest}: is not in this store ({error.strerror}). It may have been removed by gc, or not been"
                " copied with the rest."
            ) from error

    def existing_path(self, digest: str) -> Path:
        """Where a blob lies; raises NotFoundError."""
        with self.open(digest):
            return Path(self.path(digest))


def _touch(path: str, size: int) -> bool:
    """Return whether a blob is there in full, and mark it as used just now, so that a gc lets it live."""
    try:
        if os.lstat(path).st_size != size:
            return False
        os.utime(path, follow_symlinks=False) if os.utime in os.supports_follow_symlinks else os.utime(path)
    except OSError:
        return False
    return True


def _unreadable(source: Path, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"artifact {str(source)!r}: there is no such file. Check the path and the working folder.")
    return InvalidInputError(f"artifact {str(source)!r}: cannot be read ({error.strerror}).")


def _check_source(source: Path) -> None:
    """Refuse folders, devices and links that lead out of their own folder."""
    try:
        if source.is_dir():
            raise InvalidInputError(f"artifact {str(source)!r}: is a folder. Use log_artifacts() for a folder.")
        if source.is_symlink() and not source.resolve().is_relative_to(source.parent.resolve()):
            raise InvalidInputError(
                f"artifact {str(source)!r}: is a link to {str(source.resolve())!r}, outside its folder. Log that file"
                " itself if you mean it."
            )
    except OSError as error:
        raise _unreadable(source, error) from error
    except ValueError as error:
        raise InvalidInputError(f"artifact {str(source)!r:.80}: is no path ({error}).") from error
