"""log_model, save_model and load_model: round trips, manifests, refusals."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import nbtrack
from nbtrack import models, registry
from nbtrack.entities import MANIFEST_NAME, Column, Signature
from nbtrack.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidInputError,
    InvalidNameError,
    MissingLibraryError,
    NbtrackWarning,
    NotFoundError,
    RunStateError,
)
from nbtrack.store.base import Store

FILES = {"model.pkl", "compiled.npz", "input_example.json"}


def test_logged_model_comes_back_from_every_uri(store: Store, wine: Any, forest: Any) -> None:
    data, _ = wine
    with nbtrack.start_run() as run:
        info = nbtrack.sklearn.log_model(forest, "forest", input_example=data.head(), registered_model_name="wine")
    assert info.model_uri == f"runs:/{run.run_id}/forest" and info.registered_model_version == 1
    nbtrack.promote("wine", 1, "Staging")
    nbtrack.set_alias("wine", "champion", 1)
    expected = forest.predict_proba(data)
    for uri in (
        info.model_uri,
        "models:/wine/1",
        "models:/wine/Staging",
        "models:/wine/latest",
        "models:/wine@champion",
    ):
        assert np.array_equal(nbtrack.load_model(uri).predict_proba(data), expected)
    assert np.array_equal(nbtrack.predict("models:/wine/1", data), forest.predict(data))


def test_manifest_tells_files_signature_environment_and_run(store: Store, wine: Any, forest: Any) -> None:
    data, _ = wine
    with nbtrack.start_run() as run:
        info = nbtrack.log_model(forest, input_example=data)
    manifest = info.manifest
    artifacts = store.get_run(run.run_id).artifacts
    assert {path.removeprefix("model/") for path in artifacts} == {*FILES, "training_profile.json", MANIFEST_NAME}
    for name, (digest, size) in manifest.files.items():
        assert (artifacts[f"model/{name}"].digest, artifacts[f"model/{name}"].size_bytes) == (digest, size)
    assert manifest.flavor == "sklearn" and manifest.model_class.endswith("RandomForestClassifier")
    assert manifest.run_id == run.run_id and manifest.nbtrack_version == nbtrack.__version__
    assert {"scikit-learn", "numpy", "scipy", "pandas"} <= set(manifest.environment["packages"])
    assert manifest.signature == nbtrack.infer_signature(data, forest.predict(data))
    example = json.loads(store.read_blob(artifacts["model/input_example.json"].digest))
    assert example["dataframe_split"]["columns"] == list(data.columns)
    assert example["dataframe_split"]["data"] == data.head().to_numpy().tolist()
    assert manifest.options["example_predictions"] == forest.predict(data.head()).tolist()
    assert str(store.uri) not in store.read_blob(artifacts[f"model/{MANIFEST_NAME}"].digest).decode()


def test_model_saved_as_a_folder_comes_back(tmp_path: Path, wine: Any, forest: Any) -> None:
    data, _ = wine
    folder = tmp_path / "ein Modell"
    nbtrack.save_model(forest, folder, input_example=data.head())
    assert {path.name for path in folder.iterdir()} == {*FILES, MANIFEST_NAME}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    for uri in (folder, str(folder), folder.as_uri()):
        assert np.array_equal(nbtrack.load_model(uri).predict(data), forest.predict(data))
    with pytest.raises(AlreadyExistsError, match="something at"):
        nbtrack.save_model(forest, folder)


OTHER_PROCESS = """
import json, sys
import nbtrack
model = nbtrack.load_model(sys.argv[1])
print(json.dumps([float(x) for x in model.predict([[0.2], [0.8]])]))
"""


def test_method_overwritten_on_the_instance_survives_in_another_process(tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    proba = model.predict_proba
    model.predict = types.MethodType(lambda self, rows: [round(p, 2) for p in self.predict_proba(rows)[:, 1]], model)
    nbtrack.save_model(model, tmp_path / "m")
    out = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "m")], capture_output=True, text=True, check=True
    )
    assert json.loads(out.stdout) == [round(p, 2) for p in proba([[0.2], [0.8]])[:, 1].tolist()]


def test_class_written_in_a_script_survives_in_another_process(tmp_path: Path) -> None:
    script = """
