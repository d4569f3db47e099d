"""Models: saved with a manifest of what they need and accept; loaded only as their bytes were saved."""

from nbtrack.models.loading import LoadedModel, load_bundle, load_model, predict
from nbtrack.models.saving import log_model, save_model
from nbtrack.models.signature import infer_signature

__all__ = ["LoadedModel", "infer_signature", "load_bundle", "load_model", "log_model", "predict", "save_model"]
