"""Rows 1 to 7 of the list of attacks: paths, prefixes, sources, links, archives, names and ids. Try X, see Y."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import Client, registry
from nbtrack.entities import MANIFEST_NAME
from nbtrack.errors import (
    DamageWarning,
    IntegrityError,
    InvalidInputError,
    InvalidNameError,
    NbtrackError,
    NotFoundError,
)
from nbtrack.store import open_store
from nbtrack.store.base import Store

Ask = Callable[..., dict[str, Any]]

TRAVERSALS = [
    "../canary.txt",
    "..\\canary.txt",
    "a/../../canary.txt",
    "%2e%2e/canary.txt",
    "%2e%2e%2fcanary.txt",
    "%252e%252e%252fcanary.txt",
    "./../canary.txt",
    "/etc/passwd",
    "//etc/passwd",
    "C:\\canary.txt",
    "C:/canary.txt",
    "\\\\server\\share",
    "a\x00b",
    "a\nb",
    "",
    ".",
    "..",
    "a//b",
    "x" * 5000,
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_row_1_try_a_path_out_of_the_run_see_a_refusal(
    store: Store, canary: Path, ask: Ask, path: str, tmp_path: Path
) -> None:
    with nbtrack.start_run() as run:
        before = sorted(tmp_path.rglob("*"))
        for act in (
            lambda: nbtrack.log_text("x", path),
            lambda: nbtrack.log_artifact(str(canary), path) if path else nbtrack.log_text("x", path),
            lambda: nbtrack.log_dict({}, path),
        ):
            with pytest.raises(NbtrackError, match=r"artifact path|file"):
                act()
        assert [p for p in sorted(tmp_path.rglob("*")) if "store" not in p.parts] == [
            p for p in before if "store" not in p.parts
        ]
    for op, fields in (("artifact", {"path": path}), ("register", {"name": "m", "artifact_path": path})):
        reply = ask(op, run_id=run.run_id, **fields)
        assert reply["ok"] is False and reply["error"]["code"] in {"invalid", "not_found"}, reply
    with pytest.raises(NbtrackError, match=r"artifact path|model URI|no model|not a model"):
        nbtrack.load_model(f"runs:/{run.run_id}/{path}")


@pytest.mark.parametrize("path", ["a;/../../canary.txt", "a#/../../canary.txt", "a?/../../canary.txt"])
def test_row_1_try_marks_of_urls_before_dots_see_a_refusal(store: Store, canary: Path, path: str) -> None:
    with nbtrack.start_run(), pytest.raises(InvalidNameError, match=r"the segment '\.\.' is not allowed"):
        nbtrack.log_text("x", path)


@pytest.mark.parametrize("name", ["CON", "nul.txt", "a;b", "a#b", "a?b", "ünïcode", "a b"])
def test_row_1_try_odd_names_see_them_kept_as_they_are(store: Store, name: str) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_text("x", name)
    assert list(store.get_run(run.run_id).artifacts) == [name]


def test_row_2_try_a_folder_beside_with_the_same_beginning_see_a_refusal(tmp_path: Path, tree: Any) -> None:
    nbtrack.save_model(tree, tmp_path / "m")
    nbtrack.save_model(tree, tmp_path / "m-secret")
    path = tmp_path / "m" / MANIFEST_NAME
    record = json.loads(path.read_text())
    record["files"]["../m-secret/model.pkl"] = record["files"].pop("model.pkl")
    path.write_text(json.dumps(record))
    with pytest.raises(IntegrityError, match=r"segment '\.\.' is not allowed"):
        nbtrack.load_model(tmp_path / "m")
    nbtrack.save_model(tree, tmp_path / "n")
    (tmp_path / "n" / "model.pkl").unlink()
    (tmp_path / "n" / "model.pkl").symlink_to(tmp_path / "m-secret" / "model.pkl")
    with pytest.raises(IntegrityError, match="a link that leads outside"):
        nbtrack.load_model(tmp_path / "n")


SOURCES = ["file:///etc/passwd", "/etc/passwd", "http://h/m", "runs:/id/../../x", "../../x", "s3://b/x", "runs:/", "x"]


@pytest.mark.parametrize("source", SOURCES)
def test_row_3_try_a_source_outside_of_runs_see_a_refusal(store: Store, source: str) -> None:
    client = Client()
    client.create_registered_model("m")
    with pytest.raises(InvalidInputError, match=r"model URI|run id|artifact path"):
        client.create_model_version("m", source)
    with pytest.raises((InvalidInputError, NotFoundError), match=r"artifact path|is not a model|run"):
        client.create_model_version("m", source if ".." in source else f"../{source}", run_id="0" * 21)
    assert registry.get_model("m").versions == ()


@pytest.mark.parametrize("source", [*SOURCES, "models:/m/1"])
def test_row_3_try_a_forged_commit_with_such_a_source_see_a_refusal(store: Store, source: str, canary: Path) -> None:
    fields = {"run_id": "0" * 21, "source": source, "flavor": "sklearn", "digest": ""}
    body = {"action": "register", "at": 1, "patch": {"model": {"deleted": False}, "versions": {"1": fields}}}
    store.append_commit("m", body)
    with pytest.raises((InvalidInputError, NotFoundError, IntegrityError), match=r"model URI|run|artifact path"):
        nbtrack.load_model("models:/m/1")


def test_row_4_try_links_when_logging_a_folder_see_a_refusal(store: Store, tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").symlink_to(folder / "a.txt")
    with nbtrack.start_run() as run:
        nbtrack.log_artifacts(str(folder))
        for name, target in (("key", canary), ("folder", tmp_path), ("sub/up", Path("../../canary.txt"))):
            link = folder / name
            link.symlink_to(target)
            with pytest.raises(InvalidInputError, match="is a link that leads out of the folder"):
                nbtrack.log_artifacts(str(folder))
            link.unlink()
    assert set(store.get_run(run.run_id).artifacts) == {"a.txt", "b.txt"}


def test_row_4_try_a_link_planted_in_the_store_see_a_refusal(store: Store, canary: Path) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_text("mine", "a.txt")
    digest = store.get_run(run.run_id).artifacts["a.txt"].digest
    path = store.blob_path(digest)
    path.unlink()
    path.symlink_to(canary)
    with pytest.raises(NotFoundError, match="is not in this store"):
        store.read_blob(digest)
    with pytest.raises(NotFoundError, match="is not in this store"):
        store.blob_path(digest)


def test_row_5_try_to_find_code_that_unpacks_archives_see_none() -> None:
    """Nothing here writes what an archive names to disk; those that are read are read in memory, each within limits."""
    for path in Path(nbtrack.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in (".extractall(", ".extract(", "unpack_archive(", "tarfile.open("):
            assert word not in text, f"{path.name}: {word}"


def test_row_6_try_a_foreign_log_with_names_that_lead_out_see_them_refused(
    store: Store, tmp_path: Path, canary: Path
) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_text("mine", "a.txt")
    log = next(path for path in (tmp_path / "store").rglob("*.jsonl") if b"a.txt" in path.read_bytes())
    log.chmod(0o644)
    log.write_bytes(log.read_bytes().replace(b'"a.txt"', b'"../../canary.txt"'))
    other = open_store(tmp_path / "store")
    with pytest.warns(DamageWarning, match="is damaged and was left out"):  # a changed line no longer fits its checksum
        assert list(other.get_run(run.run_id).artifacts) == []
    with pytest.raises(InvalidNameError, match="artifact path"):
        store.create_run("0").log_artifact(b"x", "../../canary.txt")
    for digest in ("../canary.txt", "../../canary.txt", "0" * 63 + "/", "x"):
        with pytest.raises(NbtrackError, match=r"expected a sha256 of 64"):
            other.read_blob(digest)


IDS = ["*", "..", "a/../b", "?" * 21, "[0-f]" * 5, "0" * 10_240, "", "0" * 20 + "*", "0" * 21 + "\n", "../" + "0" * 18]


@pytest.mark.parametrize("run_id", IDS)
def test_row_7_try_globs_and_paths_as_ids_see_nothing_deleted(store: Store, run_id: str, ask: Ask) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_metric("a", 1)
    with pytest.raises(InvalidNameError, match="run id"):
        nbtrack.delete_run(run_id)
    assert ask("edit_run", run_id=run_id, deleted=True)["error"]["code"] == "invalid"
    for name in ("*", "..", "a/../b", "x" * 10_240, ""):
        with pytest.raises(NbtrackError, match=r"model name|no registered model"):
            registry.delete_model(name)
    assert store.get_run(run.run_id).info.lifecycle_stage == "active"
