"""A shell with nbtrack loaded."""

from tests.capture.conftest import notebook, workdir

__all__ = ["notebook", "workdir"]
