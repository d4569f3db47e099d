"""MLflow's search of logged models, over entities: the same words, filters and order as its database has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import mlflow.entities as theirs
from mlflow.utils.search_utils import SearchUtils

from nbtrack.bridge.plugin.place import invalid

if TYPE_CHECKING:
    from mlflow.utils.search_logged_model_utils import Comparison

_ALIASES: Final = {
    "creation_time": "creation_timestamp",
    "creation_timestamp_ms": "creation_timestamp",
    "last_updated_time": "last_updated_timestamp",
    "last_updated_timestamp_ms": "last_updated_timestamp",
}
_ATTRIBUTES: Final = {
    "name",
    "model_id",
    "model_type",
    "status",
    "source_run_id",
    "experiment_id",
    "creation_timestamp",
    "last_updated_timestamp",
}


def _check_attribute(key: str) -> None:
    if _ALIASES.get(key, key) not in _ATTRIBUTES:
        raise invalid(f"Invalid attribute key '{key}' specified. Valid keys are '{sorted(_ATTRIBUTES)}'")


def _attribute(model: theirs.LoggedModel, key: str) -> Any:
    key = _ALIASES.get(key, key)
    found = getattr(model, key)
    return str(found) if key == "status" else found


def _of(metric: theirs.Metric, datasets: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a metric is of one of the data sets; any is, if none are given."""
    return not datasets or any(
        metric.dataset_name == one["dataset_name"]
        and ("dataset_digest" not in one or metric.dataset_digest == one["dataset_digest"])
        for one in datasets
    )


def _latest(model: theirs.LoggedModel, key: str, counts: Callable[[theirs.Metric], bool]) -> float | None:
    """Return the newest value of a metric among those that count, as MLflow 3.18 does; 3.17 took any for filters."""
    found = [(one.timestamp, one.step, one.value) for one in model.metrics or [] if one.key == key and counts(one)]
    return max(found)[2] if found else None


def _fits(model: theirs.LoggedModel, clause: Comparison, datasets: Sequence[Mapping[str, Any]]) -> bool:
    key, kind = clause.entity.key, clause.entity.type.name
    value: Any
    if kind == "METRIC":
        value = _latest(model, key, lambda metric: _of(metric, datasets))
    elif kind == "ATTRIBUTE":
        value = _attribute(model, key)
    else:
        value = (model.params if kind == "PARAM" else model.tags).get(key)
    return value is not None and bool(SearchUtils.get_comparison_func(clause.op)(value, clause.value))


def filtered(
    models: Iterable[theirs.LoggedModel], filter_string: str | None, datasets: Sequence[Mapping[str, Any]]
) -> list[theirs.LoggedModel]:
    """Return the models that fit; with `datasets`, only metrics of these count, and a model must have one."""
    from mlflow.utils.search_logged_model_utils import parse_filter_string  # brings SQLAlchemy along

    try:
        clauses = parse_filter_string(filter_string)
    except ValueError as error:
        raise invalid(f"Invalid filter string: {filter_string!r}. {error}") from error
    for clause in clauses:
        if clause.entity.type.name == "ATTRIBUTE":
            _check_attribute(clause.entity.key)
    by_metric = any(clause.entity.type.name == "METRIC" for clause in clauses)
    return [
        model
        for model in models
        if all(_fits(model, clause, datasets) for clause in clauses)
        and (by_metric or not datasets or any(_of(one, datasets) for one in model.metrics or []))
    ]


def ordered(models: list[theirs.LoggedModel], order_by: Sequence[Mapping[str, Any]] | None) -> list[theirs.LoggedModel]:
    """Return the models in order, those without a value last; else the newest first."""
    for clause in order_by or []:
        _check_order(clause)
    found = sorted(models, key=lambda model: (-model.creation_timestamp, model.model_id))
    for clause in reversed(order_by or []):
        values = {model.model_id: _sort_value(model, clause) for model in found}
        ascending = clause.get("ascending", True)
        have = [model for model in found if values[model.model_id] is not None]
        have.sort(key=lambda model: values[model.model_id], reverse=not ascending)
        found = have + [model for model in found if values[model.model_id] is None]  # sort() is stable
    return found


def _check_order(clause: object) -> None:
    """Raise MlflowException unless this says by what to order, also where there is nothing to be ordered."""
    if not isinstance(clause, Mapping):
        raise invalid(f"`order_by` must be a list of dictionaries. Got {clause!r} in it.")
    field = clause.get("field_name")
    if not field:
        raise invalid("`field_name` in the `order_by` clause must be specified.")
    kind, dot, _ = field.partition(".")
    if not dot and _ALIASES.get(field, field) not in _ATTRIBUTES:
        raise invalid(f"Invalid order by field name: {field}")
    if dot and kind != "metrics":
        raise invalid(f"Invalid order by field name: {field}. Only metrics are supported.")


def _sort_value(model: theirs.LoggedModel, clause: Mapping[str, Any]) -> Any:
    field = clause["field_name"]
    if "." not in field:
        return _attribute(model, field)
    key = field.split(".", 1)[1]
    wanted = {name: clause[name] for name in ("dataset_name", "dataset_digest") if clause.get(name)}
    return _latest(model, key, lambda metric: all(getattr(metric, name) == one for name, one in wanted.items()))
