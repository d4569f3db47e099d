"""Which run is meant: by its id, by the digits a table shows, or by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.reprs.numbers import short_id

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_FULL_ID: Final = re.compile(r"[0-9a-f]{21}|[0-9a-f]{32}")
_DIGITS: Final = re.compile(r"[0-9a-f]{4,32}")
_NAMED: Final = 5  # so many candidates are named in a message


def find_run(store: Store, text: str) -> str:
    """Return the id of the run that `text` means.

    Parameters
    ----------
    store
        Where to look, also in the trash.
    text
        A whole run id, four or more digits that only one id starts or ends with, or the name of one run.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InvalidInputError
        If several runs fit.
    """
    if _FULL_ID.fullmatch(text):
        return store.get_run(text).run_id
    table = store.run_table(view="ALL", keys=[])
    names = next(column.values for column in table.columns if column.key == "run_name")
    by_name = [run_id for run_id, name in zip(table.run_ids, names, strict=True) if name == text]
    by_id = (
        [run_id for run_id in table.run_ids if run_id.endswith(text) or run_id.startswith(text)]
        if _DIGITS.fullmatch(text)
        else []
    )
    found = list(dict.fromkeys([*by_id, *by_name]))
    if not found:
        raise NotFoundError(
            f"run {text!r}: no run of {store.name!r} has this id or name; expected an id, its last digits or a name."
            " `nbtrack runs list` shows them."
        )
    if len(found) > 1:
        listed = ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise InvalidInputError(
            f"run {text!r}: {len(found)} runs have this name or these digits ({listed}); expected one. Give the id of"
            f" the one you mean, such as {short_id(found[0])}."
        )
    return found[0]


def full_model_uri(store: Store, uri: str) -> str:
    """Return a model URI with the whole id of its run: ``runs:/3fa2/model`` is enough to type.

    Raises
    ------
    NotFoundError, InvalidInputError
        If the run is not found, or several fit.
    """
    run, slash, path = uri.removeprefix("runs:/").lstrip("/").partition("/")
    return f"runs:/{find_run(store, run)}/{path}" if uri.startswith("runs:/") and run and slash and path else uri


def experiment_ids(store: Store, names: tuple[str, ...]) -> list[str] | None:
    """Return the ids of experiments by name; None, which means all, for no names.

    Raises
    ------
    NotFoundError
        If there is none of a name.
    """
    found = []
    for name in names:
        experiment = store.get_experiment_by_name(name)
        if experiment is None:
            known = ", ".join(repr(e.name) for e in store.list_experiments()[:10])
            raise NotFoundError(
                f"experiment {name!r}: there is none of this name in {store.name!r}; there are {known}."
            )
        found.append(experiment.experiment_id)
    return found or None
