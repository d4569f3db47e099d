"""MLflow's registry: ``python registry_mlflow.py file|sqlite FOLDER VERSIONS`` prints milliseconds as JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def ms(act: object, times: int) -> float:
    """Return the median milliseconds of one call."""
    taken = []
    for number in range(times):
        started = perf_counter()
        act(number)  # type: ignore[operator]
        taken.append((perf_counter() - started) * 1000)
    return median(taken)


def main(backend: str, folder: str, versions: int) -> dict[str, object]:
    """Measure what ``registry.py`` measures."""
    warnings.simplefilter("ignore")
    import mlflow
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    logging.disable(logging.WARNING)
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db" if backend == "sqlite" else f"file:{folder}/mlruns")
    client = mlflow.MlflowClient()
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(100, random_state=0).fit(data, target)
    pinned = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    with mlflow.start_run() as run:
        log = ms(lambda n: mlflow.sklearn.log_model(forest, name=f"m{n}", input_example=data.head(), **pinned), 5)
        usual = ms(
            lambda n: mlflow.sklearn.log_model(
                forest, name=f"u{n}", input_example=data.head(), serialization_format="cloudpickle"
            ),
            1,
        )
        uri = mlflow.sklearn.log_model(forest, name="model", input_example=data.head(), **pinned).model_uri
    client.create_registered_model("clf")
    source = mlflow.artifacts.download_artifacts(uri)
    for _ in range(versions):
        client.create_model_version("clf", source, run.info.run_id)
    facts: dict[str, object] = {
        "register": ms(lambda _: mlflow.register_model(uri, "clf"), 10),
        "promote": ms(lambda n: client.transition_model_version_stage("clf", str(n + 1), "Production", True), 10),
        "resolve": ms(lambda _: client.get_latest_versions("clf", ["Production"]), 10),
        "log_model": log,
        "log_model_usual": usual,
        "load_model": ms(lambda _: mlflow.sklearn.load_model(uri), 5),
        "version": mlflow.__version__,
    }
    return facts


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
