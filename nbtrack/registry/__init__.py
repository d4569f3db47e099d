"""The model registry: versions, stages, aliases and their history. A model's commits are the only truth.

It knows models only by what their manifest says; loading them is the affair of ``nbtrack.models``.
"""

from nbtrack.registry.client import Client
from nbtrack.registry.edits import (
    delete_alias,
    delete_model,
    delete_version,
    edit_model,
    edit_version,
    restore_model,
    restore_version,
    set_alias,
)
from nbtrack.registry.models import (
    TAG_LINE,
    create_model,
    get_model,
    get_version,
    history,
    last_commit,
    list_models,
    register_model,
    resolve,
)
from nbtrack.registry.policies import allowed_versions, checked_line, get_policies, set_line, set_policy
from nbtrack.registry.renaming import rename_model
from nbtrack.registry.rules import approve, set_gates, set_stages
from nbtrack.registry.scores import ANY_ENVIRONMENT, record_decision
from nbtrack.registry.sources import digest_of, find_source, logged_models
from nbtrack.registry.stages import Promotion, formers, preview_promotion, promote
from nbtrack.registry.undoing import undo, undo_blockers
from nbtrack.registry.version_diff import VersionDifference, diff_versions
from nbtrack.registry.words import describe

__all__ = [
    "ANY_ENVIRONMENT",
    "TAG_LINE",
    "Client",
    "Promotion",
    "VersionDifference",
    "allowed_versions",
    "approve",
    "checked_line",
    "create_model",
    "delete_alias",
    "delete_model",
    "delete_version",
    "describe",
    "diff_versions",
    "digest_of",
    "edit_model",
    "edit_version",
    "find_source",
    "formers",
    "get_model",
    "get_policies",
    "get_version",
    "history",
    "last_commit",
    "list_models",
    "logged_models",
    "preview_promotion",
    "promote",
    "record_decision",
    "register_model",
    "rename_model",
    "resolve",
    "restore_model",
    "restore_version",
    "set_alias",
    "set_gates",
    "set_line",
    "set_policy",
    "set_stages",
    "undo",
    "undo_blockers",
]
