"""Rules of models, what is said of them, and the best version, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nbtrack as nb
from nbtrack import registry
from nbtrack.store import Store

from .conftest import Command

Asked = Callable[..., Any]


@pytest.fixture
def wine(store: Store, tmp_path: Path) -> Store:
    """The model ``wine`` with two real versions, and ``test.csv`` to score them on."""
    from sklearn.datasets import load_wine
    from sklearn.dummy import DummyClassifier
    from sklearn.tree import DecisionTreeClassifier

    data, target = load_wine(return_X_y=True, as_frame=True)
    data.assign(kind=target).to_csv(tmp_path / "test.csv", index=False)
    nb.set_tracking_uri(store.uri)
    for model, accuracy in ((DummyClassifier(), 0.4), (DecisionTreeClassifier(max_depth=3, random_state=0), 0.9)):
        with nb.start_run():
            nb.log_param("depth", getattr(model, "max_depth", None))
            nb.log_metric("accuracy", accuracy)
            nb.log_model(model.fit(data, target), input_example=data, registered_model_name="wine")
    return store


def test_gates_are_set_shown_and_refuse_with_both_numbers(wine: Store, nbtrack: Command, asked: Asked) -> None:
    assert nbtrack("models", "gates", "wine").stdout == "wine: no gates\n"
    gate = "accuracy >= 0.5"
    assert nbtrack("models", "gates", "wine", "production", gate).stdout == f"wine Production: {gate}\n"
    preview = nbtrack("models", "promote", "wine", 1, "Production", "--preview")
    assert f"refused by gate '{gate}': v1 has accuracy 0.4, asked is >= 0.5" in preview.stdout
    refused = nbtrack("models", "promote", "wine", 1, "Production", "--yes")
    assert refused.exit_code == 1 and "v1 has accuracy 0.4, asked is >= 0.5" in refused.stderr
    told = asked("models", "promote", "wine", 2, "Production", "--preview")
    assert told["gates"] == [{"gate": gate, "passed": True, "found": "v2 has accuracy 0.9", "asked": "asked is >= 0.5"}]
    assert asked("models", "gates", "wine", "Production", "--none")["gates"] == {}
    assert nbtrack("models", "promote", "wine", 1, "Production", "--yes").exit_code == 0
    assert "Name it before --none" in nbtrack("models", "gates", "wine", "--none").stderr


def test_approval_stages_alias_rename_and_trash(wine: Store, nbtrack: Command, asked: Asked) -> None:
    assert "approved by" in nbtrack("models", "approve", "wine", 2, "Production", "--note", "looked at it").stdout
    assert asked("models", "approve", "wine", 2, "Production", "--withdraw")["approvals"] == {}
    assert nbtrack("models", "stages", "wine", "Dev", "Production").stdout == "wine: None, Dev, Production, Archived\n"
    nbtrack("models", "promote", "wine", 2, "dev")
    assert "Dev" in nbtrack("models", "list").stdout
    assert "v2 is in Dev" in nbtrack("models", "stages", "wine", "--usual").stderr
    assert nbtrack("models", "alias", "wine", "champion", 2).stdout == "wine: @champion v2\n"
    assert asked("models", "alias", "wine", "champion", "--none")["aliases"] == {}
    assert nbtrack("models", "rename", "wine", "grape").stdout == "wine: renamed to grape\n"
    assert nbtrack("models", "delete", "grape", 1).stdout == "grape: version 1 is in the trash\n"
    assert nbtrack("models", "restore", "grape", 1).exit_code == nbtrack("models", "delete", "grape").exit_code == 0
    assert "it is in the trash" in nbtrack("models", "show", "grape").stderr
    assert asked("models", "restore", "grape")["deleted"] is False
    history = asked("models", "history", "grape")["commits"]
    assert history[-3]["note"] == "looked at it" and history[-3]["text"].startswith("v2 approved for Production by")


def test_best_version_of_an_environment(wine: Store, nbtrack: Command, asked: Asked, tmp_path: Path) -> None:
    assert nbtrack("models", "policy").stdout == "no policies\n"
    assert nbtrack("models", "policy", "prod", "<=1.0").stdout == "PROD: <=1.0\n"
    assert "expected a version specifier" in nbtrack("models", "policy", "prod", "newest").stderr
    assert nbtrack("models", "line", "wine", 1, "1.0").stdout == "wine: v1 is of the code line 1.0\n"
    nbtrack("models", "line", "wine", 2, "2.0")
    question = ("models", "best", "wine", "--metric", "accuracy", "--data", "test.csv", "--target", "kind")
    first = asked(*question, "--environment", "PROD", "--promote", "Production")
    assert (first["best"], first["refused"]) == (1, {"2": "its code line 2.0 does not fit <=1.0"})
    assert first["promotion"] == "v1 → Production" and first["comparable"]
    assert asked("models", "policy", "prod", "<=2.0")["policies"] == {"PROD": "<=2.0"}
    assert asked(*question, "--environment", "PROD")["best"] == 2
    lines = (tmp_path / "test.csv").read_text().splitlines(keepends=True)
    (tmp_path / "test.csv").write_text("".join(lines[:100]))
    again = nbtrack(*question, "--environment", "PROD")
    assert "v2 is the best for PROD by accuracy" in again.stdout and "not comparable" in again.stdout
    assert "has no column 'colour'" in nbtrack(*question[:-1], "colour").stderr
    record = registry.get_model("wine", store=wine).decisions["PROD"]
    assert record["best"] == 2 and set(record["scores"]) == {"1", "2"} and record["policy"] == "<=2.0"


def test_diff_and_check_of_versions(wine: Store, nbtrack: Command, asked: Asked) -> None:
    found = {
        (row["kind"], row["key"]): (row["a"], row["b"])
        for row in asked("models", "diff", "wine", 1, "v2")["differences"]
    }
    assert found[("metric", "accuracy")] == ("0.4", "0.9")
    assert found[("param", "depth")] == ("None", "3")
    assert found[("model", "class")][1].endswith("DecisionTreeClassifier")
    assert ("input", "alcohol") not in found
    assert "accuracy" in nbtrack("models", "diff", "wine", 1, 2).stdout
    assert nbtrack("models", "diff", "wine", 2, 2).stdout == "wine: nothing is different\n"
    assert "every byte verified" in nbtrack("models", "check", "models:/wine/2").stdout
    told = asked("models", "check", "models:/wine/2")
    assert (told["own"], told["differences"], told["severity"]) == (True, [], "note")


def test_model_is_shown_as_it_was(wine: Store, asked: Asked, nbtrack: Command) -> None:
    nbtrack("models", "promote", "wine", 1, "Staging")
    then = registry.history("wine", store=wine)[0].at_ms
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(then / 1000 + 0.0005, UTC).isoformat()
    nbtrack("models", "undo", "wine")
    shown = {v["version"]: v["stage"] for v in asked("models", "show", "wine", "--at", moment)["versions"]}
    assert shown in ({1: "Staging", 2: "None"}, {1: "None", 2: "None"})
    assert "no such model at" in nbtrack("models", "show", "wine", "--at", "2020-01-01").stderr
