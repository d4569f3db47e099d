"""What is different between two versions of one registered model: how they score, what they take, how made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from nbtrack.entities import Column, ModelManifest, ModelVersion
from nbtrack.errors import NotFoundError
from nbtrack.registry.models import TAG_LINE, get_version, the_store
from nbtrack.reprs.numbers import format_number

if TYPE_CHECKING:
    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class VersionDifference:
    """One thing that is different: `a` and `b` are what the versions have, None where one has none.

    `kind` is ``metric``, ``score``, ``param``, ``input``, ``output``, ``model``, ``package`` or ``tag``.
    """

    kind: str
    key: str
    a: str | None
    b: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.a or '–'} → {self.b or '–'}"


def diff_versions(name: str, a: int | str, b: int | str, *, store: Store | None = None) -> list[VersionDifference]:
    """Return what is different between two versions: results first, then what requests see, then how they were made.

    Parameters
    ----------
    name
        The registered model.
    a, b
        The versions; a difference reads from `a` to `b`.
    store
        The store; the one used now if not given.

    Raises
    ------
    NotFoundError
        If there is no such model or version.
    """
    store = the_store(store)
    first, second = (_facts(get_version(name, version, store=store), store) for version in (a, b))
    return [
        VersionDifference(kind, key, mine.get(key), other.get(key))
        for (kind, mine), other in zip(first.items(), second.values(), strict=True)
        for key in dict.fromkeys([*mine, *other])
        if mine.get(key) != other.get(key)
    ]


def _facts(version: ModelVersion, store: Store) -> dict[str, dict[str, str]]:
    manifest = _manifest(version, store)
    environment = manifest.environment if manifest else {}
    signature = manifest.signature if manifest else None
    return {
        "metric": {key: format_number(value) for key, value in sorted(version.metrics.items())},
        "score": {
            f"{metric} on {data[:8]}": format_number(score) for metric, (data, score) in sorted(version.scores.items())
        },
        "param": _params(version, store),
        "input": _columns(signature.inputs if signature else ()),
        "output": _columns(signature.outputs if signature else ()),
        "model": {
            key: str(value)
            for key, value in {
                "class": manifest.model_class if manifest else "",
                "flavor": version.flavor,
                "code line": version.tags.get(TAG_LINE),
                "Python": environment.get("python"),
            }.items()
            if value
        },
        "package": {str(key): str(value) for key, value in sorted(environment.get("packages", {}).items())},
        "tag": {key: value for key, value in sorted(version.tags.items()) if key != TAG_LINE},
    }


def _columns(columns: tuple[Column, ...]) -> dict[str, str]:
    return {
        column.name or f"column {place}": f"{column.type}{'' if column.required else ', may be null'}"
        for place, column in enumerate(columns, 1)
    }


def _params(version: ModelVersion, store: Store) -> dict[str, str]:
    try:
        return dict(sorted(store.get_run(version.run_id).data.params.items())) if version.run_id else {}
    except NotFoundError:  # its run was thrown away
        return {}


def _manifest(version: ModelVersion, store: Store) -> ModelManifest | None:
    if not version.digest or version.flavor == "mlflow":
        return None
    return msgspec.json.decode(store.read_blob(version.digest), type=ModelManifest)
