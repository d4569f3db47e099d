"""What made a run as a folder of its own: a script, pinned requirements, a Dockerfile and a Makefile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from nbtrack.capture.replay import script, slice_cells
from nbtrack.errors import AlreadyExistsError, InvalidInputError
from nbtrack.models.wheel import WHEEL_NAME, this_wheel
from nbtrack.names import to_filename
from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.store.base import Store

_DOCKERFILE: Final = """\
# {title}
# Build: docker build -t {tag} .      Run: docker run --rm {tag}
FROM python:{python}-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /work
COPY requirements.txt {wheels}./
RUN python -m pip install --no-input --root-user-action=ignore -r requirements.txt
COPY train.py ./
RUN useradd --uid 10001 train && chown train /work
USER train
CMD ["python", "train.py"]
"""
_MAKEFILE: Final = """\
# {title}
PYTHON ?= python{minor}

train: .venv/installed
\t.venv/bin/python train.py

.venv/installed: requirements.txt
\t$(PYTHON) -m venv .venv
\t.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r requirements.txt
\ttouch .venv/installed

image:
\tdocker build -t {tag} .

.PHONY: train image
"""


def export_training(run_id: str, folder: str | Path, store: Store) -> Path:
    """Write a folder that does again what made a run, without a notebook, and return it.

    It holds ``train.py`` (the cells of the run's slice), ``requirements.txt`` with the versions that the run had, a
    ``Dockerfile`` and a ``Makefile``; nothing of this machine, and no secret: what was redacted stays so. Data files
    that the cells read are named in ``train.py`` and are to be put beside it.

    Parameters
    ----------
    folder
        Must not exist, or be empty.

    Raises
    ------
    InvalidInputError
        If the run has no slice: no cell made it, or it was left out.
    AlreadyExistsError
        If there is something in `folder`.
    """
    run = store.get_run(run_id)
    cells = slice_cells(run, store)
    if not cells:
        raise InvalidInputError(
            f"export training: run {run_id} has no slice: no tracked cell made it. Export a run of a cell instead."
        )
    where = Path(folder)
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise AlreadyExistsError(f"{str(where)!r}: there is something already. Choose another folder, or remove it.")
    slice_: Mapping[str, Any] = run.capture.get("slice") or {}
    missing = [f"may be missing: {text}" for text in slice_.get("missing") or []]
    data = [
        f"reads the file {one['path']}: put it beside this script"
        for one in run.capture.get("data") or []
        if isinstance(one, dict) and one.get("path")
    ]
    title = clean(f"what made the run {run.info.run_name}", 120)
    code = script(cells, title, [*missing, *data])
    requirements, python = _requirements(run.capture), _python(run.capture)
    uses_us = re.search(r"\bnbtrack\b", code) is not None
    wheel = [f"./{WHEEL_NAME}"] if uses_us else []
    tag = re.sub(r"[^a-z0-9]+", "-", to_filename(run.info.run_name).lower()).strip("-") or "training"
    about = {"title": title, "tag": tag, "python": python, "minor": ".".join(python.split(".")[:2])}
    files: dict[str, bytes] = {
        "train.py": code.encode(),
        "requirements.txt": "\n".join([*requirements, *wheel, ""]).encode(),
        "Dockerfile": _DOCKERFILE.format(**about, wheels=f"{WHEEL_NAME} " if uses_us else "").encode(),
        "Makefile": _MAKEFILE.format(**about).encode(),
    }
    if uses_us:
        files[WHEEL_NAME] = this_wheel()
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (where / name).write_bytes(content)
    return where


def _requirements(capture: Mapping[str, Any]) -> list[str]:
    """Return the packages of a run as pinned lines; only names and versions, never an address or an option."""
    lines = []
    for name, version in sorted((capture.get("packages") or {}).items()):
        if str(name).lower() == "nbtrack":
            continue
        try:
            line = f"{name}=={Version(str(version)).public}"
            asked = Requirement(line)
        except (InvalidVersion, InvalidRequirement):
            continue
        if asked.name == name and not asked.url and not asked.extras:
            lines.append(line)
    return lines


def _python(capture: Mapping[str, Any]) -> str:
    found = str(capture.get("python") or "")
    if not re.fullmatch(r"\d+\.\d+\.\d+", found):
        import platform

        found = platform.python_version()
    return found
