"""The page for people who have no Jupyter: what is in it, and what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

import nbtrack
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

SECRET = "lr = 0.1  # only for us"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    nbtrack.set_tracking_uri(str(tmp_path / "project" / ".nbtrack"))
    yield open_store(tmp_path / "project" / ".nbtrack")


def logged(name: str, accuracy: float) -> str:
    with nbtrack.start_run(run_name=name) as run:
        nbtrack.log_param("lr", 0.1)
        nbtrack.log_metric("accuracy", accuracy)
        for step in range(1000):
            nbtrack.log_metric("loss", 1 / (step + 1), step=step)
        nbtrack.log_image([[[255, 0, 0]] * 4] * 4, "figures/red.png")
        nbtrack.log_text("a,b", "data.csv")
        run.log_capture({"source": SECRET, "stdout": SECRET, "slice": {"cells": [{"source": SECRET}]}})
        run.log_capture({"error": SECRET, "git": {"diff": SECRET}, "data": [{"name": "df", "shape": [1, 2]}]})
        nbtrack.sklearn.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "model", input_example=[[0.5]])
    return run.run_id


def inside(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="nbtrack-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def test_report_holds_runs_models_curves_and_pictures_but_no_code(store: Store, tmp_path: Path) -> None:
    first, second = logged("one", 0.8), logged("two", 0.9)
    for run_id in (first, second):
        nbtrack.register_model(f"runs:/{run_id}/model", "clf")
    nbtrack.promote("clf", 1, "Production", note="first")
    nbtrack.promote("clf", 2, "Production", note="better")
    path = nbtrack.report(tmp_path / "out.html", store=store)
    page = path.read_text(encoding="utf-8")
    data = inside(page)
    assert data["title"] == "project: runs and models"
    assert data["runs"]["run_ids"] == [second, first]
    assert [v["stage"] for v in data["models"]["models"][0]["versions"]] == ["Production", "Archived"]
    assert data["histories"][0]["commits"][0]["note"] == "better"
    loss = next(one for one in data["series"] if one["key"] == "loss")
    assert (loss["count"], len(loss["step"]) <= 400) == (1000, True)
    assert [one["path"] for one in data["artifacts"]] == ["figures/red.png"] * 2
    assert [file["path"] for file in data["details"][0]["artifacts"]] == ["figures/red.png"]
    assert data["details"][0]["capture"]["data"][0]["name"] == "df"
    assert SECRET not in page
    assert str(tmp_path) not in page


def test_report_asks_nothing_of_any_network(store: Store, tmp_path: Path) -> None:
    logged("one", 0.8)
    page = nbtrack.report(tmp_path / "out.html", store=store).read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    assert "http" not in markup.replace("http-equiv", "")
    assert "src=" not in markup


def test_report_of_hostile_text_has_only_its_own_elements(store: Store, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!--"
    with nbtrack.start_run(run_name=hostile):
        nbtrack.log_param(hostile, hostile)
    page = nbtrack.report(tmp_path / "out.html", title=hostile, store=store).read_text(encoding="utf-8")
    assert page.count("</script") == 2
    assert "<!--" not in page.split("nbtrack-data")[1].split("</script>")[0]
    assert inside(page)["runs"]["columns"][0]["values"] == [hostile]


def test_report_of_chosen_runs_or_a_filter_leaves_out_the_others(store: Store, tmp_path: Path) -> None:
    low, high = logged("low", 0.2), logged("high", 0.9)
    chosen = nbtrack.report(tmp_path / "a.html", [low], title="Low ones", store=store)
    assert inside(chosen.read_text(encoding="utf-8"))["runs"]["run_ids"] == [low]
    good = nbtrack.report(tmp_path / "b.html", filter="metrics.accuracy > 0.5", store=store)
    assert inside(good.read_text(encoding="utf-8"))["runs"]["run_ids"] == [high]


def test_report_of_an_empty_store_is_a_page_all_the_same(store: Store, tmp_path: Path) -> None:
    page = nbtrack.report(tmp_path / "out.html", store=store).read_text(encoding="utf-8")
    assert inside(page)["runs"]["run_ids"] == []


def test_report_refuses_a_folder_and_an_unknown_experiment(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        nbtrack.report(tmp_path, store=store)
    with pytest.raises(NotFoundError, match="there is no 'nowhere'"):
        nbtrack.report(tmp_path / "x.html", experiment="nowhere", store=store)


def test_report_over_the_wire_is_a_page_with_the_name_of_a_file(store: Store) -> None:
    logged("one", 0.8)
    reply = json.loads(answer_json(store, b'{"op": "report", "title": "Wine / \\u202eq: 1"}'))
    assert reply["ok"], reply
    assert reply["answer"]["file_name"] == "Wine-q-1.html"
    assert reply["answer"]["html"].startswith("<!doctype html>")


def test_report_command_writes_the_file_and_says_how_large_it_is(store: Store, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from nbtrack.cli import cli

    logged("one", 0.8)
    target = tmp_path / "out.html"
    done = CliRunner().invoke(cli, ["report", str(target), "--store", store.uri, "--title", "For Monday"])
    assert done.exit_code == 0, done.output
    assert "Open it in any browser" in done.output
    assert inside(target.read_text(encoding="utf-8"))["title"] == "For Monday"
