"""Model folders that MLflow wrote, read without MLflow: its ``MLmodel`` says what they hold.

It names no digests and is signed by nobody, so these models are loaded as a stranger's, unless they are trusted by the
digest of the whole folder.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from nbtrack.entities import Column, ModelManifest, Signature
from nbtrack.errors import IntegrityError, InvalidInputError, MissingLibraryError
from nbtrack.models.examples import EXAMPLE_NAME
from nbtrack.models.flavors.pyfunc import MLFLOW_OPTION
from nbtrack.names import check_artifact_path

MLFLOW_NAME: Final = "MLmodel"
PREDICT_FN: Final = "predict_fn"  # option: the method that MLflow's server asks, where it is not predict
_MAX_BYTES: Final = 4 << 20
_SERVING_EXAMPLE: Final = "serving_input_example.json"
_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([A-Za-z0-9.!+_-]+)\s*(?:;.*)?")
_TYPES: Final = frozenset(["boolean", "integer", "long", "float", "double", "string", "datetime", "object"])


def read_mlflow(
    what: str, names: Sequence[str], read: Callable[[str], bytes]
) -> tuple[ModelManifest, Mapping[str, bytes]]:
    """Return a manifest as nbtrack would have written it, and the files that it names.

    Parameters
    ----------
    what
        Which model it is, for messages.
    names
        All files of the folder, relative to it.
    read
        Returns the bytes of one.

    Raises
    ------
    InvalidInputError
        If it is a model of a kind that only MLflow itself can load; the message says which.
    IntegrityError
        If the description cannot be read, or names a file that is not there.
    """
    record = _described(read(MLFLOW_NAME), what)
    flavors = record.get("flavors")
    if not isinstance(flavors, dict):
        raise IntegrityError(f"{what}: its {MLFLOW_NAME} names no flavors. Save the model again with MLflow.")
    python = flavors.get("python_function")
    python = python if isinstance(python, dict) else {}
    if isinstance(flavors.get("sklearn"), dict):
        flavor, files = "sklearn", _sklearn_files(flavors["sklearn"], what, names, read)
    elif python.get("loader_module") == "mlflow.pyfunc.model":
        flavor, files = "pyfunc", _pyfunc_files(python, what, names, read)
    else:
        found = ", ".join(sorted(str(name) for name in flavors if name != "python_function")) or "python_function"
        raise InvalidInputError(
            f"{what}: a model that MLflow saved with the flavor {found[:80]!r}; expected sklearn or a Python model."
            " Load it with MLflow, and log what you get with nbtrack.log_model."
        )
    options = {MLFLOW_OPTION: str(record.get("mlflow_version", ""))}
    if (asked := str(python.get(PREDICT_FN) or "predict")) != "predict":
        options[PREDICT_FN] = asked
    if _SERVING_EXAMPLE in names:
        files[EXAMPLE_NAME] = read(_SERVING_EXAMPLE)
    requirements = read("requirements.txt").decode(errors="replace") if "requirements.txt" in names else ""
    packages = _pins(requirements)
    if made_with := (flavors.get("sklearn") or {}).get("sklearn_version"):
        packages["scikit-learn"] = str(made_with)
    manifest = ModelManifest(
        flavor=flavor,
        model_class="",
        files={name: (sha256(data).hexdigest(), len(data)) for name, data in sorted(files.items())},
        signature=_signature(record.get("signature"), what),
        input_example=EXAMPLE_NAME if EXAMPLE_NAME in files else None,
        environment={"python": str(python.get("python_version") or ""), "packages": packages},
        run_id=str(record["run_id"]) if record.get("run_id") else None,
        options=options,
    )
    return manifest, files


def _described(raw: bytes, what: str) -> dict[str, Any]:
    """Read YAML without what makes it dangerous: tags that name code, and aliases that unfold without end."""
    try:
        import yaml
    except ImportError:
        raise MissingLibraryError(
            f"{what}: reading MLflow's {MLFLOW_NAME} needs PyYAML. Run: pip install pyyaml", name="yaml"
        ) from None

    class Plain(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("it holds an alias")
            return super().compose_node(parent, index)

    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"it has {len(raw):,} bytes")
        record = yaml.load(raw, Plain)  # noqa: S506 - a SafeLoader that knows even less
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = str(error).splitlines()[0][:200]
        raise IntegrityError(f"{what}: its {MLFLOW_NAME} cannot be read ({why}). Save the model again.") from None
    if not isinstance(record, dict):
        raise IntegrityError(f"{what}: its {MLFLOW_NAME} is no mapping. Save the model again with MLflow.")
    return record


def _file(name: object, what: str, names: Sequence[str], read: Callable[[str], bytes]) -> bytes:
    if not isinstance(name, str) or check_artifact_path(name) not in names:
        raise IntegrityError(f"{what}: its {MLFLOW_NAME} names the file {repr(name)[:80]}, which is not there.")
    return read(check_artifact_path(name))


def _no_code(record: Mapping[str, Any], what: str) -> None:
    if record.get("code"):
        raise InvalidInputError(
            f"{what}: MLflow saved it with a folder of code ({str(record['code'])[:80]!r}), which is not run here; load"
            " it with MLflow, or save it again without code_paths."
        )


def _sklearn_files(
    record: Mapping[str, Any], what: str, names: Sequence[str], read: Callable[[str], bytes]
) -> dict[str, bytes]:
    _no_code(record, what)
    kind = record.get("serialization_format", "pickle")
    if kind not in {"pickle", "cloudpickle", "skops"}:
        raise InvalidInputError(
            f"{what}: MLflow saved it as {str(kind)[:80]!r}; expected pickle, cloudpickle or skops. Load it with"
            " MLflow."
        )
    data = _file(record.get("pickled_model"), what, names, read)
    return {"model.skops" if kind == "skops" else "model.pkl": data}


def _pyfunc_files(
    record: Mapping[str, Any], what: str, names: Sequence[str], read: Callable[[str], bytes]
) -> dict[str, bytes]:
    _no_code(record, what)
    if record.get("artifacts") or record.get("model_code_path"):
        raise InvalidInputError(
            f"{what}: MLflow saved it with artifacts or as a file of code, which only MLflow can load. Load it there,"
            " and log what you get with nbtrack.pyfunc.log_model."
        )
    return {"model.pkl": _file(record.get("python_model"), what, names, read)}


def _signature(record: Any, what: str) -> Signature | None:
    if not isinstance(record, dict):
        return None
    try:
        parts = {key: json.loads(record[key]) if record.get(key) else [] for key in ("inputs", "outputs", "params")}
        return Signature(
            inputs=_columns(parts["inputs"]),
            outputs=_columns(parts["outputs"]),
            params=tuple(
                Column(str(p["name"]), _type(p.get("type", p.get("dtype"))), False, p.get("default"))
                for p in parts["params"]
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{what}: the signature in its {MLFLOW_NAME} cannot be read ({error}).") from None


def _columns(records: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    found: list[Column] = []
    for record in records:
        if record.get("type") == "tensor":
            shape, dtype = record["tensor-spec"]["shape"], str(record["tensor-spec"]["dtype"])
            width = int(shape[1]) if len(shape) == 2 and int(shape[1]) > 0 else 1
            found += [Column(record.get("name"), _tensor_type(dtype))] * min(width, 100_000)
        else:
            found.append(Column(record.get("name"), _type(record.get("type")), record.get("required") is not False))
    return tuple(found)


def _type(name: object) -> str:
    return str(name) if name in _TYPES else "object"


def _tensor_type(dtype: str) -> str:
    known = {"int32": "integer", "int16": "integer", "int8": "integer", "float32": "float", "bool": "boolean"}
    kind = "long" if dtype.startswith(("int", "uint")) else "double" if dtype.startswith("float") else "string"
    return known.get(dtype, kind)


def _pins(text: str) -> dict[str, str]:
    """Return the packages that a requirements file pins; every other line of it says nothing that is looked at."""
    found = (_PIN.fullmatch(line) for line in text.splitlines()[:10_000])
    return {match[1].lower(): match[2] for match in found if match and match[1].lower() != "mlflow"}


class PythonModel:
    """A Python model of MLflow's, asked as MLflow asks it: with no context, and with params where it takes them."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, data: Any, **params: Any) -> Any:
        """Return what the model predicts."""
        if inspect.isfunction(self.model):
            return self.model(data, **params)
        takes = inspect.signature(self.model.predict).parameters
        more = {"params": params} if params and "params" in takes else {}
        return self.model.predict(None, data, **more) if "context" in takes else self.model.predict(data, **more)
