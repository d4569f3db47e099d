"""A store, a canary beside it, and somebody else's view of one's models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

SECRET = "canary-5ab1e"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    return open_store(tmp_path / "store")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file outside of the store that must be neither read nor touched."""
    path = tmp_path / "canary.txt"
    path.write_text(SECRET)
    yield path
    assert path.read_text() == SECRET


@pytest.fixture
def ask(store: Store) -> Callable[..., dict[str, Any]]:
    """Asks as a widget or a panel does; returns the envelope."""

    def call(op: str, **fields: Any) -> dict[str, Any]:
        reply = answer_json(store, msgspec.json.encode({"op": op, **fields}))
        assert SECRET.encode() not in reply and b"Traceback" not in reply
        return msgspec.json.decode(reply, type=dict[str, Any])

    return call


@pytest.fixture(scope="session")
def wine() -> tuple[Any, Any]:
    return load_wine(return_X_y=True, as_frame=True)


@pytest.fixture
def tree(wine: tuple[Any, Any]) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(*wine)
