"""Everything that one can get wrong: one message each, the same in Python, on the command line and in the panel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import nbtrack
from nbtrack import registry
from nbtrack.cli import cli
from nbtrack.errors import NbtrackError
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

# What is asked: in Python, on the command line, in the panel (None: it cannot be asked there); and what is told.
Case = tuple[Callable[[], Any], list[str] | None, dict[str, Any] | None, str]
PROMOTE = ["models", "promote", "--yes"]

CASES: dict[str, Case] = {
    "unknown model": (
        lambda: nbtrack.promote("nobody", 1, "Staging"),
        [*PROMOTE, "nobody", "1", "Staging"],
        {"op": "promote", "name": "nobody", "version": 1, "stage": "Staging"},
        r"no registered model of this name .*; there are: 'clf'\. nbtrack\.register_model\(URI, NAME\) makes one",
    ),
    "unknown stage": (
        lambda: nbtrack.promote("clf", 1, "Live"),
        [*PROMOTE, "clf", "1", "Live"],
        {"op": "promote", "name": "clf", "version": 1, "stage": "Live"},
        r"stage: expected one of None, Staging, Production, Archived, got 'Live'",
    ),
    "unknown version": (
        lambda: nbtrack.promote("clf", 9, "Staging"),
        [*PROMOTE, "clf", "9", "Staging"],
        {"op": "promote", "name": "clf", "version": 9, "stage": "Staging"},
        r"there is no version 9; its versions are: 3, 2, 1",
    ),
    "no version": (
        lambda: nbtrack.promote("clf", "newest", "Staging"),
        [*PROMOTE, "clf", "newest", "Staging"],
        None,
        r"expected a version number such as 3, got 'newest'",
    ),
    "unknown gate": (
        lambda: nbtrack.promote("clf", 1, "Staging", require="is nice"),
        [*PROMOTE, "clf", "1", "Staging", "--require", "is nice"],
        {"op": "set_gates", "name": "clf", "stage": "Staging", "gates": ["is nice"]},
        r"gate: expected 'METRIC >= NUMBER', .*'approved by NAME' or 'approved by another person', got 'is nice'",
    ),
    "unknown specifier": (
        lambda: nbtrack.set_policy("PROD", "newest"),
        ["models", "policy", "PROD", "newest"],
        None,
        r"expected a version specifier such as '<=1\.0' or '>=1\.0,<=2\.0', got 'newest'",
    ),
    "unknown environment": (
        lambda: nbtrack.select_best("clf", "accuracy", ([[0.0]], [0]), "PROD"),
        None,
        None,
        r"it has no policy; the policies are: none\. .*set_policy\('PROD', '<=1\.0'\) sets one",
    ),
    "unknown alias": (
        lambda: nbtrack.load_model("models:/clf@best"),
        None,
        None,
        r"no alias 'best'; its aliases are: none",
    ),
    "nobody in the stage": (
        lambda: nbtrack.load_model("models:/clf/Production"),
        ["models", "check", "models:/clf/Production"],
        {"op": "serve", "model_uri": "models:/clf/Production"},
        r"no version of 'clf' is there now; it has .* nbtrack\.promote\('clf', VERSION, STAGE\) moves one",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mistake_is_told_the_same_everywhere(three: Store, case: str) -> None:
    act, command, request, told = CASES[case]
    before = registry.last_commit("clf")
    with pytest.raises(NbtrackError, match=told):
        act()
    if command is not None:
        done = CliRunner().invoke(cli, [*command, "--store", three.uri])
        assert done.exit_code == 1 and re.search(told, done.stderr) and "Traceback" not in done.output, done.output
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    if request is not None:
        reply = msgspec.json.decode(answer_json(three, msgspec.json.encode(request)), type=dict[str, Any])
        assert reply["ok"] is False and re.search(told, reply["error"]["message"]), reply
    assert registry.last_commit("clf") == before


NAMES = {
    "a/b": r"'/' is not allowed",
    "a:b": r"':' is not allowed",
    "a@b": r"'@' is not allowed",
    "a\\b": r"'\\\\' is not allowed",
    " a": r"must not start with a dot, or start or end with a space",
    "a ": r"must not start with a dot, or start or end with a space",
    "   ": r"expected at least one visible character",
    "": r"expected at least one visible character",
    "x" * 300: r"too long; expected at most 250 characters, got 300 .*Shorten it",
    "a\nb": r"control character '\\n' at position 1",
    ".a": r"must not start with a dot",
}


@pytest.mark.parametrize("name", NAMES)
def test_name_that_cannot_be_is_refused_the_same_everywhere(three: Store, log: Callable[..., str], name: str) -> None:
    uri = log()
    run_id = uri.split("/")[1]
    for act in (
        lambda: nbtrack.register_model(uri, name),
        lambda: registry.create_model(name),
        lambda: nbtrack.Client().create_registered_model(name),
        lambda: registry.rename_model("clf", name),
    ):
        with pytest.raises(NbtrackError, match=f"model name: .*{NAMES[name]}"):
            act()
    request = {"op": "register", "run_id": run_id, "name": name}
    reply = msgspec.json.decode(answer_json(three, msgspec.json.encode(request)), type=dict[str, Any])
    assert reply["error"]["code"] == "invalid" and re.search(NAMES[name], reply["error"]["message"])
    assert [model.name for model in nbtrack.list_models()] == ["clf"]


def test_name_with_inner_spaces_is_fine(store: Store, log: Callable[..., str]) -> None:
    nbtrack.register_model(log(), "red wine")
    assert nbtrack.load_model("models:/red wine/1") is not None


def test_what_is_already_there_is_said_and_is_no_error(three: Store) -> None:
    nbtrack.promote("clf", 1, "Staging")
    assert nbtrack.promote("clf", 1, "Staging").text == "v1 is in Staging already"
    done = CliRunner().invoke(cli, ["models", "promote", "clf", "1", "Staging", "--store", three.uri])
    assert done.exit_code == 0 and done.stdout == "clf: nothing to do, it is there already\n"
    request = {"op": "promote", "name": "clf", "version": 1, "stage": "Staging"}
    reply = msgspec.json.decode(answer_json(three, msgspec.json.encode(request)), type=dict[str, Any])
    assert reply["answer"]["changes"] == [] and reply["answer"]["text"] == "v1 is in Staging already"


def test_path_that_is_no_model_says_which_models_there_are(three: Store, log: Callable[..., str]) -> None:
    run_id = log(name="forest").split("/")[1]
    told = r"is not a model; expected the path of a logged model, and this run logged: 'forest'\. .*log_model"
    with pytest.raises(NbtrackError, match=told):
        nbtrack.register_model(f"runs:/{run_id}/plots", "clf")
    done = CliRunner().invoke(cli, ["models", "register", f"runs:/{run_id}/plots", "clf", "--store", three.uri])
    assert done.exit_code == 1 and re.search(told, done.stderr)
    request = {"op": "register", "run_id": run_id, "name": "clf", "artifact_path": "plots"}
    reply = msgspec.json.decode(answer_json(three, msgspec.json.encode(request)), type=dict[str, Any])
    assert re.search(told, reply["error"]["message"])
