"""MLflow's search of runs, answered by our index where its words mean the same there, else by MLflow's own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import mlflow.entities as theirs
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.search_utils import SearchUtils

from nbtrack import entities as ours
from nbtrack.bridge.plugin import words
from nbtrack.bridge.plugin.experiments import VIEWS
from nbtrack.bridge.plugin.logs import Logs
from nbtrack.bridge.plugin.place import check_max_results, invalid, translated
from nbtrack.bridge.plugin.words import our_key
from nbtrack.store.query import AGGREGATES

_NO_HOLDERS: Final = f"tags.`{words.TAG_HOLDER}` is null"
_NAMES: Final = {"metric": "metrics", "parameter": "params", "tag": "tags"}
_SAME_ATTRIBUTES: Final = {"run_id", "run_name", "start_time", "end_time", "experiment_id"}
_ORDERED_BY: Final = {*_NAMES, "attribute"}
_NUMERIC: Final = {"start_time", "end_time"}
_NO_LIMIT: Final = 10**9


class Search(Logs):
    """The part of the tracking store that searches runs."""

    def _search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int | None,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[theirs.Run], str | None]:
        limit = _NO_LIMIT if max_results is None else check_max_results(max_results, SEARCH_MAX_RESULTS_THRESHOLD)
        clauses = SearchUtils.parse_search_filter(filter_string) if filter_string else []
        orders = [SearchUtils.parse_order_by_for_search_runs(clause) for clause in order_by or []]
        for kind, _, _ in orders:
            if kind not in _ORDERED_BY:
                raise invalid(f"Invalid identifier type '{kind}'")
        if len({(kind, SearchUtils.translate_key_alias(key)) for kind, key, _ in orders}) < len(orders):
            raise MlflowException(f"`order_by` contains duplicate fields: {order_by}")
        for clause in clauses:
            _check_comparator(clause["type"], clause["key"], clause["comparator"].upper())
        ids, view = self._ids(experiment_ids), VIEWS.get(run_view_type)
        if not ids or view is None:
            return [], None
        text, ordered = _conditions(clauses), _orders(orders)
        known: dict[str, ours.Experiment] = {}
        if text is None or ordered is None or self._odd(clauses, orders):
            runs = [self._their_run(self._whole(run), known) for run in self._found(ids, _NO_HOLDERS, (), view)]
            found = SearchUtils.sort(SearchUtils.filter(runs, filter_string), order_by)
            page, token = SearchUtils.paginate(found, page_token, limit)
            return page, token
        offset = SearchUtils.parse_start_offset_from_page_token(page_token)
        some = self._found(ids, text, ordered, view, limit + 1, offset)
        token = SearchUtils.create_page_token(offset + limit) if len(some) > limit else None
        return [self._their_run(self._whole(run), known) for run in some[:limit]], token

    def _found(
        self,
        ids: Sequence[str],
        text: str,
        orders: Sequence[str],
        view: Any,
        max_results: int = _NO_LIMIT,
        offset: int = 0,
    ) -> list[ours.Run]:
        with translated():
            return self.store.search_runs(ids, text, orders, max_results, offset, view)

    def _whole(self, run: ours.Run) -> ours.Run:
        """Return the run with what a search leaves out, if it has such."""
        return self.store.get_run(run.run_id) if words.TAG_EXTRAS in run.data.tags else run

    def _odd(self, clauses: Sequence[Mapping[str, Any]], orders: Sequence[tuple[str, str, bool]]) -> bool:
        """Return whether runs are there whose metrics or names our index knows by another value than MLflow."""
        kinds = {clause["type"] for clause in clauses} | {kind for kind, _, _ in orders}
        keys = {clause["key"] for clause in clauses} | {key for _, key, _ in orders}
        tags = [words.TAG_UNORDERED] if "metric" in kinds else []
        tags += [words.TAG_NAME, words.TAG_NAMELESS] if keys & {"run_name", MLFLOW_RUN_NAME} else []
        tags += [words.TAG_END] if "end_time" in keys else []
        return any(self.store.run_table(None, f"tags.`{tag}` is not null", max_results=1).total for tag in tags)


def _check_comparator(kind: str, key: str, op: str) -> None:
    """Raise MlflowException unless a field of this kind may be compared so; a search of no runs would not."""
    key = SearchUtils.translate_key_alias(key)
    if SearchUtils.is_string_attribute(kind, key, op) or SearchUtils.is_numeric_attribute(kind, key, op):
        return
    for fits in (SearchUtils.is_metric, SearchUtils.is_param, SearchUtils.is_tag, SearchUtils.is_dataset):
        if fits(kind, op):
            return


def _field(kind: str, key: str) -> str | None:
    """Return what our filter language calls a key; None if it means something else there."""
    key = SearchUtils.translate_key_alias(key)
    if kind == "attribute":
        return f"attributes.{key}" if key in _SAME_ATTRIBUTES else None
    if kind == "tag" and key == MLFLOW_RUN_NAME:
        return "attributes.run_name"
    if kind not in _NAMES or "`" in key or key.rpartition(".")[2] in AGGREGATES:
        return None
    return f"{_NAMES[kind]}.`{our_key(key) if kind == 'tag' else key}`"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _conditions(clauses: Sequence[Mapping[str, Any]]) -> str | None:
    parts = [_NO_HOLDERS]
    for clause in clauses:
        part = _condition(clause)
        if part is None:
            return None
        parts.append(part)
    return " and ".join(parts)


def _condition(clause: Mapping[str, Any]) -> str | None:
    kind, key, op, value = clause["type"], clause["key"], clause["comparator"].upper(), clause["value"]
    if kind == "attribute" and key == "status" and op in {"=", "!="}:
        fits = [mine for mine, shown in words.STATUSES.items() if (shown == value) == (op == "=")]
        return f"attributes.status in ({', '.join(map(_quoted, fits))})" if fits else None
    field = _field(kind, key)
    if field is None:
        return None
    if op in {"IS NULL", "IS NOT NULL"}:
        return f"{field} {op}" if kind != "attribute" and not field.startswith("attributes.") else None
    if kind == "metric" or (kind == "attribute" and key in _NUMERIC):
        return f"{field} {op} {value}" if _is_number(value) else None
    if op in {"IN", "NOT IN"}:
        values = [value] if isinstance(value, str) else list(value)
        return f"{field} {op} ({', '.join(_quoted(str(one)) for one in values)})" if values else None
    return f"{field} {op} {_quoted(value)}" if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _orders(orders: Sequence[tuple[str, str, bool]]) -> list[str] | None:
    found = []
    for kind, key, ascending in orders:
        field = _field(kind, key)
        if field is None:
            return None
        found.append(f"{field} {'ASC' if ascending else 'DESC'}")
    return [*found, "attributes.start_time DESC", "attributes.run_id ASC"]
