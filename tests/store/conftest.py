"""Lets pytest explain failed assertions in the modules that hold the promises, too."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.store.promises", "tests.store.contract", "tests.store.verify")
