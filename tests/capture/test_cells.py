"""What a cell gives unasked: params, metrics, and what it must not give. Expectations are written by hand."""

from __future__ import annotations

import pytest

SETUP = """
import numpy as np
from types import SimpleNamespace
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
upstream_depth = 2
"""

# name -> (cell, params, names of the metrics)
CELLS: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "literals": (
        "C = 3.0\nkernel = 'rbf'\nuse_bias = True\nsizes = [8, 16]\nlr = -1e-3 * 4",
        {"C": "3.0", "kernel": "rbf", "use_bias": "True", "sizes": "[8, 16]", "lr": "-0.004"},
        set(),
    ),
    "unpacking": ("n_estimators, max_features = 1, 0.1", {"n_estimators": "1", "max_features": "0.1"}, set()),
    "annotated": ("depth: int = 3", {"depth": "3"}, set()),
    "chained": ("a = b = 2", {"a": "2", "b": "2"}, set()),
    "no params": (
        "_hidden = 1\ntext = '''two\nlines'''\nnothing = None\nempty = []\ntotal = 0\nfor i in range(3):\n"
        "    total += i",
        {},
        set(),
    ),
    "branches": (
        "fast = True\nif fast:\n    epochs = 1\nelse:\n    epochs = 100",
        {"fast": "True", "epochs": "1"},
        set(),
    ),
    "config dict": (
        "cfg = {'lr': 0.1, 'net': {'depth': 2}, 'data': X}",
        {"cfg.lr": "0.1", "cfg.net.depth": "2"},
        set(),
    ),
    "estimator": (
        "model = RandomForestClassifier(n_estimators=5, max_depth=upstream_depth, random_state=42)"
        ".fit(X_train, y_train)\naccuracy = model.score(X_test, y_test)",
        {"n_estimators": "5", "max_depth": "2", "random_state": "42"},
        {"accuracy"},
    ),
    "positional": ("model = KNeighborsClassifier(7).fit(X_train, y_train)", {"n_neighbors": "7"}, set()),
    "spread": (
        "best = {'C': 2.0, 'kernel': 'linear'}\nmodel = SVC(**best).fit(X_train, y_train)",
        {"C": "2.0", "kernel": "linear"},
        set(),
    ),
    "record": (
        "args = SimpleNamespace(C=4.0)\nmodel = SVC(C=args.C).fit(X_train, y_train)",
        {"args.C": "4.0", "C": "4.0"},
        set(),
    ),
    "pipeline": (
        "model = make_pipeline(StandardScaler(), SVC(C=7.0))\nmodel.fit(X_train, y_train)\n"
        "acc = accuracy_score(y_test, model.predict(X_test))",
        {"C": "7.0", "standardscaler": "StandardScaler", "svc": "SVC"},
        {"acc"},
    ),
    "two estimators": (
        "a = SVC(C=1.5).fit(X_train, y_train)\nb = SVC(C=2.5).fit(X_train, y_train)",
        {"C": "1.5", "b.C": "2.5"},
        set(),
    ),
    "grid": (
        "search = GridSearchCV(SVC(), {'C': [1.0, 10.0]}, cv=3).fit(X_train, y_train)\nbest_score = search.best_score_",
        {"cv": "3", "estimator": "SVC", "param_grid": "{'C': [1.0, 10.0]}", "best__C": "10.0"},
        {"best_score"},
    ),
    "metrics by name": (
        "p = np.array([1, 0, 1])\nval_loss = float(p.mean())\nrmse = np.float32(0.5) * 2\n"
        "test_acc = p.mean()\nn_errors = int(p.sum())\nthreshold = p.mean()",
        {},
        {"val_loss", "rmse", "test_acc"},
    ),
    "metrics by source": (
        "clf = KNeighborsClassifier(n_neighbors=3).fit(X_train, y_train)\n"
        "result = round(clf.score(X_test, y_test), 3)\n"
        "second = f1_score(y_test, clf.predict(X_test), average='macro')\n"
        "third = np.mean(cross_val_score(clf, X_train, y_train, cv=2))",
        {"n_neighbors": "3", "cv": "2"},
        {"result", "second", "third"},
    ),
    "metric of own function": (
        "def rmse(a, b):\n    return ((a - b) ** 2).mean() ** 0.5\nquality = rmse(np.ones(3), np.zeros(3))",
        {},
        {"quality"},
    ),
    "metric written out": (
        "accuracy = 0.93\nmax_error = 0.1\nscore_threshold = 0.5",
        {"max_error": "0.1", "score_threshold": "0.5"},
        {"accuracy"},
    ),
    "dict of metrics": ("metrics = {'acc': np.mean([1, 0]), 'n': 3, 'report': 'text'}", {}, {"acc", "n"}),
    "displayed": ("accuracy_score([1, 0], [1, 1])", {}, {"accuracy_score"}),
    "no metrics": (
        "y_score = np.zeros(5)\nloss_fn = len\nscores_by_class = [1, 2]\nacc_name = 'x'.upper()\nis_best_score = 1 > 0",
        {"scores_by_class": "[1, 2]"},
        set(),
    ),
    "loop": (
        "losses = []\nfor epoch in range(3):\n    loss = 1 / (epoch + 1)\n    losses.append(loss)",
        {},
        {"loss", "losses"},
    ),
    "with": (
        "import contextlib\nwith contextlib.nullcontext() as ctx:\n    depth = 4\n    auc = abs(-0.75)",
        {"depth": "4"},
        {"auc"},
    ),
    "functions are their own": ("def train():\n    hidden = 5\n    loss = 0.1\n    return 1\nout = train()", {}, set()),
    "comprehension": ("squares = [i * i for i in range(3)]\nmse = sum(squares) / 3", {}, {"mse"}),
    "items": (
        "results = {}\nresults['rf'] = accuracy_score([1, 0], [1, 1])\nresults['rows'] = 2\n"
        "scores = {}\nscores['acc'] = abs(-1)",
        {},
        {"rf", "acc"},
    ),
    "folds": (
        "cv_scores = cross_val_score(SVC(), X_train, y_train, cv=2)\n"
        "both = cross_validate(SVC(), X_train, y_train, cv=2)\nbest = cv_scores.max()",
        {"cv": "2"},
        {"cv_scores.mean", "both.test_score.mean"},
    ),
    "printed": (
        "p = np.array([1, 1])\nprint('Test accuracy: %.1f%%' % (100 * accuracy_score([1, 0], p)), 'of', 2)\n"
        "print('R^2 = 0.25, best C: 10.5, time: 3.25 s, Accuracy of 2')",
        {},
        {"test_accuracy", "r2"},
    ),
    "printed again": ("acc = 2 / 3\nprint(f'Accuracy: {acc:.2f}, in percent: {acc:.1%}')", {}, {"acc"}),
    "printed by epoch": (
        "for epoch in range(3):\n"
        "    print(f'Epoch {epoch}: loss={1 / (epoch + 1):.4f} - val_loss: {2 / (epoch + 1):.4f}')",
        {},
        {"loss", "val_loss"},
    ),
    "printed without a sign": (
        "for epoch in range(2):\n    print(f'epoch {epoch} loss {0.5 - epoch / 4:.3f} lr 0.01')\n"
        "print('improved by 0.25 in 3.5 s')",
        {},
        {"loss"},
    ),
    "folds by hand": (
        "fold_scores = []\nfor k in range(3):\n    fold_scores.append(accuracy_score([1, 0, 1], [1, 0, k % 2]))\n"
        "    print(f'Fold {k}: accuracy = {fold_scores[-1]:.3f}')",
        {},
        {"fold_scores"},
    ),
    "part of a pipeline": (
        "scaler = StandardScaler(with_mean=False)\nmodel = make_pipeline(scaler, SVC(C=2.0)).fit(X_train, y_train)",
        {"with_mean": "False", "C": "2.0", "standardscaler": "StandardScaler", "svc": "SVC"},
        set(),
    ),
    "argparse": (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float, default=0.1)\n"
        "args = parser.parse_args(['--lr', '0.5'])",
        {"args.lr": "0.5"},
        set(),
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    lr: float = 0.1\n    depth: int = 3\n"
        "config = Config(lr=0.2)",
        {"config.lr": "0.2", "config.depth": "3"},
        set(),
    ),
    "walrus": ("if (batch := 16) > 8:\n    pass", {"batch": "16"}, set()),
    "line magic": ("%time f1 = 1 / 4", {}, {"f1"}),
    "secret": (
        "db_password = 'hunter2'\napi_url = 'postgres://ana:hunter2@db/x'\nmax_tokens = 512",
        {
            "db_password": "[redacted:password]",
            "max_tokens": "512",
        },
        set(),
    ),
}