import sys
import nbtrack
from sklearn.base import BaseEstimator
class Half(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self
    def predict(self, X):
        return [x[0] / 2 for x in X]
nbtrack.save_model(Half().fit([[1.0]]), sys.argv[1])
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "m")], check=True)
    assert nbtrack.load_model(tmp_path / "m").predict([[3.0]]) == [1.5]


def test_log_model_without_a_run_starts_one(store: Store, forest: Any) -> None:
    info = nbtrack.log_model(forest)
    active = nbtrack.active_run()
    assert active is not None and active.run_id == info.run_id
    nbtrack.end_run()
    with pytest.raises(RunStateError, match="ended"):
        nbtrack.log_model(forest, run=active)


def test_example_the_model_refuses_gives_a_warning_and_is_kept(store: Store, wine: Any, forest: Any) -> None:
    data, _ = wine
    with nbtrack.start_run(), pytest.warns(NbtrackWarning, match=r"cannot predict its input_example \(ValueError"):
        info = nbtrack.log_model(forest, input_example=data.iloc[:, :3])
    assert info.signature is not None and len(info.signature.inputs) == 3 and info.signature.outputs == ()


def test_log_model_of_what_is_no_model_is_refused(store: Store, forest: Any) -> None:
    with nbtrack.start_run():
        with pytest.raises(InvalidInputError, match=r"builtins\.dict is of no library known here; .* sklearn"):
            nbtrack.log_model({"a": 1})
        with pytest.raises(InvalidInputError, match="expected an estimator of scikit-learn, got int"):
            nbtrack.sklearn.log_model(3)
        with pytest.raises(InvalidInputError, match=r"expected one of .*sklearn"):
            nbtrack.log_model(forest, flavor="prophet")
        with pytest.raises(InvalidInputError, match="expected a signature from nbtrack"):
            nbtrack.log_model(forest, signature={"a": "double"})  # type: ignore[arg-type]
        with pytest.raises(InvalidNameError, match="artifact path"):
            nbtrack.log_model(forest, "../x")
        with pytest.raises(InvalidNameError, match="model name"):
            nbtrack.log_model(forest, registered_model_name="a/b")
    assert nbtrack.search_runs().empty or not any(store.get_run(r).artifacts for r in nbtrack.search_runs().run_id)


def test_model_with_an_open_file_says_what_to_remove(store: Store, tmp_path: Path, forest: Any) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with (
        (tmp_path / "f").open("w") as model.log_,  # type: ignore[attr-defined]
        nbtrack.start_run(),
        pytest.raises(InvalidInputError, match="holds something that cannot be saved"),
    ):
        nbtrack.log_model(model)


def test_transformer_transforms_where_it_cannot_predict(tmp_path: Path, wine: Any) -> None:
    scaler = StandardScaler().fit(wine[0])
    nbtrack.save_model(scaler, tmp_path / "m", input_example=wine[0].head())
    assert np.array_equal(nbtrack.predict(tmp_path / "m", wine[0]), scaler.transform(wine[0]))


def test_own_pickle_that_the_packages_cannot_read_says_what_to_install(tmp_path: Path) -> None:
    from nbtrack.models.flavors import unpickled

    with pytest.raises(IntegrityError, match=r"m: it cannot be loaded with the packages .* \(AttributeError"):
        unpickled(b"cnbtrack.models\nnothing_of_this_name\n.", "m")
    assert unpickled(b"K\x05.", "m") == 5


def test_load_what_is_not_there_says_so(store: Store, tmp_path: Path, forest: Any) -> None:
    with nbtrack.start_run() as run:
        nbtrack.log_model(forest, "forest")
    with pytest.raises(NotFoundError, match="the run logged these models: 'forest'"):
        nbtrack.load_model(f"runs:/{run.run_id}/tree")
    with pytest.raises(NotFoundError, match="no registered model"):
        nbtrack.load_model("models:/nobody/1")
    with pytest.raises(NotFoundError, match=f"a folder that holds {MANIFEST_NAME}"):
        nbtrack.load_model(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="expected models:/NAME/VERSION"):
        nbtrack.load_model("http://evil.example/model")


