"""Every estimator that scikit-learn has: logged as it stands, loaded back, and by a stranger."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import all_estimators

import nbtrack
from nbtrack.errors import IntegrityError, UntrustedModelError
from nbtrack.models.safe_pickle import loads
from nbtrack.store.base import Store

X = np.abs(np.random.default_rng(0).normal(size=(30, 4))) + 0.1
Y = np.arange(30) % 3
# Not loaded from strangers: trees of neighbours, whose indices compiled code believes; functions as parameters; and two
# with helpers of their own. Whoever trusts their author names the digest.
NOT_FROM_STRANGERS = {
    *("Isomap", "KernelDensity", "LocallyLinearEmbedding", "NearestNeighbors", "KNeighborsClassifier"),
    *("KNeighborsRegressor", "KNeighborsTransformer", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor"),
    *("RadiusNeighborsTransformer", "FeatureAgglomeration", "GenericUnivariateSelect", "SelectFdr", "SelectFpr"),
    *("SelectFwe", "SelectKBest", "SelectPercentile", "BisectingKMeans", "Birch", "SplineTransformer"),
}
TEXTS = [f"good wine number {n}" for n in range(30)]


def fitted() -> Iterator[tuple[str, Any]]:
    """Each estimator that can be fitted with its defaults on some data."""
    from sklearn.linear_model import LogisticRegression, Ridge

    for name, kind in all_estimators():
        for arguments in ({}, {"estimator": LogisticRegression()}, {"estimator": Ridge()}):
            try:
                model = kind(**arguments)
            except TypeError:
                continue
            for data, target in ((X, Y), (X[:, 0], Y), (TEXTS, Y), (X, np.c_[Y, Y] % 2), (X[:, :2], X[:, 2:])):
                try:
                    model.fit(data, target)
                except Exception:
                    continue
                yield name, model
                break
            else:
                continue
            break


def test_every_estimator_of_scikit_learn_is_logged_and_comes_back(store: Store) -> None:
    seen, refused, strange = 0, [], {}
    with warnings.catch_warnings(), nbtrack.start_run() as run:
        warnings.simplefilter("ignore")
        for name, model in fitted():
            seen += 1
            try:
                info = nbtrack.log_model(model, name)
                again = nbtrack.load_model(info.model_uri)
            except Exception as error:
                refused.append(f"{name}: {type(error).__name__}: {error}")
                continue
            assert type(again) is type(model)
            if hasattr(model, "predict") and getattr(model, "n_features_in_", 0) == X.shape[1]:
                # the last bit of a sum may differ where arrays lie elsewhere in memory
                mine, theirs = (np.asarray(one.predict(X), dtype=float) for one in (again, model))
                assert np.allclose(mine, theirs, rtol=1e-9, atol=0, equal_nan=True), name
            try:
                loads(pickle.dumps(model, protocol=5), name)
            except (UntrustedModelError, IntegrityError) as error:
                strange[name] = str(error)
    assert refused == []
    assert seen > 150 and run.run_id
    assert set(strange) <= NOT_FROM_STRANGERS, strange