@pytest.fixture
def ready(notebook):
    notebook.ok(SETUP)
    return notebook


@pytest.mark.parametrize("name", CELLS)
def test_cell_params_and_metrics_are_what_a_person_would_write_down(ready, name):
    cell, params, metrics = CELLS[name]
    ready.ok(f"%%track --no-capture model,slice\n{cell}")
    run = ready.last
    assert dict(run.data.params) == params
    assert set(run.data.metrics) == metrics


def test_cell_metric_values_are_the_variables(ready):
    ready.ok(
        "%%track --no-capture model\nmodel = SVC(C=0.5).fit(X_train, y_train)\nacc = model.score(X_test, y_test)\n"
        "losses = []\nfor k in range(3):\n    losses.append(1 / (k + 1))"
    )
    run = ready.last
    assert run.data.metrics["acc"] == ready.names["acc"]
    assert run.summaries["losses"].count == 3
    assert (run.summaries["losses"].step, run.data.metrics["losses"]) == (2, 1 / 3)


def test_cell_explicit_logging_wins_over_what_was_found(ready):
    ready.ok(
        "%%track\nimport nbtrack\nC = 1.0\naccuracy = abs(-0.5)\nnbtrack.log_param('C', 'mine')\n"
        "nbtrack.log_metric('accuracy', 0.75)"
    )
    run = ready.last
    assert run.data.params["C"] == "mine"
    assert (run.data.metrics["accuracy"], run.summaries["accuracy"].count) == (0.75, 1)


