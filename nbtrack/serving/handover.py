"""A model as a folder that builds an image, and the Staging models of a store as a compose file.

Everything that the build needs from us lies in the folder: the model, nbtrack as a wheel, and every package pinned.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nbtrack.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from nbtrack.models import read_model
from nbtrack.models.wheel import WHEEL_NAME, server_needs, this_wheel
from nbtrack.registry import list_models
from nbtrack.serving.environments import requirements_of
from nbtrack.serving.target import find_target, raw_manifest, the_store

if TYPE_CHECKING:
    from nbtrack.models import ModelFiles
    from nbtrack.store.base import Store

PORT: Final = 8080
USER: Final = 10001
_IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9._/:@-]{0,250}", re.IGNORECASE)

_COMMAND: Final = ("nbtrack", "models", "serve", "-h", "0.0.0.0", "-p", str(PORT), "-m")  # noqa: S104 - a container's

_DOCKERFILE: Final = """\
# {title}
# Build: docker build -t {tag} .
# Run:   docker run -p {port}:{port} -e NBTRACK_SERVE_TOKEN=<a secret of 16 characters or more> {tag}
FROM {base}
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 NBTRACK_RUNTIME_DIR=/tmp/nbtrack
WORKDIR /srv
COPY requirements.txt {wheel} ./
RUN python -m pip install --no-input --root-user-action=ignore -r requirements.txt ./{wheel}
{model}USER {user}:{user}
EXPOSE {port}
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \\
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/ping', timeout=2)"]
CMD [{command}]
"""


def write_context(model_uri: str | Path, folder: str | Path, store: Store | None = None, base_image: str = "") -> Path:
    """Write a folder that ``docker build`` makes an image of, which serves one version of a model.

    Parameters
    ----------
    model_uri
        The model; a stage or alias counts as the version it means now.
    folder
        Must not exist, or be empty.
    base_image
        What to build on, such as ``python:3.12.1-slim@sha256:…``; the slim image of the Python that the model was
        logged with, if not given.

    Returns
    -------
    Path
        The folder, with a Dockerfile, pinned requirements, nbtrack as a wheel, and the model.

    Raises
    ------
    AlreadyExistsError
        If there is something in `folder`.
    """
    target = find_target(model_uri, store)
    source = read_model(target.uri, store=None if _is_path(model_uri) else the_store(store))
    where = _empty(Path(folder))
    model = where / "model"
    for name, data in {**source.files, **raw_manifest(target, store)}.items():
        path = model / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    name = f"{target.model_name} {target.version}" if target.version else target.model_name
    command = [*_COMMAND, "/srv/model"]
    _write(where, source, name, command, base_image, "COPY model ./model\n")
    return where


def write_compose(folder: str | Path, store: Store | None = None, base_image: str = "") -> list[str]:
    """Write a compose file that serves the Staging version of each registered model, and follows when it changes.

    The store is mounted read-only. Each model has an image of its own, with the packages of the version that is in
    Staging now.

    Returns
    -------
    list
        The names of the models.

    Raises
    ------
    NotFoundError
        If no model has a version in Staging.
    """
    store = the_store(store)
    names = [m.name for m in list_models(store=store) if any(_staged(v) for v in m.versions)]
    if not names:
        raise NotFoundError(
            "compose: no model has a version in Staging. Promote one: nbtrack models promote NAME 1 Staging."
        )
    where = _empty(Path(folder))
    lines = ["# NBTRACK_SERVE_TOKEN=<a secret of 16 characters or more> docker compose up --build", "services:"]
    for place, name in enumerate(names):
        uri = f"models:/{name}/Staging"
        source = read_model(uri, store=store)
        service = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "model"
        if (where / service).exists():  # two names that differ in signs only
            service = f"{service}-{place}"
        (where / service).mkdir()
        command = [*_COMMAND, uri, "--store", "/store"]
        _write(where / service, source, f"{name}, Staging", command, base_image, "")
        lines += _service(service, PORT + place, store)
    (where / "compose.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return names


def _service(name: str, port: int, store: Store) -> list[str]:
    uid, gid = (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (1000, 1000)
    return [
        f"  {name}:",
        f"    build: ./{name}",
        f'    user: "{uid}:{gid}"  # who may read the store',
        "    environment:",
        "      NBTRACK_SERVE_TOKEN: ${NBTRACK_SERVE_TOKEN:?a secret of 16 characters or more}",
        f'    ports: ["127.0.0.1:{port}:{PORT}"]',
        f"    volumes: [{_quoted(f'${{NBTRACK_STORE:-{store.uri}}}:/store:ro')}]",
        "    read_only: true",
        '    tmpfs: ["/tmp"]',
        '    cap_drop: ["ALL"]',
        '    security_opt: ["no-new-privileges:true"]',
        "    restart: unless-stopped",
    ]


def _staged(version: object) -> bool:
    return getattr(version, "current_stage", "") == "Staging" and not getattr(version, "deleted", False)


def _is_path(model_uri: str | Path) -> bool:
    return not str(model_uri).startswith(("runs:", "models:"))


def _empty(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AlreadyExistsError(
            f"{str(folder)!r}: there is something already. Choose another folder, or remove this one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(where: Path, source: ModelFiles, title: str, command: Sequence[str], base_image: str, model: str) -> None:
    python = str(source.manifest.environment.get("python") or platform.python_version())
    if not re.fullmatch(r"\d+\.\d+\.\d+", python):
        raise InvalidInputError(f"dockerfile: the model's Python {python[:40]!r} has no image. Name one: --base-image.")
    base = base_image or f"python:{python}-slim"
    if not _IMAGE.fullmatch(base):
        raise InvalidInputError(f"dockerfile: {base[:60]!r} is no name of an image, such as 'python:3.12.1-slim'.")
    if source.own:
        command = [*command, "--trust", source.digest]  # this very model, byte for byte, and no other
    tag = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "model"
    text = _DOCKERFILE.format(
        title=f"Serves {re.sub(r'[^ -~]', '?', title)} over HTTP.",
        tag=tag,
        base=base,
        wheel=WHEEL_NAME,
        model=model,
        port=PORT,
        user=USER,
        command=", ".join(map(_quoted, command)),
    )
    (where / "Dockerfile").write_text(text, encoding="utf-8")
    (where / WHEEL_NAME).write_bytes(this_wheel())
    pinned = closure([*requirements_of(source.manifest.environment), *server_needs()], python)
    (where / "requirements.txt").write_text("\n".join(pinned) + "\n", encoding="utf-8")
    (where / ".dockerignore").write_text("Dockerfile\n.dockerignore\n", encoding="utf-8")


def _quoted(text: str) -> str:
    """Return a text in double quotes, as JSON and YAML read it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def closure(lines: Sequence[str], python: str) -> list[str]:
    """Return requirement lines and what they need in turn, each pinned to the version that is installed here.

    What a line pins itself stays as it is; what is not installed here stays open within its limits.
    """
    there = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    marker: Mapping[str, str] = {**there, "python_full_version": python, "python_version": python.rpartition(".")[0]}
    pinned: dict[str, str] = {}
    waiting = [Requirement(line) for line in lines]
    while waiting:
        need = waiting.pop(0)
        name = canonicalize_name(need.name)
        if need.marker is not None and not need.marker.evaluate({**marker, "extra": ""}):
            continue
        if name in pinned:
            continue
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pinned[name] = f"{name}{need.specifier}"
            continue
        exact = [spec.version for spec in need.specifier if spec.operator == "=="]
        pinned[name] = f"{name}=={exact[0] if exact else installed.version.partition('+')[0]}"
        waiting += [Requirement(line) for line in installed.requires or ()]
    return [pinned[name] for name in sorted(pinned)]
