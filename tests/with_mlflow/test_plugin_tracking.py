"""Experiments, runs and logged models: our store answers as MLflow's own database does."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)

from .twins import Twin, Twins


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return Twins(tmp_path_factory.mktemp("twins"))


def experiments(twin: Twin, *names: str) -> list[str]:
    found = []
    for name in names:
        time.sleep(0.002)  # each in a millisecond of its own, so that their order is known
        found.append(str(twin.store.create_experiment(name)))
    return found


def new_run(twin: Twin, experiment_id: str = "0", **given: Any) -> str:
    fields = {"user_id": "ana", "start_time": 1000, "tags": [], "run_name": "r", **given}
    return str(twin.store.create_run(experiment_id, **fields).info.run_id)


def names(found: Any) -> list[str]:
    return [getattr(one, "name", None) or one.info.run_name for one in found]


def test_experiments_are_made_found_renamed_and_trashed(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store = twin.store
        red, green = experiments(twin, "red", "green")
        for wanted in (red, int(red), "77", 77, "word", "1.5", "", None):
            twin.ask(store.get_experiment, wanted)
        twin.ask(store.create_experiment, "red")
        twin.ask(store.create_experiment, "x" * 501)
        twin.ask(store.set_experiment_tag, red, ExperimentTag("k", "v\nw"))
        twin.ask(store.delete_experiment_tag, red, "nothing")
        twin.ask(store.rename_experiment, green, "blue")
        twin.ask(store.rename_experiment, green, "blue")
        twin.ask(store.get_experiment, green)
        run_id = new_run(twin, red)
        for _ in range(2):
            twin.ask(store.delete_experiment, red)
        twin.ask(store.create_run, red, "u", 1, [], "n")
        twin.ask(store.set_experiment_tag, red, ExperimentTag("k", "w"))
        twin.ask(store.log_param, run_id, Param("p", "v"))
        twin.ask(store.get_experiment_by_name, "red")
        twin.ask(store.create_experiment, "red")
        for _ in range(2):
            twin.ask(store.restore_experiment, red)
        twin.ask(store.get_run, run_id)
        twin.ask(lambda: set(store.filter_active_experiment_ids([red, "77", "0"])))
        twin.ask(store._hard_delete_experiment, green)
        model_id = store.create_logged_model(green, "m").model_id
        store.delete_experiment(green)
        twin.ask(store._get_deleted_runs)
        run_id = new_run(twin, red)
        twin.ask(store._hard_delete_experiment, green)
        twin.ask(store.get_logged_model, model_id)
        for call in (store.get_experiment, store.delete_experiment, store.restore_experiment):
            twin.ask(call, green)
        twin.ask(lambda: names(store.search_experiments(ViewType.ALL)))
        twin.ask(store.get_experiment_by_name, "blue")

    twins.agree(script)


def test_experiments_are_searched(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        search = twin.store.search_experiments
        experiments(twin, "a", "ab", "Abc", "d")
        twin.store.set_experiment_tag("4", ExperimentTag("k e y", "Value"))
        for text in (
            "name = 'a'",
            "name != 'a'",
            "name LIKE 'a%'",
            "name ILIKE 'a%' AND name ILIKE '%b'",
            "name > 'a'",
        ):
            twin.ask(lambda text=text: names(search(filter_string=text)))
        for text in ("tag.`k e y` = 'Value'", "tags.\"k e y\" ILIKE 'v%'", "tag.`k e y` IS NULL", "size = 'a'", "name"):
            twin.ask(lambda text=text: names(search(filter_string=text)))
        for order in (["name"], ["name DESC"], ["experiment_id DESC"], ["creation_time"], ["size"], ["name up"]):
            twin.ask(lambda order=order: names(search(order_by=order)))
        for limit in (None, 0, -1, 3, 50_000, 50_001):
            twin.ask(lambda limit=limit: names(search(max_results=limit)))
        page = twin.ask(search, max_results=3)
        twin.ask(search, max_results=3, page_token=page.token)
        twin.ask(search, page_token="none of ours")

    twins.agree(script)


def test_runs_live_and_end_with_any_time(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store = twin.store
        ended = [
            (status, 5000) for status in (RunStatus.RUNNING, RunStatus.SCHEDULED, RunStatus.FAILED, RunStatus.KILLED)
        ]
        ended += [(RunStatus.FINISHED, end) for end in (None, -5, 5000, None)]
        for number, (status, end) in enumerate(ended):
            twin.ask(store.update_run_info, new_run(twin, start_time=number), status, end, None)
        for order in (["end_time", "start_time"], ["end_time DESC", "start_time"], ["status", "start_time DESC"]):
            twin.ask(lambda order=order: _ends(store, order))
        twin.ask(lambda: _ends(store, ["start_time"], "attributes.end_time < 0"))
        run_id = new_run(twin, run_name=None, tags=[RunTag("mlflow.runName", "tagged")])
        for name in ("second", None, ""):
            twin.ask(store.update_run_info, run_id, RunStatus.FINISHED, 1000, name)
        twin.ask(store.delete_tag, run_id, "mlflow.runName")
        twin.ask(store.get_run, run_id)
        twin.ask(store.delete_tag, run_id, "mlflow.runName")
        twin.ask(lambda: names(store.search_runs(["0"], "tags.`mlflow.runName` = 'second'", ViewType.ALL)))
        twin.ask(store.log_batch, run_id, [], [], [RunTag("mlflow.runName", "third")])
        twin.ask(store.get_run, run_id)
        twin.ask(store.create_run, "0", "u", 1, [RunTag("mlflow.runName", "a")], "b")
        for _ in range(2):
            twin.ask(store._hard_delete_run, run_id)

    twins.agree(script)


def _ends(store: Any, order: list[str], text: str = "") -> list[Any]:
    return [(run.info.end_time, run.info.status) for run in store.search_runs(["0"], text, ViewType.ALL, 100, order)]


NOBODY = ["0" * 32, "nobody", "", "../x", "x" * 300]


def test_calls_on_runs_that_are_not_there_or_trashed(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store = twin.store
        trashed = new_run(twin)
        store.delete_run(trashed)
        for run_id in [*NOBODY, trashed]:
            for call, given in (
                (store.get_run, ()),
                (store.log_metric, (Metric("m", 1.0, 1, 0),)),
                (store.log_param, (Param("p", "v"),)),
                (store.set_tag, (RunTag("t", "v"),)),
                (store.delete_tag, ("t",)),
                (store.log_batch, ([], [], [])),
                (store.update_run_info, (RunStatus.FINISHED, 1, None)),
                (store.log_outputs, ([LoggedModelOutput("m-1", 0)],)),
                (store.delete_run, ()),
                (store.get_metric_history, ("m",)),
            ):
                twin.ask(call, run_id, *given)
        twin.ask(store._get_deleted_runs)
        twin.ask(store.restore_run, trashed)
        twin.ask(store.log_metric, trashed, Metric("m", 34.0, 85, 1))
        twin.ask(store.get_run, trashed)

    twins.agree(script)


def test_ids_statuses_and_views_that_mlflow_does_not_know(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store, run_id = twin.store, new_run(twin)
        for wanted in (["word"], [""], [None], ["1.5"], [99], ["0", "word"]):
            twin.ask(store.search_runs, wanted, "", ViewType.ALL)
            twin.ask(store._search_datasets, wanted)
            twin.ask(lambda wanted=wanted: list(store.filter_active_experiment_ids(wanted)))
        for nobody in (None, 5):
            twin.ask(store.get_run, nobody)
            twin.ask(store.log_metric, nobody, Metric("m", 1.0, 1, 0))
        for status in (0, 6, "FINISHED", "nope"):
            twin.ask(store.update_run_info, run_id, status, 1000, None)
        for view in (None, 0, 4, "x"):
            twin.ask(store.search_runs, ["0"], "", view)
            twin.ask(store.search_experiments, view)
        for order in (["dataset.name"], ["created", "start_time DESC"]):
            twin.ask(store.search_runs, ["0"], "", ViewType.ALL, 10, order)
        for end in (0, 7, None, 0):
            twin.ask(store.update_run_info, run_id, RunStatus.FINISHED, end, None)
        store.update_run_info(run_id, RunStatus.FINISHED, 9, None)
        twin.ask(store.update_run_info, run_id, RunStatus.RUNNING, None, None)  # at once: goes on, as it was
        twin.ask(store.log_metric, run_id, Metric("m", 1.0, 1, 2.0))
        twin.ask(lambda: [m.step for m in store.get_metric_history(run_id, "m")])

    twins.agree(script)


def test_what_is_logged_wrongly(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store, run_id = twin.store, new_run(twin)
        for key, value, at, step in (
            ("m", None, 1, 0),
            ("m", "x", 1, 0),
            (None, 1, 1, 0),
            ("", 1, 1, 0),
            ("a//b", 1, 1, 0),
        ):
            twin.ask(store.log_metric, run_id, Metric(key, value, at, step))
            twin.ask(store.log_batch, run_id, [Metric("good", 1, 1, 0), Metric(key, value, at, step)], [], [])
        for key in ("", None, "../p", "a" * 251, "k$"):
            twin.ask(store.log_param, run_id, Param(key, "v"))
            twin.ask(store.set_tag, run_id, RunTag(key, "v"))
        twin.ask(store.log_batch, run_id, [], [Param("p", "1"), Param("p", "2")], [])
        twin.ask(store.log_batch, run_id, [Metric("m", 1, 1, 0)] * 1001, [], [])
        store.log_param(run_id, Param("p", "1"))
        twin.ask(store.log_batch, run_id, [Metric("lost", 1, 1, 0)], [Param("p", "2")], [RunTag("lost", "x")])
        for field in ("name", "digest", "source_type", "source"):
            given = {"name": "d", "digest": "e", "source_type": "t", "source": "s", field: None}
            twin.ask(store.log_inputs, run_id, [DatasetInput(Dataset(**given), [])])
        data = Dataset("d", "e", "t", "s")
        for key, value in ((None, "v"), ("k", None), ("k" * 256, "v"), ("k", "v" * 501)):
            twin.ask(store.log_inputs, run_id, [DatasetInput(data, [InputTag(key, value)])])
        twin.ask(store.get_run, run_id)

    twins.agree(script)


def test_metrics_and_their_history(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store, run_id = twin.store, new_run(twin)
        for step, at, value in ((-1, 800, 8.0), (3, 50, 20.0), (3, 50, 10.0), (3, 40, 100.0), (0, 100, 1000.0)):
            store.log_metric(run_id, Metric("m", value, at, step))
        store.log_metric(run_id, Metric("nan", math.nan, 1, 0))
        twin.ask(lambda: store.get_run(run_id).data.metrics)
        twin.ask(lambda: {(m.step, m.timestamp, m.value) for m in store.get_metric_history(run_id, "m")})
        twin.ask(lambda: names(store.search_runs(["0"], "metrics.m = 20", ViewType.ALL)))
        store.log_batch(run_id, [Metric("n", float(step), step, step) for step in range(10)], [], [])
        token = None
        for _ in range(3):
            page = twin.ask(store.get_metric_history, run_id, "n", 4, token)
            token = page.token
        twin.ask(store.get_metric_history, run_id, "n", 0)
        twin.ask(store.get_metric_history, run_id, "n", None, "none of ours")
        twin.ask(store.get_metric_history, run_id, "other")

    twins.agree(script)


def test_history_has_each_point_once_and_its_samples_are_those_of_mlflow(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store, runs = twin.store, [new_run(twin), new_run(twin, run_name="other")]
        points = [
            Metric("m", value, at, step) for value, at, step in ((2, 5, 1), (math.nan, 4, 1), (1, 3, 7), (2, 3, 0))
        ]
        for _ in range(2):
            store.log_batch(runs[0], [*points, points[0]], [], [])
        twin.ask(lambda: [(m.timestamp, m.step, str(m.value)) for m in store.get_metric_history(runs[0], "m")])
        store.log_batch(runs[1], [Metric("m", -step, step, step // 3) for step in range(23)], [], [])
        asked = [*sorted(runs), "0" * 32]
        for limit in (2, 100):
            twin.ask(lambda limit=limit: _told(store.get_metric_history_bulk(runs[1:], "m", limit)))
        for limit in (0, 1, 2, 5, 6, 22, 23):
            sample = store.get_metric_history_bulk_interval
            twin.ask(lambda limit=limit, sample=sample: _told(sample(asked[-1:] + runs[1:], "m", limit, None, None)))
            twin.ask(lambda limit=limit, sample=sample: _told(sample(runs[1:], "m", limit, 2, 5)))
        twin.ask(store.get_metric_history_bulk_interval, runs, "m", 3, 2, None)

    twins.agree(script)


def _told(found: list[Any]) -> list[Any]:
    return [(one.run_id, one.key, one.value, one.timestamp, one.step) for one in found]


def test_runs_are_searched(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        (place,) = experiments(twin, "place")
        search = twin.store.search_runs
        for number, value in enumerate([None, math.nan, math.inf, -5.0, 0.0]):
            run_id = new_run(twin, place, start_time=number, run_name=f"r{number}", tags=[RunTag("t", f"V{number}")])
            if value is not None:
                twin.store.log_metric(run_id, Metric("x", value, 1, 0))
            twin.store.log_param(run_id, Param("p", f"a_{number}"))
        given = DatasetInput(Dataset("wine", "d", "t", "s"), [InputTag("mlflow.data.context", "train")])
        twin.store.log_inputs(run_id, [given, DatasetInput(Dataset("beer", "d", "t", "s"), [])])
        texts = [
            "metrics.x > -1",
            "metrics.x LIKE 'a'",
            "params.p > 'a'",
            "tags.t RLIKE 'V'",
            "params.p IN ('a_1', 'a_2')",
        ]
        texts += [
            "tags.t IS NULL",
            "params.q IS NOT NULL",
            "params.p LIKE 'a_%'",
            "tags.t ILIKE 'v1'",
            "tags.t != 'V1'",
        ]
        texts += ["status = 'RUNNING'", "status != 'FAILED'", "user_id = 'ana'", "run_name ILIKE 'R%'", "size = 1"]
        texts += [
            "created > 1",
            "attributes.`Run Name` = 'r1'",
            "run_id IN ()",
            "start_time = 'x'",
            "lifecycle_stage = 'x'",
        ]
        texts += [
            "dataset.name = 'wine'",
            "dataset.context != 'train'",
            "dataset.size = 'x'",
            "params.p = 'a_4' AND dataset.name LIKE 'b%'",
        ]
        for text in texts:
            twin.ask(lambda text=text: names(search([place], text, ViewType.ALL)))
        for order in (
            ["metrics.x"],
            ["metrics.x DESC"],
            ["tag.t DESC"],
            ["params.q"],
            ["metrics.x", "metrics.x DESC"],
            ["size"],
        ):
            twin.ask(lambda order=order: names(search([place], "", ViewType.ALL, 100, order)))
        for limit in (0, -1, 2, None, 50_001):
            twin.ask(lambda limit=limit: names(search([place], "", ViewType.ALL, limit)))
        token = None
        for _ in range(2):
            page = search([place], "", ViewType.ALL, 3, None, token)
            token = page.token
            twin.ask(lambda page=page: (names(page), page.token is None))
        twin.ask(lambda: names(search([], "", ViewType.ALL)))
        twin.ask(lambda: {(one.name, one.context) for one in twin.store._search_datasets([place])})
        twin.ask(twin.store._search_datasets, [])

    twins.agree(script)


MODEL_TEXTS = ["name = 'apple'", "metrics.m > 0.6", "metrics.m > 1", "params.x != '4'", "tags.fruit LIKE 'a%'"]
MODEL_TEXTS += ["model_type = 'tree'", "name IN ('apple', 'pear')", "params.x > '1'", "bad", "name = 'a' OR name = 'b'"]


def test_logged_models(twins: Twins) -> None:
    def script(twin: Twin) -> None:
        store, run_id = twin.store, new_run(twin)
        for name in ("a/b", "a.b", "a%b", ""):
            twin.ask(lambda name=name: bool(store.create_logged_model("0", name).name))
        twin.ask(store.create_logged_model, "99", "m")
        tags, params = [LoggedModelTag("fruit", "apple")], [LoggedModelParameter("x", "3")]
        apple = twin.ask(store.create_logged_model, "0", "apple", run_id, tags, params, "tree").model_id
        time.sleep(0.002)
        pear = twin.ask(store.create_logged_model, "0", "pear").model_id
        for step, value, data in ((0, 0.5, "d1"), (1, 0.9, "d2"), (2, 0.7, None)):
            digest = data and "x"
            store.log_metric(run_id, Metric("m", value, step, step, apple, data, digest))
        twin.ask(lambda: {(m.value, m.step, m.dataset_name) for m in store.get_logged_model(apple).metrics})
        twin.ask(store.get_logged_model, pear)
        twin.ask(store.finalize_logged_model, pear, LoggedModelStatus.READY)
        twin.ask(store.log_logged_model_params, pear, [LoggedModelParameter("n", 3)])
        for wanted in ("m-" + "0" * 32, "nothing", "../x", None):
            twin.ask(store.get_logged_model, wanted)
        for text in MODEL_TEXTS:
            twin.ask(lambda text=text: names(store.search_logged_models(["0"], text)))
        for data in ({"dataset_name": "d1"}, {"dataset_name": "d1", "dataset_digest": "y"}, {}, {"dataset_name": "d3"}):
            twin.ask(lambda data=data: names(store.search_logged_models(["0"], "metrics.m > 0.4", [data])))
        for order in (
            {"field_name": "name"},
            {"field_name": "metrics.m"},
            {"field_name": "size"},
            {"field_name": "params.x"},
        ):
            twin.ask(
                lambda order=order: names(store.search_logged_models(["0"], "name LIKE '%p%'", None, None, [order]))
            )
        for _ in range(2):
            twin.ask(store.delete_logged_model, pear)
        twin.ask(store.get_logged_model, pear)
        twin.ask(store.get_logged_model, pear, True)
        store.delete_experiment(experiments(twin, "gone")[0])
        twin.ask(store.create_logged_model, store.get_experiment_by_name("gone").experiment_id, "m")

    twins.agree(script)