def test_cell_that_fails_does_not_record_what_an_earlier_cell_computed(ready):
    ready.ok("%%track\naccuracy = abs(-0.5)\nf1 = abs(-0.25)")
    ready.run("%%track\nf1 = abs(-0.75)\n1 / 0\naccuracy = abs(-1)")
    run = ready.last
    assert run.info.status == "FAILED"
    assert dict(run.data.metrics) == {"f1": 0.75}


def test_options_ask_for_variables_by_name(ready):
    ready.ok(
        "%%track named -t owner=ana -t 'why=a reason' -p upstream_depth -p cfg['lr'] -m q -m out.best"
        " --note 'first try' --step fit\n"
        "cfg = dict(lr=0.1)\nq = abs(-42)\nout = SimpleNamespace(best=0.5)"
    )
    run = ready.last
    assert run.info.run_name == "named"
    assert dict(run.data.params) == {"upstream_depth": "2", "cfg['lr']": "0.1", "cfg.lr": "0.1"}
    assert dict(run.data.metrics) == {"q": 42.0, "out.best": 0.5}
    tags = dict(run.data.tags)
    assert (tags["owner"], tags["why"], tags["nbtrack.note"], tags["nbtrack.step"]) == (
        "ana",
        "a reason",
        "first try",
        "fit",
    )


def test_options_asking_for_what_is_not_there_is_said_on_the_card(ready):
    ready.ok("%%track -m nothing -m text\ntext = str(1)")
    missing = ready.last.capture["not_captured"]
    assert "metric nothing: NameError: name 'nothing' is not defined" in missing
    assert "metric text: expected a number, got str" in missing
    assert "name &#x27;nothing&#x27; is not defined" in ready.cards[-1]["text/html"]


def test_options_name_may_come_from_a_variable(ready):
    ready.ok("kind = 'svm'\nk = 3")
    ready.ok("%%track {kind}-{k} -e exp-$kind\nx = 1")
    assert ready.last.info.run_name == "svm-3"


def test_experiment_option_makes_and_reuses_the_experiment(ready):
    ready.ok("%%track -e 'red wine'\nx = 1")
    ready.ok("%%track -e 'red wine'\nx = 2")
    assert {run.info.experiment_id for run in ready.runs} == {ready.last.info.experiment_id} != {"0"}


def test_resume_links_the_new_run_to_the_old(ready):
    ready.ok("%%track\nx = 1")
    old = ready.last
    ready.ok(f"%%track --resume {old.run_id[-8:]}\nx = 2")
    assert ready.last.run_id != old.run_id
    assert ready.last.data.tags["nbtrack.resumed_run_id"] == old.run_id


def test_cell_run_again_is_a_new_run_with_the_change_on_its_card(ready):
    ready.ok("%%track a\naccuracy = abs(-0.5)")
    ready.ok("%%track b\naccuracy = abs(-0.75)")
    assert len(ready.runs) == 2
    assert "+0.25 better" in ready.cards[1]["text/html"]
    assert "change against a" in ready.cards[1]["text/html"]