def test_load_without_the_library_gives_the_pip_line(
    tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbtrack.save_model(forest, tmp_path / "m")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingLibraryError, match="pip install 'scikit-learn'"):
        nbtrack.load_model(tmp_path / "m")


def test_other_library_version_is_told_with_what_it_changes(tmp_path: Path, wine: Any, forest: Any) -> None:
    data, _ = wine

    def saved(name: str, old: str, new: str, **more: Any) -> Path:
        nbtrack.save_model(forest, tmp_path / name, **more)
        manifest = tmp_path / name / MANIFEST_NAME
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new, 1))
        return tmp_path / name

    version = metadata.version("scikit-learn")
    old = (f'"scikit-learn": "{version}"', '"scikit-learn": "1.2.0"')
    same = models.load_bundle(saved("m", *old, input_example=data.head())).environment  # numbers decide: no warning
    assert (same.rescored, same.severity, same.largest_change) == ("same", "note", None)
    assert [(d.what, d.recorded, d.severity) for d in same.differences] == [("scikit-learn", "1.2.0", "warning")]
    changed = saved("changed", *old, input_example=data.head())
    text = (changed / MANIFEST_NAME).read_text()
    (changed / MANIFEST_NAME).write_text(
        text.replace('"example_predictions": [\n   0,', '"example_predictions": [\n   2,')
    )
    with pytest.warns(NbtrackWarning, match=r"scikit-learn 1\.2\.0 then, .* input example DIFFER by up to 2: install"):
        found = models.load_bundle(changed).environment
    assert (found.rescored, found.severity, found.largest_change) == ("different", "error", 2.0)
    with pytest.warns(NbtrackWarning, match="no input example to compare"):
        nbtrack.load_model(saved("bare", *old))
    with pytest.warns(NbtrackWarning, match=r"Python 2\.7"):
        nbtrack.load_model(saved("python", f'"python": "{platform.python_version()}"', '"python": "2.7"'))
    gone = saved("gone", '"packages": {', '"packages": {"no-such-package": "1.0",')
    with pytest.warns(NbtrackWarning, match=r"no-such-package 1\.0 then, not installed here"):
        assert "error: no-such-package" in str(models.load_bundle(gone).environment)
    patch = saved("patch", '"numpy": "', '"numpy": "0.')
    quiet = models.load_bundle(patch).environment  # what the model merely stands on is a note
    assert [d.severity for d in quiet.differences] == ["note"] and quiet.rescored == "unknown"


def test_signature_is_told_from_all_that_the_fit_saw(store: Store) -> None:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    from nbtrack.models.seen import saw

    frame = pd.DataFrame({"a": [1.0] * 500 + [None], "n": range(501)})
    model = HistGradientBoostingClassifier(max_iter=1).fit(frame, [0, 1, 0] * 167)
    want = (Column("a", "double", required=False), Column("n", "long"))
    with nbtrack.start_run():
        for number, more in enumerate(
            ({"training_data": frame}, {"training_data": frame, "input_example": frame.head()})
        ):
            signature = nbtrack.log_model(model, f"m{number}", **more).signature
            assert signature is not None and signature.inputs == want
            assert [column.type for column in signature.outputs] == ["long"]
        assert nbtrack.log_model(model, "unseen").signature is None
        saw(model, frame)
        noticed = nbtrack.log_model(model, "noticed").signature
        assert noticed is not None and noticed.inputs == want
        del frame, more  # only remembered for as long as it is there
        assert nbtrack.log_model(model, "gone").signature is None


