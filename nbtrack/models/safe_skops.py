"""The skops format, as MLflow writes it: a zip of JSON and arrays that names its types.

skops builds nothing but the types that it or the caller trusts. What it does not trust by itself is held against the
same list as a stranger's pickle, and what came out is looked through in the same way: its arrays may be forged.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any, Final

from nbtrack.errors import IntegrityError, UntrustedModelError
from nbtrack.models.flavors import need
from nbtrack.models.safe_pickle import ALLOWED, check_parts

_MIN_VERSION: Final = (0, 13)  # those before could be made to run code that they had not named
_ROOM_BYTES: Final = 64 << 20  # unpacked, any archive may have so much
_MOST_TIMES: Final = 20  # and a larger one so many times its own size
# Types that skops wants to be told of and that may be in a stranger's model: a fixed list, never what a file asks for.
TRUSTED: Final = tuple(sorted(f"{module}.{name}" for module, names in ALLOWED.items() for name in names))


def loads(data: bytes, what: str, trusted: bool = False) -> Any:
    """Return the estimator that a skops file holds.

    Parameters
    ----------
    data
        The file.
    what
        Which model it is, for messages.
    trusted
        Whether its author is trusted with types of his own.

    Raises
    ------
    UntrustedModelError
        If it names a type that is not on the list; the message says which.
    IntegrityError
        If it is no whole file, unpacks to far more than it is, or holds arrays that would crash this process.
    """
    io_module = need("skops.io", "skops")
    _check_version()
    _check_size(data, what)
    try:
        asked = sorted(set(io_module.get_untrusted_types(data=data)))
    except Exception as error:  # a file that is none can make it raise anything
        raise _unreadable(what, error) from None
    refused = [] if trusted else [name for name in asked if name not in TRUSTED]
    if refused:
        raise UntrustedModelError(
            f"{what}: its skops file names {refused[0][:200]!r}, which could run a stranger's code; this model was"
            " not logged by you on this machine, so only scikit-learn's own estimators and arrays are loaded from it."
            " If you trust its author, load it with the trust= argument."
        )
    try:
        model = io_module.loads(data, trusted=[*TRUSTED, *asked] if trusted else list(TRUSTED))
    except Exception as error:
        raise _unreadable(what, error) from None
    check_parts(model, what)
    return model


def _unreadable(what: str, error: Exception) -> IntegrityError:
    return IntegrityError(f"{what}: its skops file cannot be read ({type(error).__name__}: {str(error)[:200]}).")


def _check_version() -> None:
    from importlib.metadata import version

    here = version("skops")
    if tuple(int(part) for part in here.split(".")[:2]) < _MIN_VERSION:
        raise UntrustedModelError(f"skops {here} can be made to run a stranger's code. Run: pip install 'skops>=0.13'")


def _check_size(data: bytes, what: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise _unreadable(what, error) from None
    if unpacked > max(_ROOM_BYTES, _MOST_TIMES * len(data)):
        raise IntegrityError(
            f"{what}: its skops file of {len(data):,} bytes unpacks to {unpacked:,}. That is no model; do not trust"
            " whoever made it."
        )
    if len(set(names)) != len(names):
        raise IntegrityError(f"{what}: its skops file holds two entries of one name. Do not trust whoever made it.")
