"""What the flavors of boosted trees share: settings of their estimators as plain data, and a look at their trees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nbtrack.errors import IntegrityError
from nbtrack.models.flavors import pickled, unpickled

SETTINGS: Final = "settings.pkl"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    # NaN is no JSON; it is a default (missing=nan) that comes back by itself
    return value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and not math.isnan(value))


def split_settings(estimator: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the settings of an estimator that differ from their defaults: plain ones, and a file with the others.

    The others, such as an objective written in Python, matter for fitting again, not for predicting.
    """
    defaults = type(estimator)().get_params()
    found = {k: v for k, v in estimator.get_params().items() if k not in defaults or repr(defaults[k]) != repr(v)}
    found = {
        k: v.item() if type(v).__module__ == "numpy" and getattr(v, "ndim", 1) == 0 else v for k, v in found.items()
    }
    plain = {name: value for name, value in found.items() if _is_plain(value)}
    others = {name: value for name, value in found.items() if name not in plain}
    return plain, {SETTINGS: pickled(others, kind=type(estimator).__name__)} if others else {}


def with_settings(kind: type, plain: Any, files: Mapping[str, bytes], trusted: bool, what: str) -> Any:
    """Return an estimator of a class with the settings that :func:`split_settings` returned.

    A stranger's comes without those that are no plain data.
    """
    settings = dict(plain) if isinstance(plain, dict) else {}
    if trusted and SETTINGS in files:
        settings |= unpickled(files[SETTINGS], what)
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"{what}: {kind.__name__} does not take the settings recorded ({error}).") from None


def check_tree(left: Sequence[int], right: Sequence[int], feature: Sequence[int], features: int, what: str) -> None:
    """Raise IntegrityError unless these arrays form a tree.

    Parameters
    ----------
    left, right
        The children of each node, -1 where there is none; node 0 is the root.
    feature
        The feature that each node asks for.
    features
        How many there are.
    what
        Which model it is, for messages.
    """
    count = len(left)
    seen = bytearray(count)
    stack = [0]
    good = count > 0 and len(right) == count and len(feature) == count
    while good and stack:
        node = stack.pop()
        if not 0 <= node < count or seen[node]:
            good = False
            break
        seen[node] = 1
        if (left[node] == -1) != (right[node] == -1):
            good = False
        elif left[node] != -1:
            good = 0 <= feature[node] < features
            stack += (left[node], right[node])
    if not good:
        raise IntegrityError(
            f"{what}: the nodes of one of its trees do not form a tree; using it could crash this process. Do not trust"
            " whoever made it."
        )
