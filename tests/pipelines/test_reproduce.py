"""A run made again in a real, clean kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import nbtrack
from nbtrack.capture.pins import set_pin
from nbtrack.errors import InvalidInputError, NotFoundError
from nbtrack.pipelines.reproduce import TAG_REPRODUCED, reproduce_watched
from nbtrack.store import open_store
from nbtrack.store.base import Store
from nbtrack.wire import answer_json
from tests.capture.sessions import Server

SESSION = [
    "import numpy as np\nimport pandas as pd\nimport nbtrack\nfrom sklearn.datasets import load_wine\n"
    "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.model_selection import train_test_split",
    "frame = pd.read_csv('wine.csv')",
    "print('of no use')\n1 / 0",
    "np.random.seed(5)\nDROPPED = ['target', 'hue']\nN_TREES = 2**2\nDEPTHS = [3, 4]",
    "X_train, X_test, y_train, y_test = train_test_split(frame.drop(DROPPED, axis=1), frame.target)\n"
    "np.random.default_rng(1).choice(DEPTHS)",
    "%%track forest -m losses[-1]\nimport time\nbegan = time.perf_counter()\ndepth = 3\n"
    "nbtrack.log_param('shown', int(_5))\n"
    "model = RandomForestClassifier(N_TREES, max_depth=depth).fit(X_train, y_train)\n"
    "accuracy = model.score(X_test, y_test)\nlosses = [1 / (i + 1) for i in range(4)]\n"
    "fit_time = time.perf_counter() - began",
]


def make_data(folder: Path) -> None:
    from sklearn.datasets import load_wine

    folder.mkdir(exist_ok=True)
    load_wine(as_frame=True).frame.to_csv(folder / "wine.csv", index=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    make_data(place)
    monkeypatch.chdir(place)
    return place


def session(sessions: Server, folder: Path, cells: list[str]) -> str:
    run_id: str = sessions.ask(what="notebook", folder=str(folder), cells=cells)["run_id"]
    nbtrack.set_tracking_uri(str(folder / ".nbtrack"))
    return run_id


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder / ".nbtrack")


def test_reproduce_runs_the_slice_in_a_clean_kernel_and_stamps_the_run(sessions, folder):
    run_id = session(sessions, folder, SESSION)
    store = open_store(folder / ".nbtrack")
    result = nbtrack.reproduce(run_id)
    assert result.reproduced, result
    assert result.largest == 0
    assert "all exactly the same" in repr(result)
    assert result.not_compared == ("fit_time",)
    run = store.get_run(run_id)
    assert {"DROPPED", "DEPTHS", "N_TREES", "shown", "depth"} <= run.data.params.keys()  # found in both kernels
    assert run.data.tags[TAG_REPRODUCED].startswith("yes 20")
    assert run.capture["reproduced"]["reproduced"] is True
    assert run.capture["slice"]["complete"] is True
    assert run.capture["slice"]["files"] == ["wine.csv"]
    assert "files read: wine.csv" in repr(nbtrack.lineage(run_id))
    assert [cell["execution_count"] for cell in run.capture["slice"]["cells"]] == [1, 2, 4, 5, 6]
    assert len(store.run_table(view="ALL", keys=[]).run_ids) == 1  # the second run left no other trace
    assert sorted(path.name for path in folder.iterdir()) == [".nbtrack", "wine.csv"]


def test_reproduce_says_what_differs_first_and_which_data_changed(sessions, folder):
    import pandas as pd

    run_id = session(sessions, folder, SESSION)
    frame = pd.read_csv("wine.csv")
    frame.iloc[:, 0] = frame.iloc[::-1, 0].to_numpy() * 100
    frame.iloc[20:].to_csv("wine.csv", index=False)

    async def inside_a_loop() -> object:  # as in a notebook's cell
        return nbtrack.reproduce(run_id)

    result = asyncio.run(inside_a_loop())
    assert not result.reproduced
    kind, key, before, after = result.differences[0]
    assert (kind, key) == ("metric", "accuracy")
    assert float(before) != float(after)
    assert any("wine.csv" in text or "X_train" in text or "frame" in text for text in result.changed), result.changed
    assert "first metric accuracy was" in result.verdict
    assert open_store(folder / ".nbtrack").get_run(run_id).data.tags[TAG_REPRODUCED].startswith("no 20")


def test_reproduce_tells_which_cell_failed(sessions, folder):
    run_id = session(sessions, folder, SESSION)
    (folder / "wine.csv").unlink()
    result = nbtrack.reproduce(run_id, stamp=False)
    assert not result.reproduced
    assert "(step 'In [2]') failed with FileNotFoundError" in result.error
    assert "<b>" in result._repr_html_()
    assert TAG_REPRODUCED not in open_store(folder / ".nbtrack").get_run(run_id).data.tags


def test_reproduce_loads_nbtrack_when_it_was_and_keeps_the_choice_of_values(store: Store) -> None:
    asks = "'track' in get_ipython().magics_manager.magics['cell']"
    tracked = "%%track\nwidth = len('abc')\nacc = 0.5 + before - after\nhalf = 0.5\nunwanted_mae = 0.1"
    sources = [(f"before = {asks}", None), (f"after = {asks}", "b"), (tracked, "c")]
    cells = [{"execution_count": 7, "cell_id": one, "source": text, "this": one == "c"} for text, one in sources]
    run = store.create_run()
    run.log_metrics({"acc": -0.5, "half": 0.5})
    run.log_params({"width": "3"})
    run.log_capture({"slice": {"cells": cells}, "missing": ["metric unwanted_mae (unpinned)"]})
    run.end()
    for kind, key in (("param", "width"), ("metric", "half"), ("metric", "later")):
        set_pin(store, None, kind, key, "pinned")
    result = reproduce_watched(run.run_id, store)
    assert result.verdict == "Reproduced: 3 values, all exactly the same."


def test_reproduce_of_a_run_that_no_cell_made_is_refused(folder, store):
    nbtrack.set_tracking_uri(str(folder / ".nbtrack"))
    with nbtrack.start_run(run_name="<b>script</b>") as run:
        nbtrack.log_metric("acc", 1)
    with pytest.raises(InvalidInputError, match="'<b>script</b>' has no slice"):
        nbtrack.reproduce(run.info.run_id)
    with pytest.raises(NotFoundError, match="f" * 32):
        nbtrack.reproduce("f" * 32)
    answer = answer_json(store, b'{"op": "diff", "run_ids": ["x"]}')
    assert b"expected two or more runs, got 1" in answer
