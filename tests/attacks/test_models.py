"""Rows 8 to 13 of the list of attacks: bombs, pickles, skops, forged trees, tampering. Try X, see Y."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack import models, registry
from nbtrack.entities import MANIFEST_NAME
from nbtrack.errors import GateError, IntegrityError, NotFoundError, UntrustedModelError
from nbtrack.models.compiled import COMPILED_NAME
from nbtrack.store.base import Store

Stranger = Callable[[], Any]
Ask = Callable[..., dict[str, Any]]


class Gadget:
    """What a stranger's pickle would run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {self.marker}",)


def forged(files: dict[str, bytes], **more: Any) -> dict[str, bytes]:
    """The files of a model as a stranger would make it: whole, with right digests."""
    named = {name: [sha256(data).hexdigest(), len(data)] for name, data in files.items()}
    record = {"flavor": "sklearn", "model_class": "sklearn.tree.DecisionTreeClassifier", "files": named, **more}
    return {**files, MANIFEST_NAME: json.dumps(record).encode()}


def saved(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def logged(files: dict[str, bytes], name: str = "wine") -> str:
    """Put the files into a run, as a stranger with access to the store could; return the URI of a version of it."""
    with nbtrack.start_run() as run:
        for file, data in files.items():
            run.log_bytes(data, f"model/{file}")
    return f"models:/{name}/{nbtrack.register_model(f'runs:/{run.run_id}/model', name).version}"


def bomb(entry: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, bytes(size))
    return buffer.getvalue()


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10)


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read as Unix tells it")
@pytest.mark.parametrize(("file", "told"), [(COMPILED_NAME, "unpacks to"), ("model.skops", "unpacks to")])
def test_row_8_try_a_bomb_see_it_refused_before_it_unpacks(tmp_path: Path, file: str, told: str) -> None:
    folder = saved(tmp_path / "m", forged({file: bomb("x.npy", 300 << 20)}))
    before = peak_mb()
    with pytest.raises(IntegrityError, match=told):
        models.load_bundle(folder).predict([[0.0]])
    assert peak_mb() - before < 256


def test_row_9_try_a_marker_pickle_everywhere_see_no_marker(
    store: Store, tmp_path: Path, ask: Ask, tree: Any, wine: Any
) -> None:
    marker = tmp_path / "MARKER"
    files = forged({"model.pkl": pickle.dumps(Gadget(marker))}, input_example=None)
    folder, uri = saved(tmp_path / "m", files), logged(files)
    told = r"names '(posix|nt)\.system', which could run a stranger's code"
    for act in (
        lambda: nbtrack.load_model(folder),
        lambda: nbtrack.load_model(uri),
        lambda: models.load_bundle(uri).predict([[0.0]]),
        lambda: nbtrack.predict(uri, [[0.0]]),
        lambda: nbtrack.load_model(uri, store=store),
    ):
        with pytest.raises(UntrustedModelError, match=told):
            act()
    with pytest.raises(IntegrityError, match="you trust the model with the digest"):
        nbtrack.load_model(uri, trust="0" * 64)
    with pytest.raises(NotFoundError, match=r"v1: it cannot be scored \(UntrustedModelError"):
        nbtrack.select_best("wine", "accuracy", wine)
    with pytest.raises(GateError, match=r"v1 fails on its input example \(UntrustedModelError"):
        nbtrack.promote("wine", 1, "Staging", require="input example predicts")
    with nbtrack.start_run():
        nbtrack.log_model(tree, registered_model_name="wine")
    assert registry.diff_versions("wine", 1, 2)
    run_id = registry.get_version("wine", 1).run_id
    for op, fields in (
        ("models", {}),
        ("run", {"run_id": run_id}),
        ("version_diff", {"name": "wine", "a": 1, "b": 2}),
        ("artifact", {"run_id": run_id, "path": "model/model.pkl"}),
        ("promote", {"name": "wine", "version": 1, "stage": "Staging", "preview": True}),
    ):
        assert ask(op, **fields)["ok"] is True
    refused = ask("serve", model_uri=uri)["answer"]  # a start that failed: its rehearsal says why
    assert refused["status"] == "failed" and "system" in refused["checks"][-1]["text"], refused
    assert ask("stop_server", server_id=refused["server_id"])["ok"] is True
    assert not marker.exists()


def test_row_9_try_ones_own_model_after_tampering_see_it_refused(store: Store, tmp_path: Path, tree: Any) -> None:
    marker = tmp_path / "MARKER"
    nbtrack.save_model(tree, tmp_path / "m")
    payload = pickle.dumps(Gadget(marker))
    (tmp_path / "m" / "model.pkl").write_bytes(payload)
    with pytest.raises(IntegrityError, match="not the ones that were recorded"):
        nbtrack.load_model(tmp_path / "m")
    manifest = tmp_path / "m" / MANIFEST_NAME  # now with the right digest, but the signature of the old one
    record = json.loads(manifest.read_text())
    record["files"]["model.pkl"] = [sha256(payload).hexdigest(), len(payload)]
    manifest.write_text(json.dumps(record))
    with pytest.raises(UntrustedModelError, match="system"):
        nbtrack.load_model(tmp_path / "m")
    assert not marker.exists()


