"""Which cells ``%track auto`` takes for such that train something, and what the magics say when asked."""

from __future__ import annotations

import pytest

SETUP = """
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
model = LogisticRegression()
sc = StandardScaler()
class Net:
    def train(self, mode=True): return self
    def fit(self, X, y=None): return self
net = Net()
def run_experiment(C):
    return LogisticRegression(C=C).fit(X, y).score(X, y)
def describe(rows):
    return len(rows)
"""


@pytest.mark.parametrize(
    "cell",
    [
        "model.fit(X, y)",
        "fitted = LogisticRegression(C=2.0).fit(X, y)",
        "for C in (0.1, 1.0):\n    LogisticRegression(C=C).fit(X, y)",
        "score = run_experiment(0.5)",
        "def go():\n    return model.fit(X, y)\ngo()",
        "net.fit(X)",
        "import nbtrack\nnbtrack.log_metric('loss', 0.5)",
        "from sklearn.model_selection import cross_val_score\nscores = cross_val_score(model, X, y, cv=2)",
    ],
)
def test_auto_tracks_a_cell_that_trains(notebook, cell):
    notebook.ok(SETUP)
    notebook.ok("%track auto")
    before = len(notebook.runs)
    notebook.ok(cell)
    assert len(notebook.runs) == before + 1


@pytest.mark.parametrize(
    "cell",
    [
        "sc.fit(X)",
        "Z = sc.fit_transform(X)",
        "from sklearn.preprocessing import MinMaxScaler\nscaler = MinMaxScaler().fit(X)",
        "net.train()",
        "net.train(True)",
        "def later():\n    return model.fit(X, y)",
        "describe(X)",
        "text = 'model.fit(X, y)'",
        "fit = 3\nfit + 1",
        "print('epoch')",
        "%time len(X)",
    ],
)
def test_auto_leaves_a_cell_alone_that_trains_nothing(notebook, cell):
    notebook.ok(SETUP)
    notebook.ok("%track auto")
    notebook.ok(cell)
    assert notebook.runs == []


def test_auto_ends_with_off_and_a_tracked_line_is_one_run_only(notebook):
    notebook.ok(SETUP)
    notebook.ok("%track auto")
    notebook.ok("%%track\nmodel.fit(X, y)")
    assert len(notebook.runs) == 1
    notebook.ok("%track off")
    notebook.ok("model.fit(X, y)")
    assert len(notebook.runs) == 1


@pytest.mark.parametrize("asked", ["--help", "-h", "?"])
def test_track_asked_for_help_shows_usage_and_runs_nothing(notebook, capsys, asked):
    notebook.ok("touched = False")
    notebook.ok(f"%%track {asked}\ntouched = True")
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: %%track [NAME]")
    assert "--no-capture PART" in shown
    assert "fingerprints of the frames" in shown
    assert notebook.names["touched"] is False
    assert notebook.runs == []


def test_doctor_says_what_is_in_place_and_what_went_wrong(notebook, monkeypatch):
    from nbtrack.capture import cell as parts
    from nbtrack.errors import CaptureWarning

    told = {row[1]: row for row in notebook.ok("%nbtrack doctor").rows}
    assert told["hooks"][0] == "ok"
    assert "auto is off" in told["hooks"][2]
    assert told["capture"][:1] == ["ok"]
    assert {"python", "store", "lab extension", "notebook", "live views"} <= set(told)

    def fail(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(parts, "capture_seeds", fail)
    with pytest.warns(CaptureWarning, match="broken on purpose"):
        notebook.ok("%%track\nx = 1")
    notebook.shell.events.unregister("post_run_cell", notebook.shell._nbtrack_tracker.post_run_cell)
    told = {row[1]: row for row in notebook.ok("%nbtrack doctor").rows}
    assert told["capture"][0] == "warn"
    assert "broken on purpose" in told["capture"][2]
    assert told["hooks"][0] == "warn"
    assert "after a cell" in told["hooks"][2]
    notebook.shell.events.register("post_run_cell", notebook.shell._nbtrack_tracker.post_run_cell)
