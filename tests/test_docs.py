"""Docstrings: every example runs, every public name explains itself, every module says what it is for."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import nbtrack

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(nbtrack.__path__, "nbtrack.")
    if not module.name.endswith("__main__")
    and not module.name.startswith("nbtrack.bridge.plugin.")  # they need MLflow, which is tested elsewhere
)


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is_for_and_its_examples_are_true(name: str, tmp_path: object) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip() or not (getattr(module, "__all__", None) or vars(module).get("main")), name
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0