def test_row_10_the_corpus_holds_thirty_gadgets_and_more() -> None:
    source = (Path(__file__).parents[1] / "models" / "test_trust.py").read_text()
    gadgets = source.partition("GADGETS = [")[2].partition("\n]")[0]
    assert gadgets.count("\n    (") >= 30


def test_row_11_try_an_old_skops_see_it_refused_and_never_trust_what_a_file_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Any
) -> None:
    from importlib import metadata

    from skops import io as skops_io

    folder = saved(tmp_path / "m", forged({"model.skops": skops_io.dumps(tree)}))
    given: list[Any] = []
    load = skops_io.loads
    monkeypatch.setattr(skops_io, "loads", lambda data, trusted: given.append(trusted) or load(data, trusted=trusted))
    assert nbtrack.load_model(folder).tree_.node_count == tree.tree_.node_count
    from nbtrack.models.safe_skops import TRUSTED

    assert given == [list(TRUSTED)]  # always the same list
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.11.0" if name == "skops" else known(name))
    with pytest.raises(UntrustedModelError, match=r"skops 0\.11\.0 can be made to run"):
        nbtrack.load_model(folder)


def far(tree: DecisionTreeClassifier) -> DecisionTreeClassifier:
    """The tree with a child that lies a hundred million nodes away: asking it ends the process."""
    state = tree.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 99_999_999
    tree.tree_.__setstate__(state)
    return tree


SERVE = """
import sys
from nbtrack import models
from nbtrack.errors import IntegrityError
for folder in sys.argv[1:]:
    try:
        models.load_bundle(folder).predict([[0.0] * 13])
    except IntegrityError as error:
        print("refused", "a decision tree" in str(error) or "outside its tree" in str(error))
"""


def test_row_12_try_forged_trees_in_every_format_see_the_process_alive(tmp_path: Path, wine: Any) -> None:
    from skops import io as skops_io

    bad = far(DecisionTreeClassifier().fit(*wine))
    nbtrack.save_model(DecisionTreeClassifier().fit(*wine), tmp_path / "good")
    with np.load(tmp_path / "good" / COMPILED_NAME) as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays["0.children"][0, 0] = 99_999
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    folders = [
        saved(tmp_path / "pickle", forged({"model.pkl": pickle.dumps(bad)})),
        saved(tmp_path / "skops", forged({"model.skops": skops_io.dumps(bad)})),
        saved(tmp_path / "npz", forged({COMPILED_NAME: buffer.getvalue(), "model.pkl": pickle.dumps(bad)})),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, *map(str, folders)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == ["refused True"] * 3


def test_row_13_try_another_file_between_verifying_and_loading_see_the_verified_bytes(
    tmp_path: Path, tree: Any, wine: Any
) -> None:
    marker = tmp_path / "MARKER"
    nbtrack.save_model(tree, tmp_path / "m")
    loaded = models.load_bundle(tmp_path / "m")  # verified; the pickle is not opened yet
    (tmp_path / "m" / "model.pkl").write_bytes(pickle.dumps(Gadget(marker)))
    (tmp_path / "m" / COMPILED_NAME).write_bytes(b"x")
    assert np.array_equal(loaded.model.predict(wine[0]), tree.predict(wine[0])) and not marker.exists()


def test_row_13_try_without_a_manifest_and_with_that_of_another_see_refusals(tmp_path: Path, wine: Any) -> None:
    for name, depth in (("a", 1), ("b", 2)):
        nbtrack.save_model(DecisionTreeClassifier(max_depth=depth).fit(*wine), tmp_path / name)
    (tmp_path / "a" / MANIFEST_NAME).replace(tmp_path / "b" / MANIFEST_NAME)
    with pytest.raises(IntegrityError, match="not the ones that were recorded"):
        nbtrack.load_model(tmp_path / "b")
    with pytest.raises(NotFoundError, match="expected a folder that holds"):
        nbtrack.load_model(tmp_path / "a")


def test_row_13_try_a_manifest_dropped_or_swapped_in_the_store_see_refusals(store: Store, tree: Any, wine: Any) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_model(tree, "a", registered_model_name="wine")
        nbtrack.log_model(DecisionTreeClassifier(max_depth=1).fit(*wine), "b", registered_model_name="wine")
    artifacts = store.get_run(run.run_id).artifacts
    first, second = (store.blob_path(artifacts[f"{name}/{MANIFEST_NAME}"].digest) for name in "ab")
    data = second.read_bytes()
    for path in (first, second):
        path.chmod(0o644)
    first.write_bytes(data)
    with pytest.raises(IntegrityError, match="its bytes have changed"):
        nbtrack.load_model("models:/wine/1")
    second.unlink()
    with pytest.raises(NotFoundError, match="is not in this store"):
        nbtrack.load_model("models:/wine/2")


def test_rows_9_and_12_try_a_strangers_honest_model_see_it_work(
    tmp_path: Path, tree: Any, wine: Any, as_stranger: Stranger
) -> None:
    with as_stranger():
        nbtrack.save_model(tree, tmp_path / "m", input_example=wine[0].head())
    assert not models.read_model(tmp_path / "m").own
    assert np.array_equal(nbtrack.load_model(tmp_path / "m").predict(wine[0]), tree.predict(wine[0]))
