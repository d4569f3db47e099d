"""What MLflow keeps beside experiments, runs and models, and a store of ours does not: an answer for each of its calls.

Lists are empty and single things are not found, so that MLflow's own pages work; whoever wants to keep such a thing is
told that there is no place for it. Which calls there are differs from release to release: they are told by their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from mlflow.exceptions import MlflowNotImplementedException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.abstract_store import AbstractStore

from nbtrack.bridge.plugin.place import missing

_NOUNS: Final = (
    "trace",
    "span",
    "assessment",
    "dataset",  # those for evaluation, with records of their own; a run's data sets are kept
    "scorer",
    "issue",
    "label_schema",
    "review_queue",
    "user_queue",
    "mcp_",
    "gateway",
    "endpoint",
    "guardrail",
    "budget",
    "secret",
    "online_scoring",
    "completed_sessions",
)
_NOUN: Final = re.compile("|".join(_NOUNS))
_MANY: Final = re.compile(r"(search|list|batch_get|find|query)_|get_.*(configs|scorers|versions_for_trace|_ids)$")

_BUILT_ON: Final = {"delete_traces", "delete_traces_async", "log_spans_async"}  # MLflow's own, over calls answered here


class NotKept(MlflowNotImplementedException, NotImplementedError):  # type: ignore[misc]
    """Somebody wants to keep what has no place here. Some of MLflow's code looks for the builtin error only."""


def _none(_self: Any, *_args: Any, **_options: Any) -> PagedList[Any]:
    return PagedList([], None)


def _zero(_self: Any, *_args: Any, **_options: Any) -> int:
    return 0


def _missing(name: str) -> Callable[..., NoReturn]:
    what = name.removeprefix("get_").replace("_", " ")

    def answer(_self: Any, *args: Any, **options: Any) -> NoReturn:
        wanted = ", ".join(repr(one) for one in (*args, *options.values()))
        raise missing(f"{what} {wanted} not found: nbtrack keeps no such thing.")

    return answer


def _refused(name: str) -> Callable[..., NoReturn]:
    def answer(_self: Any, *_args: Any, **_options: Any) -> NoReturn:
        raise NotKept(f"{name}: nbtrack keeps experiments, runs and models, and has no place for this.")

    return answer


def _answer_to(name: str) -> Callable[..., Any]:
    if name == "_delete_traces":
        return _zero
    if _MANY.match(name):
        return _none
    return _missing(name) if name.startswith("get_") and "_or_create_" not in name else _refused(name)


def answers(kept: type) -> dict[str, Callable[..., Any]]:
    """Return an answer to each call of MLflow's stores about such things that `kept` does not answer itself."""
    asked = [name for name in dir(AbstractStore) if _NOUN.search(name) and callable(getattr(AbstractStore, name))]
    public = [name for name in asked if not name.startswith("_") or name == "_delete_traces"]
    return {name: _answer_to(name) for name in public if not hasattr(kept, name) and name not in _BUILT_ON}
