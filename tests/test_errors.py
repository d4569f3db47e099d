"""The exception tree, and how an error looks in a cell."""

from __future__ import annotations

import inspect
import re

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbtrack import errors

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]


def test_errors_tree_in_the_docstring_names_every_class_and_its_builtin() -> None:
    drawn = dict(re.findall(r"(\w+(?:Error|Warning))\s*(?:\((\w+)\))?", errors.__doc__ or ""))
    assert sorted(drawn) == sorted(cls.__name__ for cls in CLASSES)
    for name, builtin in drawn.items():
        if builtin:
            assert issubclass(getattr(errors, name), getattr(__import__("builtins"), builtin)), name


def test_errors_all_are_also_a_builtin_other_than_exception() -> None:
    roots = {errors.NbtrackError}
    for cls in set(CLASSES) - roots:
        assert any(base.__module__ == "builtins" and base not in (Exception, object) for base in cls.__mro__[1:-3]), cls


@pytest.fixture
def shell() -> InteractiveShell:
    return InteractiveShell()


def test_error_in_a_cell_shows_the_message_and_the_users_lines_only(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("from nbtrack.names import parse_model_uri\ndef load():\n    return parse_model_uri('nowhere')\n")
    result = shell.run_cell("x = 1\nload()")
    assert isinstance(result.error_in_exec, errors.InvalidNameError)
    shown = "".join(capsys.readouterr()).strip().splitlines()
    assert shown[0].startswith("InvalidNameError: model URI: expected runs:/RUN_ID/PATH")
    assert shown[1:] == ["  in this cell, line 2: load()", "  in load, line 3: return parse_model_uri('nowhere')"]


def test_error_raised_through_the_standard_library_shows_no_line_of_it(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell(
        "from contextlib import contextmanager\nfrom nbtrack.errors import NotFoundError\n"
        "@contextmanager\ndef ours():\n    try:\n        yield\n"
        "    except KeyError:\n        raise NotFoundError('gone') from None"
    )
    shell.run_cell("with ours():\n    {}['a']")
    shown = "".join(capsys.readouterr()).strip().splitlines()
    assert shown == [
        "NotFoundError: gone",
        "  in this cell, line 1: with ours():",
        "  in ours, line 8: raise NotFoundError('gone') from None",
    ]
