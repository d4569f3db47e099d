"""Where a run's result came from, and what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtrack import registry
from nbtrack.capture import replay
from nbtrack.entities import TAG_PARENT, TAG_RESUMED, TAG_SOURCE, Run
from nbtrack.reprs import lineage_html, lineage_text
from nbtrack.tracking import get_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a run came from.

    `cells` are the executed cells that made its result, in order; `data` what they read; `around` pairs of a word and
    a fact (notebook, git commit, Python, packages); `children` and `versions` what was made of it.
    """

    run: Run
    cells: tuple[Mapping[str, Any], ...]
    missing: tuple[str, ...]
    data: tuple[Mapping[str, Any], ...]
    around: tuple[tuple[str, str], ...]
    parents: tuple[tuple[str, str], ...]
    children: tuple[tuple[str, str, str], ...]
    versions: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "run_id": self.run.run_id,
            "cells": list(self.cells),
            "missing": list(self.missing),
            "data": list(self.data),
            "around": dict(self.around),
            "parents": dict(self.parents),
            "children": [{"run_id": one, "run_name": name, "status": status} for one, name, status in self.children],
            "versions": list(self.versions),
        }

    def script(self) -> str:
        """Return the cells as one Python script that needs no notebook."""
        return replay.script(self.cells, self._title, self._notes())

    def notebook(self) -> dict[str, Any]:
        """Return the cells as a notebook, for ``json.dump``."""
        return replay.notebook(self.cells, self._title, self._notes())

    @property
    def _title(self) -> str:
        return f"The cells that made run {self.run.info.run_name} ({self.run.run_id})"

    def _notes(self) -> list[str]:
        packages = [f"{name}=={version}" for name, version in (self.run.capture.get("packages") or {}).items()]
        python = self.run.capture.get("python")
        used = [f"Python {python}"] if python else []
        return [*([", ".join([*used, *packages])] if used or packages else []), *self.missing]

    def __repr__(self) -> str:
        return lineage_text(self)

    def _repr_html_(self) -> str:
        return lineage_html(self)


def lineage(run: Run | str, *, store: Store | None = None) -> Lineage:
    """Say where a run came from: the cells, the data, the environment; and what was made of it.

    Parameters
    ----------
    run
        A run, or its id.
    store
        Where it lies; the store in use if not given.

    Returns
    -------
    Lineage
        Shows itself as text and HTML; ``script()`` and ``notebook()`` give the cells as something that runs.

    Raises
    ------
    NotFoundError
        If there is no such run.

    Examples
    --------
    >>> print(nbtrack.lineage("0199f2c4").script())  # doctest: +SKIP
    """
    store = store or get_store(create=False)
    run = store.get_run(run.run_id if isinstance(run, Run) else run)
    capture, tags = run.capture, run.data.tags
    cells = replay.slice_cells(run, store)
    record = capture.get("slice") or {}
    if cells is None and isinstance(capture.get("source"), str):
        cells = [{"execution_count": capture.get("execution_count"), "source": capture["source"], "this": True}]
        record = {"missing": ["the cells before it were not recorded"]}
    parents = [(word, tags[tag]) for word, tag in (("part of", TAG_PARENT), ("resumes", TAG_RESUMED)) if tag in tags]
    return Lineage(
        run,
        tuple(cells or ()),
        tuple(record.get("missing") or ()),
        tuple(one for one in capture.get("data") or () if isinstance(one, dict)),
        tuple(_around(run)),
        tuple(parents),
        tuple(_children(run, store)),
        tuple(_versions(run, store)),
    )


def _around(run: Run) -> list[tuple[str, str]]:
    capture = run.capture
    found = [("notebook", run.data.tags.get(TAG_SOURCE, ""))]
    files = (capture.get("slice") or {}).get("files") or ()
    found.append(("files read", ", ".join(map(str, files))))
    git = capture.get("git") or {}
    if git.get("commit"):
        changed = f", {git.get('files', 0)} changed files" if git.get("dirty") else ""
        found.append(("git", f"{git['commit'][:10]} on {git.get('branch', '')}{changed}"))
    seeds = capture.get("seeds") or {}
    found.append(("seeds", ", ".join(f"{key} {value}" for key, value in seeds.items())))
    found.append(("Python", " ".join(str(capture[key]) for key in ("python", "platform") if capture.get(key))))
    packages = capture.get("packages") or {}
    found.append(("packages", ", ".join(f"{name} {version}" for name, version in packages.items())))
    stamp = capture.get("reproduced") or {}
    found.append(("run again", str(stamp.get("verdict", ""))))
    return [(word, text) for word, text in found if text]


def _children(run: Run, store: Store) -> list[tuple[str, str, str]]:
    found = store.search_runs(filter_string=f"tags.`{TAG_PARENT}` = '{run.run_id}'", max_results=1000)
    return [(one.run_id, one.info.run_name, one.info.status) for one in found]


def _versions(run: Run, store: Store) -> list[str]:
    made = [
        version
        for model in registry.list_models(store=store)
        for version in model.versions
        if version.run_id == run.run_id and not version.deleted
    ]
    return [
        f"{one.name} version {one.version}" + (f" ({one.current_stage})" if one.current_stage != "None" else "")
        for one in made
    ]
