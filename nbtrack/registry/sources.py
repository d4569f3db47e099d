"""What a version is made of: a model folder of a run, nbtrack's own or one that MLflow wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nbtrack.entities import MANIFEST_NAME, Run

MLFLOW_NAME: Final = "MLmodel"  # the file that makes a folder a model of MLflow's


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model among a run's artifacts; `digest` vouches for every byte of it."""

    digest: str
    mlflow: bool


def logged_models(run: Run) -> list[str]:
    """Return the artifact paths of the models that a run logged, sorted."""
    endings = (f"/{MANIFEST_NAME}", f"/{MLFLOW_NAME}")
    found = {path.rpartition("/")[0] for path in run.artifacts if f"/{path}".endswith(endings)}
    return sorted(found)


def find_source(run: Run, path: str) -> ModelSource | None:
    """Return the model at a path of a run's artifacts; None if there is none."""
    record = run.artifacts.get(f"{path}/{MANIFEST_NAME}")
    if record is not None:  # it names the digest of every other file
        return ModelSource(record.digest, mlflow=False)
    if f"{path}/{MLFLOW_NAME}" not in run.artifacts:
        return None
    prefix = f"{path}/"
    digests = {name.removeprefix(prefix): a.digest for name, a in run.artifacts.items() if name.startswith(prefix)}
    return ModelSource(digest_of(digests), mlflow=True)


def digest_of(digests: Mapping[str, str]) -> str:
    """Return one digest for a folder, given that of each file: MLflow's own description names none."""
    text = "".join(f"{name}\n{digest}\n" for name, digest in sorted(digests.items()))
    return sha256(text.encode()).hexdigest()
