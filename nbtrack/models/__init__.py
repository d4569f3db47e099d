"""Models: a fitted model as files with a manifest, and back, verified and safe by default."""

from nbtrack.models.environment import Difference, Environment
from nbtrack.models.files import ModelFiles, read_model
from nbtrack.models.loading import Loaded, load_bundle, load_model, predict
from nbtrack.models.saving import log_model, save_model
from nbtrack.models.selection import Decision, select_best
from nbtrack.models.signature import conform, infer_signature

__all__ = [
    "Decision",
    "Difference",
    "Environment",
    "Loaded",
    "ModelFiles",
    "conform",
    "infer_signature",
    "load_bundle",
    "load_model",
    "log_model",
    "predict",
    "read_model",
    "save_model",
    "select_best",
]
