"""What the notebook gives for free: cells, params, metrics, models, the environment; without secrets."""

from nbtrack.capture.tracker import CellTracker

__all__ = ["CellTracker"]
