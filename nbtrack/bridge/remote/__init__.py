"""A team's MLflow server as a store: ``nbtrack.set_tracking_uri("http://host:5000")``."""

from nbtrack.bridge.remote.rest import ServerAwayError, ServerRefusedError
from nbtrack.bridge.remote.store import RemoteStore, in_use, open_remote

__all__ = ["RemoteStore", "ServerAwayError", "ServerRefusedError", "in_use", "open_remote"]
