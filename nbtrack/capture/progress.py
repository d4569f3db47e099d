"""How far a running cell is: read from what is there anyway, so that nothing of the user's is hooked."""

from __future__ import annotations

import ast
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.resolve import MISSING, callee_name, literal, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# "Epoch 3/10", as Keras and many loops print it
_EPOCH: Final = re.compile(
    r"\b(epoch|step|iteration|iter|round|fold|trial|batch)s?:?\s*\[?(\d+)\s*(?:/|of)\s*(\d+)", re.I
)
_TOTALS: Final = ("epochs", "num_epochs", "n_epochs", "max_epochs", "max_steps", "n_steps", "num_steps", "max_iter")
_LOGGING: Final = frozenset({"log_metric", "log_metrics"})
_MAX_TAIL: Final = 4000


def _progress(done: float, total: float, unit: str, source: str, elapsed_s: float) -> dict[str, Any] | None:
    if not total > 0 or done < 0:
        return None
    found: dict[str, Any] = {
        "done": round(min(done, total), 3),
        "total": total,
        "unit": unit,
        "source": source,
    }
    if done > 0 and elapsed_s > 0:
        found["remaining_s"] = round(max(0.0, elapsed_s * (total - done) / done), 1)
    return found


def from_tqdm(started_at_s: float) -> dict[str, Any] | None:
    """Return the progress of the outermost bar of tqdm that began since `started_at_s` (seconds since 1970)."""
    module = sys.modules.get("tqdm.std")
    bars = list(getattr(getattr(module, "tqdm", None), "_instances", None) or ())
    bars = [bar for bar in bars if getattr(bar, "total", None) and getattr(bar, "start_t", 0) >= started_at_s - 1]
    if not bars:
        return None
    bar = min(bars, key=lambda one: (abs(getattr(one, "pos", 0)), one.start_t))
    unit = str(getattr(bar, "unit", "") or "it")
    label = str(getattr(bar, "desc", "") or "").strip(": ")
    found = _progress(float(bar.n), float(bar.total), unit, "tqdm", time.time() - bar.start_t)
    if found is not None and label:
        found["label"] = label[:60]
    return found


def from_lightning(held: Iterable[Any], elapsed_s: float) -> dict[str, Any] | None:
    """Return the progress of a PyTorch Lightning trainer that is fitting, if one of these objects is such."""
    if "lightning" not in sys.modules and "pytorch_lightning" not in sys.modules:
        return None
    for one in held:
        if type(one).__name__ != "Trainer" or "lightning" not in type(one).__module__ or not one.training:
            continue
        epochs = one.max_epochs
        batches = one.num_training_batches
        inside = one.fit_loop.epoch_loop.batch_progress.current.completed / batches if 0 < batches < 1e9 else 0.0
        if epochs and epochs > 0:
            return _progress(one.current_epoch + min(inside, 1.0), float(epochs), "epoch", "Lightning", elapsed_s)
        if one.max_steps and one.max_steps > 0:
            return _progress(float(one.global_step), float(one.max_steps), "step", "Lightning", elapsed_s)
    return None


def from_text(tail: str, elapsed_s: float) -> dict[str, Any] | None:
    """Return the progress that the end of what a cell printed tells: ``Epoch 3/10``."""
    said = list(_EPOCH.finditer(tail[-_MAX_TAIL:]))
    if not said:
        return None
    last = said[-1]
    done, total = int(last[2]), int(last[3])
    # It is printed where the epoch begins (Keras) or where it ends; the former promises less.
    return _progress(max(done - 1, 0), total, last[1].lower(), "printed", elapsed_s) if 0 <= done <= total else None


def _range_length(node: ast.expr, names: Mapping[str, Any]) -> int | None:
    """Return how often ``for … in range(…)`` (also in ``enumerate`` or ``tqdm``) turns, if the text says it."""
    if not isinstance(node, ast.Call):
        return None
    name = callee_name(node)
    if name in {"enumerate", "tqdm", "trange", "track"} and node.args and name != "trange":
        return _range_length(node.args[0], names)
    if name not in {"range", "trange"} or not node.args or len(node.args) > 3:
        return None
    values = [value_of(argument, names) for argument in node.args]
    if not all(isinstance(value, int) for value in values) or (len(values) == 3 and values[2] == 0):
        return None
    return len(range(*values))


def expected_steps(tree: ast.AST | None, names: Mapping[str, Any]) -> int | None:
    """Return how many steps a loop that logs metrics will take, as far as the text of the cell says it.

    Parameters
    ----------
    tree
        The parsed cell.
    names
        The user's variables.
    """
    if tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.AsyncFor)):
            inner = (part for part in ast.walk(node) if isinstance(part, ast.Call))
            if any(callee_name(call) in _LOGGING for call in inner):
                length = _range_length(node.iter, names)
                if length:
                    return length
    for node in ast.walk(tree):  # train(epochs=20), or EPOCHS = 20 for a function that loops
        if isinstance(node, ast.keyword) and node.arg in _TOTALS:
            value = value_of(node.value, names)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = literal(node.value) if node.targets[0].id.lower() in _TOTALS else MISSING
        else:
            continue
        if isinstance(value, int) and value > 0:
            return value
    return None


def from_steps(steps: int, total: int | None, elapsed_s: float) -> dict[str, Any] | None:
    """Return the progress that logged metrics tell: `steps` of `total` values."""
    return _progress(float(steps), float(total), "step", "log_metric", elapsed_s) if total and steps else None
