"""The model that a cell fitted, and the data that it was fitted on."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.resolve import MISSING, lookup
from nbtrack.errors import NbtrackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbtrack.capture.scan import Fit, Scan
    from nbtrack.tracking import ActiveRun

MAX_MODELS: Final = 5
EXAMPLE_ROWS: Final = 5
_PICKING: Final = (
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.List, ast.Tuple),
    *(ast.UnaryOp, ast.unaryop, ast.expr_context),
)


@dataclass(slots=True)
class Fitted:
    """A fitted model: the variable that holds it, the call that fitted it, where the cell shows it, and what was seen.

    `trained` says that a hook saw it being trained; `example` are the first rows of what it saw.
    """

    name: str
    estimator: Any
    fit: Fit | None = None
    trained: bool = False
    example: Any = None


def is_fitted(value: Any) -> bool:
    """Return whether this is an estimator in scikit-learn's manner that has been fitted; nothing is imported for it."""
    if isinstance(value, type) or not all(callable(getattr(type(value), m, None)) for m in ("fit", "get_params")):
        return False
    if callable(getattr(type(value), "__sklearn_is_fitted__", None)):
        return bool(value.__sklearn_is_fitted__())
    return any(name.endswith("_") and not name.startswith("__") for name in getattr(value, "__dict__", {}))


def find_fitted(scan: Scan, names: Mapping[str, Any]) -> list[Fitted]:
    """Return the fitted estimators that the cell assigned or fitted, those with a visible ``.fit`` first."""
    found = [Fitted(fit.name, names.get(fit.name), fit) for fit in scan.fits if fit.name is not None]
    found += [Fitted(name, names.get(name)) for name in scan.assigned]
    seen: set[int] = set()
    kept = []
    for one in found:
        if one.estimator is not None and id(one.estimator) not in seen and is_fitted(one.estimator):
            seen.add(id(one.estimator))
            kept.append(one)
    return kept


def with_trained(found: list[Fitted], trained: list[tuple[Any, Any]], names: Mapping[str, Any]) -> list[Fitted]:
    """Return the models found in the text of a cell, together with those seen being trained.

    Of these the ones that a variable holds; if none does, the last one, as of a function that returns only its score.

    Parameters
    ----------
    found
        From the text of the cell.
    trained
        (model, first rows of what it was trained on), in the order of training.
    names
        The user's variables.
    """
    if not trained:
        return found
    known = {id(one.estimator): one for one in found}
    held = {id(value): name for name, value in list(names.items()) if not name.startswith("_")}
    new = []
    for model, example in trained:
        one = known.get(id(model))
        if one is not None:
            one.trained, one.example = True, example
        elif id(model) in held:
            new.append(Fitted(held[id(model)], model, None, True, example))
    if not found and not new:
        model, example = trained[-1]
        new.append(Fitted("model", model, None, True, example))
    return found + new


def _parts(estimator: Any) -> set[int]:
    try:
        return {id(part) for part in estimator.get_params(deep=True).values()}
    except Exception:  # a broken get_params costs only this nicety
        return set()


def models_to_log(fitted: list[Fitted]) -> list[Fitted]:
    """Return those that can predict and are no part of another one, such as the last step of a pipeline."""
    models = [one for one in fitted if callable(getattr(one.estimator, "predict", None)) or _is_module(one)]
    return outermost(models)[:MAX_MODELS]


def _is_module(one: Fitted) -> bool:
    return one.trained and callable(getattr(one.estimator, "state_dict", None))


def outermost(fitted: list[Fitted]) -> list[Fitted]:
    """Return those that are no part of another one."""
    inner = {part for one in fitted for part in _parts(one.estimator)}
    return [one for one in fitted if id(one.estimator) not in inner]


def _simple(node: ast.expr) -> bool:
    """Whether an expression only picks from data: names, attributes, subscripts, literals; no call."""
    return all(isinstance(part, _PICKING) for part in ast.walk(node))


def training_data(fit: Fit, names: Mapping[str, Any]) -> Any:
    """Return what the call ``.fit(X, …)`` saw as its X, or None where that would mean to run more than a look-up."""
    node = fit.call.args[0] if fit.call.args else next((k.value for k in fit.call.keywords if k.arg == "X"), None)
    if node is None or isinstance(node, ast.Starred) or not _simple(node):
        return None
    found = lookup(node, names)
    if found is MISSING:
        try:
            expression = compile(ast.Expression(node), "<fit>", "eval")
            found = eval(expression, {"__builtins__": {}}, dict(names))  # noqa: S307 - the user's own expression, again
        except Exception:  # a column dropped since, a lazy frame: then there is no signature
            return None
    return found if hasattr(found, "shape") or isinstance(found, list) else None


def has_flavor(estimator: Any) -> bool:
    """Return whether models of this kind can be saved."""
    from nbtrack.models.flavors import find_flavor

    try:
        find_flavor(estimator)
    except NbtrackError:
        return False
    return True


def _head(data: Any, rows: int) -> Any:
    return data.iloc[:rows] if hasattr(data, "iloc") else data[:rows]


def log_fitted(run: ActiveRun, one: Fitted, path: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Log one model with a signature and an input example from its training data; return what the card says of it."""
    from nbtrack import models
    from nbtrack.models.flavors import find_flavor
    from nbtrack.models.seen import data_seen_by

    data = data_seen_by(one.estimator)
    if data is None and one.fit is not None:
        data = training_data(one.fit, names)
    rows = one.example if data is None else data
    signature = example = None
    if rows is not None:
        try:
            example = _head(rows, EXAMPLE_ROWS)
            signature = models.infer_signature(rows, find_flavor(one.estimator).predict(one.estimator, example))
        except Exception:  # without a signature the model is still worth keeping
            signature = example = None
    models.log_model(one.estimator, path, signature=signature, input_example=example, run=run, training_data=data)
    kind = type(one.estimator)
    shown: dict[str, Any] = {"path": path, "class": kind.__name__, "variable": one.name, "module": kind.__module__}
    if signature is not None:
        shown["columns"] = len(signature.inputs)
    return shown


def describe_model(shown: Mapping[str, Any]) -> str:
    """Return one entry of the list of what was captured."""
    columns = shown.get("columns")
    told = f" with a signature of {columns} column{'' if columns == 1 else 's'}" if columns else ""
    return f"model {shown['class']} ({shown['variable']}){told}"
