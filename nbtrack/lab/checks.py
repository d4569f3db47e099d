"""Is everything in place on this machine, and if not, what to do: for ``nbtrack doctor`` and ``%nbtrack doctor``."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from nbtrack._version import __version__
from nbtrack.errors import NbtrackError

LAB_LINE: Final = 'pip install "nbtrack[lab]"'


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what was looked at, whether it is well, what was seen, and what to do if not."""

    what: str
    ok: bool
    seen: str
    do: str = ""


def examine(store_uri: str | None) -> list[Finding]:
    """Return one finding for each thing that tracking in a notebook depends on."""
    lab = find_version("jupyterlab")
    checks: list[Callable[[], Finding]] = [
        _python,
        lambda: Finding("nbtrack", True, f"{__version__} in {Path(__file__).resolve().parents[1]}"),
        lambda: _library("jupyterlab", lab),
        lambda: _library("ipykernel", find_version("ipykernel")),
        *([_kernelspec] if find_version("ipykernel") else []),
        *([_lab_extension, _server_extension] if lab else []),
        lambda: _store(store_uri),
    ]
    return [check() for check in checks]


def find_version(library: str) -> str | None:
    """Return the version of an installed library, or None."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _python() -> Finding:
    seen = f"{platform.python_version()} on {platform.system()} ({sys.executable})"
    return Finding("python", sys.version_info >= (3, 11), seen)


def _library(name: str, found: str | None) -> Finding:
    if found is None:
        return Finding(name, False, "not installed in this Python", LAB_LINE)
    if name == "jupyterlab" and not found.startswith("4."):
        return Finding(name, False, f"{found}; expected 4.2 or later, below 5", LAB_LINE)
    return Finding(name, True, found)


def _kernelspec() -> Finding:
    """Tell whether the kernel called python3, which notebooks ask for, is this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    install = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("kernel python3", False, "there is no kernelspec of this name", install)
    started = spec.argv[0] if spec.argv else ""
    own = {"python", f"python{sys.version_info.major}", f"python{sys.version_info.major}.{sys.version_info.minor}"}
    if (
        started in own or Path(started).resolve() == Path(sys.executable).resolve()
    ):  # Jupyter puts itself for a bare name
        return Finding("kernel python3", True, f"this Python, by {spec.resource_dir}")
    return Finding("kernel python3", False, f"another Python: {started} ({spec.resource_dir})", install)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lab_extension() -> Finding:
    """Tell whether JupyterLab finds our prebuilt extension, and nobody has switched it off."""
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    what = "lab extension"
    places = [Path(place) / "nbtrack" / "package.json" for place in jupyter_path("labextensions")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return Finding(
            what, False, "not found, so the panel and live cards are missing", "pip install --force-reinstall nbtrack"
        )
    for folder in jupyter_config_path():
        disabled = _read_json(Path(folder) / "labconfig" / "page_config.json").get("disabledExtensions", {})
        off = disabled.get("nbtrack", False) if isinstance(disabled, dict) else "nbtrack" in disabled
        if off:
            return Finding(what, False, f"switched off in {folder}", "jupyter labextension enable nbtrack")
    shown = _read_json(found).get("version", "?")
    if shown != __version__:
        return Finding(
            what, False, f"{shown} in {found.parent}; expected {__version__}", "pip install --force-reinstall nbtrack"
        )
    return Finding(what, True, f"{shown} in {found.parent}")


def _server_extension() -> Finding:
    """Tell whether Jupyter's server will load the extension that the panel talks to."""
    from jupyter_core.paths import jupyter_config_path

    what = "server extension"
    enable = "jupyter server extension enable nbtrack"
    for folder in jupyter_config_path():  # the first that says something wins
        main = Path(folder) / "jupyter_server_config.json"
        for path in (main, *sorted((Path(folder) / "jupyter_server_config.d").glob("*.json"))):
            enabled = _read_json(path).get("ServerApp", {}).get("jpserver_extensions", {}).get("nbtrack")
            if enabled is not None:
                return Finding(
                    what,
                    bool(enabled),
                    f"{'enabled' if enabled else 'switched off'} in {path}",
                    "" if enabled else enable,
                )
    return Finding(what, False, "not enabled, so the panel has nobody to talk to", enable)


def _store(store_uri: str | None) -> Finding:
    """Tell which store this folder uses, and whether it can be read and written."""
    from nbtrack.store import find_store_uri, open_store, to_path

    uri = store_uri or find_store_uri()
    try:
        if "://" not in uri and not os.path.lexists(to_path(uri)):
            return Finding("store", True, f"none yet; the first run makes {uri}")
        facts = open_store(uri, create=False).info()
    except NbtrackError as error:
        return Finding("store", False, str(error), "Name another with --store or NBTRACK_TRACKING_URI.")
    seen = f"{facts['uri']}: {facts['runs']} runs, {facts['models']} models"
    if not facts["writable"]:
        return Finding("store", False, f"{seen}; read-only", "Make the folder writable, or name another with --store.")
    return Finding("store", True, f"{seen}, writable")
