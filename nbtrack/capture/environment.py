"""Python, the platform, the packages in use, and the git commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import threading
import types
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GIT_TIMEOUT_S: Final = 5.0
NO_COMMIT: Final = 1  # what `git rev-parse --verify --quiet HEAD` exits with in a repository without one
# Import name -> name of the distribution, where they differ among the packages seen most in notebooks.
_DISTRIBUTIONS: Final = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "yaml": "PyYAML",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "imblearn": "imbalanced-learn",
    "umap": "umap-learn",
    "sentence_transformers": "sentence-transformers",
    "pytorch_lightning": "pytorch-lightning",
}
_LEFT_OUT: Final = frozenset({"IPython", "ipykernel", "nbtrack", "builtins", "__main__"}) | sys.stdlib_module_names


@functools.cache
def python_facts() -> dict[str, str]:
    """Return the version of Python and the platform."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
    }


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(_DISTRIBUTIONS.get(package, package))
    except (metadata.PackageNotFoundError, ValueError):
        found = getattr(sys.modules.get(package), "__version__", None)
        return found if isinstance(found, str) else None


def package_roots(names: Mapping[str, Any], imported: Iterable[str] = ()) -> set[str]:
    """Return the import names of the packages that a notebook uses.

    Parameters
    ----------
    names
        The user's variables: modules, and functions, classes and instances that come from one.
    imported
        Names that the cell imports.
    """
    roots = set(imported)
    kinds: set[type] = set()
    for name, value in list(names.items()):
        if name.startswith("_"):  # IPython keeps a text for every cell that ever ran there
            continue
        kind = type(value)
        if kind is types.ModuleType:
            roots.add(value.__name__.partition(".")[0])
        elif kind is type or kind is types.FunctionType:
            roots.add(str(value.__module__).partition(".")[0])
        else:
            kinds.add(kind)
    roots.update(str(kind.__module__).partition(".")[0] for kind in kinds)
    return {root for root in roots - _LEFT_OUT if not root.startswith("_") and root in sys.modules}


def package_versions(roots: Iterable[str]) -> dict[str, str]:
    """Return distribution name -> version, of those that have one."""
    found = {_DISTRIBUTIONS.get(root, root): _version(root) for root in sorted(roots)}
    return {name: version for name, version in found.items() if version is not None}


def find_git(folder: Path) -> Path | None:
    """Return the work tree around `folder`, or None; looks for ``.git`` only, starts nothing."""
    try:
        for parent in (folder, *folder.parents):
            if (parent / ".git").exists():
                return parent
    except OSError:
        return None
    return None


def _git(root: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(root), "-c", "core.fsmonitor=false", *arguments],
        capture_output=True,
        timeout=GIT_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
    )
    if answer.returncode == NO_COMMIT:
        return ""
    if answer.returncode:
        lines = answer.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {answer.returncode}"]
        raise OSError(f"git {arguments[0]}: {lines[0]}")
    return answer.stdout.decode(errors="replace").strip()


def git_facts(root: Path) -> dict[str, Any]:
    """Return ``commit``, ``branch``, ``dirty`` and the counts of changed ``files`` and ``lines`` of a work tree.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If there is no git, or it fails, or takes longer than five seconds.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return {"commit": "", "branch": "", "dirty": True, "files": 0, "lines": 0}
    changed = [line.split("\t") for line in _git(root, "diff", "--numstat", "HEAD").splitlines()]
    lines = sum(int(n) for row in changed for n in row[:2] if n.isdigit())
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    return {"commit": commit, "branch": branch, "dirty": bool(changed), "files": len(changed), "lines": lines}


class GitProbe:
    """Asks git in a thread, while the cell runs: the answer is what was true when the cell started."""

    def __init__(self, folder: Path) -> None:
        self.root = find_git(folder)
        self._answer: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        if self.root is not None:
            self._thread = threading.Thread(target=self._ask, name="nbtrack-git", daemon=True)
            self._thread.start()

    def _ask(self) -> None:
        try:
            if self.root is not None:
                self._answer = git_facts(self.root)
        except Exception as error:  # told by whoever asks for the answer
            self._error = error

    @property
    def ready(self) -> bool:
        """Whether the answer is there, so that asking for it takes no time."""
        return self._thread is None or not self._thread.is_alive()

    def answer(self) -> Mapping[str, Any] | None:
        """Return the facts, waiting for them; None outside of a work tree. Raises what git raised."""
        if self._thread is not None:
            self._thread.join(3 * GIT_TIMEOUT_S)
        if self._error is not None:
            raise self._error
        return self._answer
