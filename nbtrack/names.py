"""The grammar of everything a user can name, and the ``runs:/`` and ``models:/`` URIs.

Names arrive from notebooks, command lines, web pages and foreign stores. They are checked here, once, at the door;
behind it every room may rely on them. A name is text for people: no name ever becomes a file name as it stands
(see :func:`to_filename`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from nbtrack.errors import InvalidNameError

MAX_NAME: Final = 250
MAX_KEY: Final = 250
MAX_PATH: Final = 1000
STAGES: Final = ("None", "Staging", "Production", "Archived")

_RUN_ID = re.compile(r"[0-9a-f]{21}|[0-9a-f]{32}")  # ours; 32 is what MLflow and other stores use
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAFE_FILENAME: Final = "-_ "
_WINDOWS_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_DIGITS = re.compile(r"([0-9]+)")
_DRIVE = re.compile(r"[A-Za-z]:")
_STAGE = re.compile(r"[A-Za-z](?:[A-Za-z0-9_. -]{0,58}[A-Za-z0-9])?")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(str(value)):,} characters)"


def _check_text(what: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise InvalidNameError(f"{what}: expected text, got {type(value).__name__} {_shown(value)}.")
    if not value or value.isspace():
        raise InvalidNameError(f"{what}: expected at least one visible character, got {value!r}.")
    if len(value) > limit:
        raise InvalidNameError(
            f"{what}: too long; expected at most {limit} characters, got {len(value):,} ({_shown(value)}). Shorten it;"
            " a long text belongs in a note or an artifact."
        )
    if found := _CONTROL.search(value):
        raise InvalidNameError(
            f"{what}: holds the control character {found.group()!r} at position {found.start()}; got {_shown(value)}."
            " Remove it."
        )
    return value


def check_run_name(value: object) -> str:
    """Return `value` if it may name a run.

    Raises
    ------
    InvalidNameError
        Unless it is text of 1 to 250 characters with no control character and no ``..`` path segment.
    """
    name = _check_text("run name", value, MAX_NAME)
    if ".." in name and ".." in re.split(r"[/\\]", name):
        raise InvalidNameError(
            f"run name: '..' is a path segment in {_shown(value)}; a run name also names exported folders."
            " Leave the '..' out."
        )
    return name


def check_experiment_name(value: object) -> str:
    """Return `value` if it may name an experiment (same grammar as a run name)."""
    name = _check_text("experiment name", value, MAX_NAME)
    if ".." in re.split(r"[/\\]", name):
        raise InvalidNameError(f"experiment name: '..' is a path segment in {_shown(value)}. Leave the '..' out.")
    return name


def check_model_name(value: object) -> str:
    """Return `value` if it may name a registered model.

    Raises
    ------
    InvalidNameError
        Unless it is text of 1 to 250 characters without ``/ \\ : @ % ? #``, control characters, outer spaces or a
        leading dot: those would make ``models:/name/1`` and ``models:/name@alias`` ambiguous.
    """
    name = _check_text("model name", value, MAX_NAME)
    if found := re.search(r"[/\\:@%?#]", name):
        raise InvalidNameError(
            f"model name: {found.group()!r} is not allowed in {_shown(value)}; it would make the URI"
            " models:/NAME/VERSION ambiguous. Use letters, digits, '-', '_', '.' or spaces."
        )
    if name != name.strip() or name.startswith("."):
        raise InvalidNameError(
            f"model name: must not start with a dot, or start or end with a space; got {_shown(value)}."
        )
    return name


def check_alias(value: object) -> str:
    """Return `value` if it may be an alias of a model version.

    Raises
    ------
    InvalidNameError
        Unless it is 1 to 250 letters, digits, ``-``, ``_`` or ``.``, and neither ``latest``, a number, ``v`` and a
        number, nor a stage.
    """
    name = _check_text("alias", value, MAX_NAME)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise InvalidNameError(f"alias: expected letters, digits, '-', '_' or '.', got {_shown(value)}.")
    if name.lower() == "latest" or re.fullmatch(r"[vV]?\d+", name) or name.lower() in {s.lower() for s in STAGES}:
        raise InvalidNameError(f"alias: {_shown(value)} already means a version or a stage. Choose another word.")
    return name


def check_key(value: object, what: str = "key") -> str:
    """Return `value` if it may be the key of a param, metric or tag: 1 to 250 characters, no control character."""
    return _check_text(what, value, MAX_KEY)


def check_run_id(value: object) -> str:
    """Return `value` if it has the form of a run id (21 or 32 lower-case hex digits).

    Raises
    ------
    InvalidNameError
        Otherwise; so an id can safely become part of a file name or a glob.
    """
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise InvalidNameError(
            f"run id: expected 21 or 32 lower-case hex digits, got {_shown(value)}."
            " `nbtrack runs list` shows the ids of this store."
        )
    return value


def check_artifact_path(value: object) -> str:
    """Return `value`, normalised, if it may be the path of an artifact under a run.

    Parameters
    ----------
    value
        A POSIX relative path, such as ``"plots/roc.png"``.

    Raises
    ------
    InvalidNameError
        For absolute paths, ``..``, empty segments, backslashes, drive letters, control characters, percent-encoded
        separators, or more than 1,000 characters.
    """
    path = _check_text("artifact path", value, MAX_PATH)
    what = f"artifact path {_shown(value)}"
    hint = "Use a relative path with '/' between its parts, such as 'plots/roc.png'."
    if "\\" in path:
        raise InvalidNameError(f"{what}: backslashes are not allowed. {hint}")
    if path.startswith("/") or _DRIVE.match(path):
        raise InvalidNameError(f"{what}: must be relative. {hint}")
    decoded = unquote(unquote(path))
    if decoded != path and re.search(r"[/\\\x00]|\.\.", decoded.replace(path, "")):
        raise InvalidNameError(f"{what}: percent-encoded separators are not allowed. {hint}")
    parts = path.rstrip("/").split("/")
    for part in parts:
        if part in {"", ".", ".."}:
            raise InvalidNameError(f"{what}: the segment {part!r} is not allowed. {hint}")
        if len(part.encode()) > 255:
            raise InvalidNameError(f"{what}: one segment has more than 255 bytes. Shorten it.")
    return "/".join(parts)


def check_stage(value: object, stages: tuple[str, ...] = STAGES) -> str:
    """Return the stage that `value` names, whatever its case.

    Raises
    ------
    InvalidNameError
        If it names none of `stages`.
    """
    if value is None:
        return "None"
    if isinstance(value, str):
        for stage in stages:
            if stage.lower() == value.strip().lower():
                return stage
    raise InvalidNameError(f"stage: expected one of {', '.join(stages)}, got {_shown(value)}.")


def check_new_stage(value: object) -> str:
    """Return `value` if it may name a stage, one of the four that are always known in their own spelling.

    Raises
    ------
    InvalidNameError
        Unless it is a letter, then up to 59 letters, digits, spaces, ``-``, ``_`` or ``.``, and neither ``latest`` nor
        ``v`` and a number.
    """
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not _STAGE.fullmatch(text):
        raise InvalidNameError(
            f"stage: expected a letter and then up to 59 letters, digits, spaces, '-', '_' or '.', got {_shown(value)}."
        )
    if text.lower() == "latest" or re.fullmatch(r"[vV][0-9]+", text):
        raise InvalidNameError(f"stage: {_shown(value)} already means a version. Choose another word.")
    return next((stage for stage in STAGES if stage.lower() == text.lower()), text)


def to_filename(name: str) -> str:
    """Return a file name for `name` that is safe and unique on Linux, macOS and Windows.

    Letters, digits, ``-``, ``_``, inner dots and inner spaces stay readable; everything else is percent-encoded, and
    so are names that Windows reserves. Very long names end in a hash.

    Examples
    --------
    >>> to_filename("clf-model"), to_filename("a b.c"), to_filename("CON"), to_filename("größe")
    ('clf-model', 'a b.c', '%43ON', 'gr%C3%B6%C3%9Fe')
    """
    safe = quote(name, safe=_SAFE_FILENAME)
    if _WINDOWS_RESERVED.fullmatch(safe) or safe[:1] in {".", " "}:
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if safe[-1:] in {".", " "}:
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    if len(safe) > 200:
        from hashlib import sha256

        safe = f"{safe[:120]}%~{sha256(name.encode()).hexdigest()[:32]}"
    return safe


@lru_cache(maxsize=8192)
def natural_key(name: str) -> tuple[object, ...]:
    """Return what sorts keys as people count: numbers in them by their size.

    Examples
    --------
    >>> sorted(["p10", "p2", "p1", "layer10.w", "layer9.w"], key=natural_key)
    ['layer9.w', 'layer10.w', 'p1', 'p2', 'p10']
    """
    parts: list[object] = list(_DIGITS.split(name))
    for at in range(1, len(parts), 2):
        digits = str(parts[at]).lstrip("0")
        parts[at] = len(digits), digits
    return tuple(parts), name  # p01 and p1 are two


@dataclass(frozen=True, slots=True)
class RunURI:
    """``runs:/<run_id>/<path>``: an artifact of a run."""

    run_id: str
    path: str

    def __str__(self) -> str:
        return f"runs:/{self.run_id}/{self.path}"


@dataclass(frozen=True, slots=True)
class ModelURI:
    """``models:/<name>/<version or stage or latest>`` or ``models:/<name>@<alias>``.

    Exactly one of `version`, `stage`, `alias` and `latest` is set.
    """

    name: str
    version: int | None = None
    stage: str | None = None
    alias: str | None = None
    latest: bool = False

    def __str__(self) -> str:
        if self.alias is not None:
            return f"models:/{self.name}@{self.alias}"
        return (
            f"models:/{self.name}/{'latest' if self.latest else self.stage if self.version is None else self.version}"
        )


def parse_model_uri(uri: object) -> RunURI | ModelURI:
    """Read a ``runs:/`` or ``models:/`` URI.

    Raises
    ------
    InvalidNameError
        If it is neither, or one of its parts breaks its grammar.

    Examples
    --------
    >>> parse_model_uri("models:/clf@champion")
    ModelURI(name='clf', version=None, stage=None, alias='champion', latest=False)
    >>> str(parse_model_uri("models:/clf/production"))
    'models:/clf/Production'
    """
    hint = (
        "expected runs:/RUN_ID/PATH, models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME/latest or"
        f" models:/NAME@ALIAS, got {_shown(uri)}."
    )
    if not isinstance(uri, str):
        raise InvalidNameError(f"model URI: {hint}")
    if uri.startswith("runs:/"):
        run_id, _, path = uri[len("runs:/") :].lstrip("/").partition("/")
        if not path:
            raise InvalidNameError(f"model URI: {hint}")
        return RunURI(check_run_id(run_id), check_artifact_path(path))
    if uri.startswith("models:/"):
        rest = uri[len("models:/") :].lstrip("/")
        if "@" in rest:
            name, _, alias = rest.partition("@")
            return ModelURI(check_model_name(name), alias=check_alias(alias))
        name, _, which = rest.rpartition("/")
        if not name or not which:
            raise InvalidNameError(f"model URI: {hint}")
        name = check_model_name(name)
        if re.fullmatch(r"[0-9]{1,9}", which):
            return ModelURI(name, version=int(which))
        if which.lower() == "latest":
            return ModelURI(name, latest=True)
        return ModelURI(name, stage=check_new_stage(which))  # whether this model has it, its registry knows
    raise InvalidNameError(f"model URI: {hint}")