def test_code_line_travels_with_the_model_to_the_version(
    store: Store, forest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nbtrack.start_run():
        assert (
            nbtrack.log_model(forest, "a", code_line="1.0.0", registered_model_name="m").manifest.code_line == "1.0.0"
        )
        monkeypatch.setenv("NBTRACK_CODE_LINE", "2.0")
        nbtrack.log_model(forest, "b", registered_model_name="m")
        monkeypatch.delenv("NBTRACK_CODE_LINE")
        nbtrack.set_tag("nbtrack.line", "3.0")
        nbtrack.log_model(forest, "c", registered_model_name="m")
        with pytest.raises(InvalidInputError, match=r"code_line: expected a version such as .*, got 'new'"):
            nbtrack.log_model(forest, "d", code_line="new")
    nbtrack.register_model("models:/m/1", "copy")
    lines = [registry.get_version("m", n).tags["nbtrack.line"] for n in (1, 2, 3)]
    assert lines == ["1.0.0", "2.0", "3.0"]
    assert registry.get_version("copy", 1).tags == {"nbtrack.line": "1.0.0"}


def _nets() -> list[tuple[str, Any, Any]]:
    import pandas as pd

    frame = pd.DataFrame(
        {"age": [20, 30, 40, 50], "city": ["Rome", "Oslo", "Rome", "Bern"], "x": [0.5, None, 1.5, 2.5]}
    )
    y = [0, 1, 0, 1]
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), (StandardScaler(), ["age"]))
    texts = ["good wine", "bad wine", "good cheese", "bad bread"]
    array = np.arange(8.0).reshape(4, 2)
    return [
        ("mixed frame", make_pipeline(columns, LogisticRegression()).fit(frame, y), frame),
        ("texts", make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, y), texts),
        ("array", make_pipeline(StandardScaler(), LogisticRegression()).fit(array, y), array),
        ("float32", LogisticRegression().fit(array.astype("float32"), y), array.astype("float32")),
        ("frame for array model", LogisticRegression().fit(array, y), pd.DataFrame(array, columns=["a", "b"])),
        ("lists", LogisticRegression().fit(array.tolist(), y), array.tolist()),
    ]


@pytest.mark.parametrize("case", range(6))
def test_predict_by_uri_equals_the_notebooks_own(tmp_path: Path, case: int) -> None:
    name, model, data = _nets()[case]
    nbtrack.save_model(model, tmp_path / "m", input_example=data)
    want = model.predict(data.to_numpy() if name == "frame for array model" else data)
    assert np.array_equal(nbtrack.predict(tmp_path / "m", data), want)
    example = json.loads((tmp_path / "m" / "input_example.json").read_text())
    manifest = models.read_model(tmp_path / "m").manifest
    from nbtrack.models.examples import from_body

    again = from_body(example, manifest.signature)
    assert np.array_equal(nbtrack.predict(tmp_path / "m", again), want)
    assert manifest.options["example_predictions"] == want.tolist()


def test_signature_given_by_hand_is_kept(store: Store, forest: Any) -> None:
    signature = Signature(inputs=(Column("a", "double"),), outputs=(Column(None, "long"),))
    with nbtrack.start_run():
        assert nbtrack.log_model(forest, signature=signature).signature == signature


LOGGER = """
import sys
import nbtrack
from sklearn.tree import DecisionTreeClassifier
nbtrack.set_tracking_uri(sys.argv[1])
model = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
while True:
    with nbtrack.start_run():
        nbtrack.log_model(model, input_example=[[0.5]], registered_model_name="clf")
    print("go", flush=True)
"""


def test_sigkill_in_the_middle_of_log_model_leaves_it_whole_or_absent(store: Store) -> None:
    for kill in range(3):
        logger = subprocess.Popen([sys.executable, "-c", LOGGER, store.uri], stdout=subprocess.PIPE, text=True)
        assert logger.stdout is not None and logger.stdout.readline() == "go\n"
        time.sleep(0.02 + 0.017 * kill)
        logger.kill()
        logger.communicate()
    whole = 0
    for run_id in nbtrack.search_runs(search_all_experiments=True).run_id:
        if f"model/{MANIFEST_NAME}" in store.get_run(run_id).artifacts:
            assert nbtrack.load_model(f"runs:/{run_id}/model").predict([[0.9]]) == [1]
            whole += 1
    versions = registry.get_model("clf").versions
    assert whole >= len(versions) > 0
    for version in versions:
        assert nbtrack.predict(f"models:/clf/{version.version}", [[0.1]]) == [0]
