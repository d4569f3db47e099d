"""Models of ours as folders that MLflow loads and ``mlflow models serve`` serves.

scikit-learn models become MLflow's own sklearn flavor and need no nbtrack there. All others are loaded by nbtrack,
which then is among their requirements: MLflow calls :func:`_load_pyfunc`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack._version import __version__
from nbtrack.entities import MANIFEST_NAME, Column, ModelManifest
from nbtrack.errors import InvalidInputError
from nbtrack.models import load_bundle, read_model
from nbtrack.models.manifest import to_json
from nbtrack.models.mlflow_folder import MLFLOW_NAME

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_TENSORS: Final = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_PICKLE: Final = "model.pkl"
_PLAIN: Final = frozenset({"boolean", "integer", "long", "float", "double", "string", "datetime"})


def export_model(model_uri: str, folder: str | Path, *, store: Store | None = None) -> Path:
    """Write a model as a folder in MLflow's format; return the folder.

    Parameters
    ----------
    model_uri
        ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION`` or a folder that nbtrack saved.
    folder
        Where to; it must not exist, or be empty.
    store
        The store; the one used now if not given.

    Raises
    ------
    InvalidInputError
        If `folder` holds something.
    """
    source = read_model(model_uri, store=store)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInputError(f"export: expected a folder that is empty or not there, got {str(folder)!r}.")
    for name, data in mlflow_files(source.manifest, source.files):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return target


def mlflow_files(manifest: ModelManifest, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a model with what MLflow wants beside them."""
    yield from files.items()
    packages = dict(manifest.environment.get("packages") or {})
    python = str(manifest.environment.get("python") or "3.11")
    plain = manifest.flavor == "sklearn" and _PICKLE in files
    if not plain:
        if MLFLOW_NAME not in files:
            yield MANIFEST_NAME, to_json(manifest)
        packages["nbtrack"] = __version__
    requirements = [f"{name}=={version}" for name, version in sorted(packages.items())]
    yield "requirements.txt", "".join(f"{line}\n" for line in requirements).encode()
    yield "python_env.yaml", _document({"python": python, "dependencies": ["-r requirements.txt"]})
    dependencies = [f"python={python}", "pip", {"pip": requirements}]
    yield "conda.yaml", _document({"channels": ["conda-forge"], "dependencies": dependencies, "name": "mlflow-env"})
    if MLFLOW_NAME not in files:
        yield MLFLOW_NAME, _document(_description(manifest, python, packages, plain))


def _document(value: Mapping[str, Any]) -> bytes:
    """Return YAML: JSON is a part of it."""
    return json.dumps(value, indent=1).encode() + b"\n"


def _description(manifest: ModelManifest, python: str, packages: Mapping[str, str], plain: bool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.sklearn" if plain else __name__,
        "predict_fn": "predict",
        "python_version": python,
    }
    flavors: dict[str, Any] = {"python_function": function}
    if plain:
        function["model_path"] = _PICKLE
        flavors["sklearn"] = {
            "code": None,
            "pickled_model": _PICKLE,
            "serialization_format": "cloudpickle",
            "sklearn_version": packages.get("scikit-learn", ""),
        }
    created = datetime.fromtimestamp(manifest.created_at_ms / 1000, UTC).replace(tzinfo=None)
    found: dict[str, Any] = {"flavors": flavors, "utc_time_created": str(created)}
    if manifest.run_id:
        found["run_id"] = manifest.run_id
    if manifest.signature is not None:
        inputs, outputs = _schema(manifest.signature.inputs), _schema(manifest.signature.outputs)
        if inputs is not None:
            params = [
                {"name": one.name, "type": one.type, "default": one.default, "shape": None}
                for one in manifest.signature.params
            ]
            found["signature"] = {
                "inputs": inputs,
                "outputs": outputs,
                "params": json.dumps(params) if params else None,
            }
    return found


def _schema(columns: Sequence[Column]) -> str | None:
    """Return columns as MLflow writes them; None where it has no word for one of them."""
    kinds = {column.type for column in columns}
    if not columns or not kinds <= _PLAIN:
        return None
    if all(column.name is None for column in columns) and len(kinds) == 1 and kinds <= _TENSORS.keys():
        shape = [-1] if len(columns) == 1 else [-1, len(columns)]
        return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": _TENSORS[columns[0].type], "shape": shape}}])
    named = [{"type": one.type, "name": one.name, "required": one.required} for one in columns]
    return json.dumps([{key: value for key, value in one.items() if value is not None} for one in named])


class _Served:
    """What MLflow calls: a model of ours."""

    def __init__(self, folder: str) -> None:
        # Whoever lets MLflow load a folder lets it run the folder's code: so does MLflow with its own.
        self._bundle = load_bundle(folder, trust=read_model(folder).digest)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model answers."""
        return self._bundle.predict(data, params)


def _load_pyfunc(path: str) -> _Served:
    return _Served(path)
