"""Our records in MLflow's words, and back: tags, statuses, data sets, runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import mlflow.entities as theirs
from mlflow.entities.logged_model_input import LoggedModelInput
from mlflow.entities.logged_model_output import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NAME

from nbtrack import entities as ours
from nbtrack.entities import TAG_NOTE, TAG_PARENT, TAG_SOURCE, TAG_USER, Status
from nbtrack.errors import InvalidNameError
from nbtrack.names import check_run_name

HIDDEN: Final = "nbtrack.mlflow."  # tags of this prefix are this bridge's own: MLflow's users do not see them
TAG_LOCATION: Final = f"{HIDDEN}artifact_location"
TAG_USER_ID: Final = f"{HIDDEN}user_id"  # a user that no tag names
TAG_UNORDERED: Final = f"{HIDDEN}unordered"  # a metric was not logged in the order of its steps
TAG_EXTRAS: Final = f"{HIDDEN}extras"  # get_run() knows more of this run than a search does
TAG_HOLDER: Final = f"{HIDDEN}holder"  # this run only holds the files of a logged model that no run made
TAG_NAME: Final = f"{HIDDEN}run_name"  # a name that ours may not have
TAG_NAMELESS: Final = f"{HIDDEN}nameless"  # somebody deleted the tag of the run's name
TAG_END: Final = f"{HIDDEN}end_time"  # an end that our log cannot hold: of a live run, before 1970, or "" for none
TAG_GONE: Final = f"{HIDDEN}gone"  # an experiment that was removed for good

CAPTURE_INPUT, CAPTURE_OUTPUT, CAPTURE_MODEL = "mlflow_model_input", "mlflow_model_output", "mlflow_logged_model"

_TO_OURS: Final = {
    "mlflow.note.content": TAG_NOTE,
    "mlflow.parentRunId": TAG_PARENT,
    "mlflow.user": TAG_USER,
    "mlflow.source.name": TAG_SOURCE,
}
_TO_THEIRS: Final = {ours: theirs for theirs, ours in _TO_OURS.items()}
STATUSES: Final[Mapping[str, str]] = {
    "RUNNING": "RUNNING",
    "SCHEDULED": "SCHEDULED",
    "FINISHED": "FINISHED",
    "FAILED": "FAILED",
    "KILLED": "KILLED",
    "CRASHED": "FAILED",  # MLflow has no word for a process that died
}


def our_key(key: str) -> str:
    """Return the tag of ours that one of MLflow's is kept as."""
    return _TO_OURS.get(key, key)


def their_tags(tags: Mapping[str, str], run_name: str) -> dict[str, str]:
    """Return the tags of a run as MLflow shows them."""
    found = {_TO_THEIRS.get(key, key): value for key, value in tags.items() if not key.startswith(HIDDEN)}
    if TAG_NAMELESS not in tags:
        found[MLFLOW_RUN_NAME] = run_name
    return found


def our_name(run_name: str) -> tuple[str, str | None]:
    """Return ``(the name that our run has, the original if ours may not have it)``."""
    try:
        return check_run_name(run_name), None
    except InvalidNameError:
        shown = "".join(c if c.isprintable() else " " for c in run_name).replace("..", "…").strip()[:250]
        return shown or "run", run_name


def our_status(status: object) -> Status:
    """Return a status of MLflow's, given as its number; raises MlflowException."""
    try:
        return theirs.RunStatus.to_string(status)  # type: ignore[no-any-return]
    except Exception as error:  # MLflow raises nothing more precise
        raise MlflowException(str(error)) from None


def our_dataset(given: theirs.DatasetInput) -> ours.DatasetInput:
    """Return a data set as our run notes it; what we have no field for is kept in its profile."""
    tags = {tag.key: tag.value for tag in given.tags or []}
    dataset = given.dataset
    return ours.DatasetInput(
        name=dataset.name,
        context=tags.get(MLFLOW_DATASET_CONTEXT, ""),
        digest=dataset.digest,
        source=dataset.source,
        profile={
            "mlflow": {
                "source_type": dataset.source_type,
                "schema": dataset.schema,
                "profile": dataset.profile,
                "tags": tags,
            }
        },
    )


def their_dataset(given: ours.DatasetInput) -> theirs.DatasetInput:
    """The reverse, also for data sets that nbtrack itself noted."""
    kept: Mapping[str, Any] = given.profile.get("mlflow") or {}
    tags = kept.get("tags", {MLFLOW_DATASET_CONTEXT: given.context} if given.context else {})
    dataset = theirs.Dataset(
        name=given.name,
        digest=given.digest,
        source_type=kept.get("source_type") or "nbtrack",
        source=given.source,
        schema=kept.get("schema"),
        profile=kept.get("profile"),
    )
    return theirs.DatasetInput(dataset, [theirs.InputTag(key, value) for key, value in tags.items()])


def _data_sets(given: Iterable[ours.DatasetInput]) -> list[theirs.DatasetInput]:
    found = {(one.name, one.digest): one for one in reversed(list(given))}  # logged twice is one, as the first was
    return [their_dataset(one) for one in reversed(list(found.values()))]


def their_run(run: ours.Run, artifact_uri: str, metrics: list[theirs.Metric]) -> theirs.Run:
    """Return one of our runs as MLflow's."""
    info, tags = run.info, run.data.tags
    name = tags.get(TAG_NAME) or info.run_name
    shown = their_tags(tags, name)
    capture, end = run.capture, tags.get(TAG_END)
    return theirs.Run(
        theirs.RunInfo(
            run_id=info.run_id,
            experiment_id=info.experiment_id,
            user_id=tags.get(TAG_USER_ID) or info.user_id,
            status=STATUSES[info.status],
            start_time=info.start_time,
            end_time=info.end_time if end is None else int(end) if end else None,
            lifecycle_stage=info.lifecycle_stage,
            artifact_uri=artifact_uri,
            run_name=name,
        ),
        theirs.RunData(
            metrics,
            [theirs.Param(key, value) for key, value in run.data.params.items()],
            [theirs.RunTag(key, value) for key, value in shown.items()],
        ),
        theirs.RunInputs(
            _data_sets(run.inputs.dataset_inputs),
            [LoggedModelInput(key.split(" ")[1]) for key in capture if key.startswith(f"{CAPTURE_INPUT} ")],
        ),
        theirs.RunOutputs(
            [
                LoggedModelOutput(key.split(" ")[1], int(value.get("step", 0)))
                for key, value in capture.items()
                if key.startswith(f"{CAPTURE_OUTPUT} ")
            ]
        ),
    )
