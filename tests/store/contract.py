"""Every promise of ``nbtrack.store.base``, as one class of tests that each store inherits.

A store's own test file gives the fixture `store` and the helpers below. Helpers that look at bytes must not use the
store's own code: a store that misreads what it miswrote would pass otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytest

from nbtrack.store.base import Store

from .promises.artifacts import ArtifactPromises
from .promises.care import CarePromises
from .promises.commits import CommitPromises
from .promises.experiments import ExperimentPromises
from .promises.metrics import MetricPromises
from .promises.names import NamePromises
from .promises.query import QueryPromises
from .promises.runs import RunPromises
from .promises.search import SearchPromises
from .promises.table import TablePromises
from .promises.views import ViewPromises


class StoreContract(
    ExperimentPromises,
    RunPromises,
    MetricPromises,
    ArtifactPromises,
    SearchPromises,
    QueryPromises,
    TablePromises,
    ViewPromises,
    CommitPromises,
    CarePromises,
    NamePromises,
):
    """Inherit this, give the five helpers, and every promise is tested."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> Store:
        """Return an empty store of its own for each test."""

    @abstractmethod
    def fresh(self, store: Store) -> Store:
        """Return another object on the same data, as another process would have it: nothing cached."""

    @abstractmethod
    def raw_records(self, store: Store, run_id: str) -> list[Any]:
        """Return what the first log of a run holds, one value a line, read by nothing but ``json``."""

    @abstractmethod
    def raw_blob(self, store: Store, digest: str) -> bytes:
        """Return the bytes of a blob as they lie on the disk."""

    @abstractmethod
    def harm_blob(self, store: Store, digest: str) -> None:
        """Change one byte of a blob on the disk."""