def test_record_says_what_was_captured_and_holds_it(ready):
    ready.ok(
        "%%track\nC = 2.0\nmodel = SVC(C=C).fit(X_train, y_train)\n"
        "accuracy = model.score(X_test, y_test)\nprint('hello')"
    )
    capture = ready.last.capture
    assert capture["source"].startswith("%%track\nC = 2.0")
    assert capture["stdout"] == "hello\n"
    assert {"numpy", "pandas", "scikit-learn"} <= set(capture["packages"])
    assert capture["execution_count"] == 2
    assert capture["wall_s"] >= 0
    assert {"cell source (5 lines)", "2 params: C, random_state", "1 metric: accuracy", "stdout (1 line)"} <= set(
        capture["captured"]
    )
    for entry in capture["captured"]:
        assert entry.split(" (")[0] in ready.cards[-1]["text/html"]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("source", "source"),
        ("output", "stdout"),
        ("packages", "packages"),
        ("params", None),
        ("metrics", None),
        ("git", "git"),
    ],
)
def test_no_capture_leaves_a_part_out_and_says_so(ready, part, key):
    ready.ok(f"%%track --no-capture {part}\nC = 2.0\naccuracy = abs(-0.5)\nprint('hello')")
    run = ready.last
    assert f"{part} (--no-capture)" in run.capture["not_captured"]
    if key:
        assert key not in run.capture
    else:
        assert not getattr(run.data, part)


def test_auto_tracks_what_trains_and_only_that(ready):
    ready.ok("%track auto")
    ready.ok("x = 1")
    assert ready.runs == []
    ready.ok("clf = SVC().fit(X_train, y_train)")
    assert len(ready.runs) == 1
    ready.ok("%track off")
    ready.ok("clf = SVC().fit(X_train, y_train)")
    assert len(ready.runs) == 1
    with pytest.raises(Exception, match="expected 'auto' or 'off', got 'maybe'"):
        ready.ok("%track maybe")


def test_cell_metadata_alone_can_ask_for_tracking(ready):
    shell = ready.shell
    shell.run_cell("loss = abs(-0.5)", store_history=True, cell_meta={"nbtrack": {"track": True}})
    assert dict(ready.last.data.metrics) == {"loss": 0.5}


def test_start_run_inside_a_tracked_cell_is_its_child(ready):
    ready.ok(
        "%%track folds\nimport nbtrack\nfor k in range(3):\n    with nbtrack.start_run(run_name=f'fold {k}'):\n"
        "        nbtrack.log_metric('acc', k / 2)\nnbtrack.end_run()\nmean_acc = sum(range(3)) / 6"
    )
    by_name = {run.info.run_name: run for run in ready.runs}
    parent = by_name["folds"]
    assert parent.data.metrics == {"mean_acc": 0.5}
    for k in range(3):
        assert by_name[f"fold {k}"].data.tags["nbtrack.parent_run_id"] == parent.run_id


def test_run_left_open_in_a_failing_cell_is_ended_failed(ready):
    ready.run("import nbtrack\nnbtrack.start_run(run_name='left')\n1 / 0")
    assert ready.last.info.status == "FAILED"
    ready.ok("with nbtrack.start_run(run_name='next'):\n    pass")


def test_exit_in_a_tracked_cell_is_no_finished_run(ready):
    with pytest.warns(UserWarning, match="To exit"):
        ready.run("%%track\nraise SystemExit")
    assert ready.last.info.status == "KILLED"


def test_cell_run_by_a_cell_is_a_run_of_its_own(ready):
    ready.ok("%%track outer\nget_ipython().run_cell('%%track inner\\nloss = abs(-1)')\nacc = abs(-0.5)")
    by_name = {run.info.run_name: run for run in ready.runs}
    assert by_name["inner"].data.tags["nbtrack.parent_run_id"] == by_name["outer"].run_id
    assert dict(by_name["outer"].data.metrics) == {"acc": 0.5}
    assert {run.info.status for run in by_name.values()} == {"FINISHED"}


def test_threads_of_a_cell_log_on_its_run(ready):
    ready.ok(
        "%%track\nimport nbtrack, threading\n"
        "t = threading.Thread(target=lambda: nbtrack.log_metric('inside', 1))\nt.start()\nt.join()"
    )
    assert dict(ready.last.data.metrics) == {"inside": 1.0}
