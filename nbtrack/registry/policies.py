"""Environment policies: which line of versions an environment may pick from, such as ``PROD: <=1.0``.

A version carries the line of code that it was made with (a tag, such as 1.0 or 2.0). A policy is a version specifier
of PEP 440 for an environment, kept for the whole store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import DEFAULT_EXPERIMENT_ID, ModelVersion
from nbtrack.errors import InvalidInputError, InvalidNameError, NotFoundError
from nbtrack.registry.edits import edit_version
from nbtrack.registry.models import TAG_LINE, get_model, the_store

if TYPE_CHECKING:
    from nbtrack.store.base import Store

_POLICY: Final = "nbtrack.policy."  # tags of the default experiment: the one thing every store has for itself
_ENVIRONMENT = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


def _specifier(text: object, what: str) -> Any:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if not isinstance(text, str) or not text.strip():
            raise InvalidSpecifier
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise InvalidInputError(
            f"{what}: expected a version specifier such as '<=1.0' or '>=1.0,<=2.0', got {repr(text)[:80]}."
        ) from None


def _checked_environment(environment: object) -> str:
    if not isinstance(environment, str) or not _ENVIRONMENT.fullmatch(environment):
        raise InvalidNameError(
            f"environment: expected a letter and then letters, digits, '-', '_' or '.', got {repr(environment)[:80]}."
        )
    return environment.upper()


def set_policy(environment: str, specifier: str | None, *, store: Store | None = None) -> None:
    """Let an environment pick only versions whose code line fits a specifier; None takes the policy away.

    Parameters
    ----------
    environment
        Its name, such as ``"PROD"``, in any case.
    specifier
        Such as ``"<=1.0"`` or ``">=1.0,<=2.0"`` (PEP 440).
    store
        The store; the one used now if not given.

    Raises
    ------
    InvalidInputError
        If the specifier cannot be read.

    Examples
    --------
    >>> nbtrack.registry.set_policy("PROD", "<=1.0")  # doctest: +SKIP
    """
    key = _POLICY + _checked_environment(environment)
    value = None if specifier is None else str(_specifier(specifier, "set_policy"))
    the_store(store).edit_experiment(DEFAULT_EXPERIMENT_ID, tags={key: value})


def get_policies(*, store: Store | None = None) -> dict[str, str]:
    """Return all policies: environment -> specifier."""
    tags = the_store(store).get_experiment(DEFAULT_EXPERIMENT_ID).tags
    return {key.removeprefix(_POLICY): value for key, value in sorted(tags.items()) if key.startswith(_POLICY)}


def set_line(name: str, version: int | str, line: str, *, store: Store | None = None) -> ModelVersion:
    """Say which line of code a version was made with, such as ``"1.0"``; raises InvalidInputError.

    ``log_model(code_line=…)`` says it when the model is made.
    """
    return edit_version(name, version, tags={TAG_LINE: checked_line(line, "set_line")}, store=store)


def checked_line(line: object, what: str) -> str:
    """Return a line of code in its normal form; raises InvalidInputError."""
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(line))  # type: ignore[arg-type]
    except (InvalidVersion, TypeError):
        raise InvalidInputError(f"{what}: expected a version such as '1.0', got {repr(line)[:80]}.") from None


def why_not(version: ModelVersion, specifier: str) -> str | None:
    """Return why a policy keeps a version out; None if it does not."""
    line = version.tags.get(TAG_LINE)
    if line is None:
        return "it has no code line; nbtrack.registry.set_line gives it one"
    return why_line_not(line, specifier)


def why_line_not(line: str | None, specifier: str) -> str | None:
    """Return why a policy keeps a line of code out; None if it does not."""
    if line is None:
        return "it has no code line"
    if _specifier(specifier, "policy").contains(line, prereleases=True):
        return None
    return f"its code line {line} does not fit {specifier}"


def allowed_versions(
    name: str, environment: str | None, *, store: Store | None = None
) -> tuple[list[ModelVersion], dict[int, str]]:
    """Return the versions that an environment may pick, newest first, and of the others why not.

    Without an environment every version may be picked.

    Raises
    ------
    NotFoundError
        If the environment has no policy.
    """
    store = the_store(store)
    versions = [version for version in get_model(name, store=store).versions if not version.deleted]
    if environment is None:
        return versions, {}
    wanted = _checked_environment(environment)
    policies = get_policies(store=store)
    if wanted not in policies:
        known = ", ".join(f"{env}: {spec}" for env, spec in policies.items()) or "none"
        raise NotFoundError(
            f"environment {wanted!r}: it has no policy; the policies are: {known}."
            f" nbtrack.registry.set_policy({wanted!r}, '<=1.0') sets one."
        )
    refused = {v.version: why for v in versions if (why := why_not(v, policies[wanted])) is not None}
    return [version for version in versions if version.version not in refused], refused
