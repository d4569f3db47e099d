"""Where the files are that a tracker names by an absolute place, although its folder has been moved since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nbtrack.bridge.foreign import ImportReport


class Places:
    """Finds folders by the places that a tracker gave them.

    Parameters
    ----------
    bases
        Folders under which they may lie now, likely ones first.
    report
        Where to say what was found elsewhere, and what not at all.
    """

    def __init__(self, bases: Sequence[Path], report: ImportReport) -> None:
        self._bases = [str(base.resolve()) for base in bases if base.is_dir()]
        self._known: dict[str, list[tuple[str, frozenset[str]]]] = {}
        self._report = report
        self._plain: dict[str, list[tuple[str, frozenset[str]]]] = {}  # the same by the text before the ends
        self._told: set[str] = set()

    def find(self, uri: str, ends: tuple[str, ...], what: str) -> Path | None:
        """Return the folder that `uri` names; None if it is nowhere, or not on this machine.

        Parameters
        ----------
        uri
            A path, a ``file:`` URI, or the URI of a server that keeps artifacts.
        ends
            The parts that it must end with, such as ``(RUN, "artifacts")``: a database must not name just any folder.
        what
            Whose files they are, for the report.
        """
        tail = "/" + "/".join(ends)
        plain = uri.removesuffix(tail)
        if plain in self._plain and not any(ends[0] in entries for _, entries in self._plain[plain]):
            return None  # ten thousand runs lie in one folder: what is not there is looked for once
        parts = urlsplit(uri)
        if parts.scheme not in {"", "file", "mlflow-artifacts"} or (parts.scheme == "file" and parts.netloc):
            self._tell(f"artifacts of {what}: are at {uri!r}; only files on this machine are copied.")
            return None
        names = [name for name in unquote(parts.path).replace("\\", "/").split("/") if name]
        if ".." in names or tuple(names[-len(ends) :]) != ends:
            self._tell(f"artifacts of {what}: {uri!r} does not end in {'/'.join(ends)!r}; they were left out.")
            return None
        head = unquote(parts.path).rstrip("/").removesuffix("/".join(ends))
        candidates = self._known.get(head)
        if candidates is None:
            candidates = self._known[head] = self._candidates(head, local=parts.scheme != "mlflow-artifacts")
        if uri != plain:
            self._plain[plain] = candidates
        for folder, entries in candidates:
            if ends[0] in entries and os.path.isdir(place := os.path.join(folder, *ends)):
                if folder != head.rstrip("/"):
                    self._moved(head, folder)
                return Path(place)
        return None

    def _candidates(self, head: str, local: bool) -> list[tuple[str, frozenset[str]]]:
        """Return the folders that may be what `head` was, with the names in them: looked at once, not for each run."""
        names = [name for name in head.replace("\\", "/").split("/") if name]
        places = [head.rstrip("/") or "/"] if local and os.path.isabs(head) else []
        for base in self._bases:
            places += [os.path.join(base, *names[start:]) for start in range(len(names) + 1)]
        found = []
        for place in dict.fromkeys(places):
            with suppress(OSError):
                if place == places[0] or Path(place).resolve().is_relative_to(self._bases_of(place)):
                    found.append((place, frozenset(os.listdir(place))))
        return found

    def _bases_of(self, place: str) -> str:
        return next(base for base in self._bases if place.startswith(base))

    def _moved(self, before: str, folder: str) -> None:
        if before not in self._told:
            self._told.add(before)
            self._report.repaired.append(f"what was in {before.rstrip('/') or '/'} lies in {folder} now.")

    def _tell(self, text: str) -> None:
        if len(self._report.problems) < 1000:
            self._report.problems.append(text)


def files_in(folder: Path | None, report: ImportReport, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder with their paths as artifacts; links are named and left out."""
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            report.problems.append(f"{path}: left out; it is a link.")
        elif path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            yield prefix + path.relative_to(folder).as_posix(), path
