"""Real models in a real store, and one real server for each, shared by the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import nbtrack
from nbtrack.serving import ModelServer
from nbtrack.store import open_store
from nbtrack.store.base import Store

from .helpers import Served, log


@pytest.fixture(scope="session")
def shared_runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the records of the shared servers lie: no other test of this session is to find them."""
    return tmp_path_factory.mktemp("runtime") / "servers"


@contextmanager
def recorded_in(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTRACK_RUNTIME_DIR", str(folder))
        yield


@contextmanager
def shared_server(folder: Path, uri: str, store: Store) -> Iterator[ModelServer]:
    with recorded_in(folder):
        server = nbtrack.serve(uri, store=store)
    yield server
    with recorded_in(folder):
        server.stop()


@pytest.fixture(autouse=True)
def own_records(shared_runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_RUNTIME_DIR", str(shared_runtime))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("serving") / ".nbtrack")


@pytest.fixture(scope="session")
def wine_data() -> tuple[pd.DataFrame, pd.Series]:
    wine = load_wine(as_frame=True)
    return wine.data, wine.target


@pytest.fixture(scope="session")
def wine_model(wine_data: tuple[pd.DataFrame, pd.Series]) -> RandomForestClassifier:
    return RandomForestClassifier(10, random_state=0, n_jobs=-1).fit(*wine_data)


@pytest.fixture(scope="session")
def wine_uri(store: Store, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]) -> str:
    return log(store, wine_model, "wine", wine_data[0].head(3))


@pytest.fixture(scope="session")
def wine(
    shared_runtime: Path, store: Store, wine_uri: str, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]
) -> Iterator[Served]:
    """A forest fitted on a frame of 13 doubles."""
    with shared_server(shared_runtime, wine_uri, store) as server:
        yield Served(wine_model, wine_data[0], server)


def mixed_frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, 200),
            "city": rng.choice(["Rome", "Oslo", "Köln, Dom"], 200),
            "member": rng.random(200) < 0.5,
            "score": rng.normal(size=200),
            "since": pd.date_range("2020-01-01", periods=200, freq="D").astype("datetime64[ns]"),
            "level": rng.integers(0, 9, 200).astype("int32"),
            "rate": rng.random(200).astype("float32"),
        }
    )
    frame.loc[::7, "score"] = np.nan
    return frame


@pytest.fixture(scope="session")
def mixed(shared_runtime: Path, store: Store) -> Iterator[Served]:
    """A pipeline that sees every type of column, and missing values."""
    frame = mixed_frame()
    target = (frame["age"] + frame["score"].fillna(0) * 9 + (frame["city"] == "Rome") * 30 > 60).astype(int)
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False), ["city"]),
            ("passthrough", ["age", "member", "score", "level", "rate"]),
        ),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
    ).fit(frame, target)
    with shared_server(shared_runtime, log(store, model, "mixed", frame.head(8)), store) as server:
        yield Served(model, frame, server)


@pytest.fixture(scope="session")
def array(shared_runtime: Path, store: Store) -> Iterator[Served]:
    """A regression fitted on an array without names."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(50, 3))
    model = LinearRegression().fit(data, data @ [1.0, -2.0, 0.5] + rng.normal(size=50))
    with shared_server(shared_runtime, log(store, model, "array", data[:2]), store) as server:
        yield Served(model, data, server)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of records, so that nothing but this test's servers is there."""
    folder = tmp_path / "runtime"
    monkeypatch.setenv("NBTRACK_RUNTIME_DIR", str(folder))
    return folder
