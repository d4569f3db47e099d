"""Runs: params, tags, inputs, capture, statuses, edits, trash, nesting, resuming."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nbtrack.entities import TAG_PARENT, DatasetInput, Status
from nbtrack.errors import (
    AlreadyExistsError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    RunStateError,
)
from nbtrack.store.base import Store

from .base import Promises, make_run

NO_RUN = "0" * 21


class RunPromises(Promises):
    """What a store promises about runs."""

    def test_create_run_live_run_is_seen_at_once(self, store: Store) -> None:
        before = time.time_ns() // 1_000_000
        writer = store.create_run(run_name="first", tags={"a": "1"})
        writer.log_params({"lr": 0.1})
        other = self.fresh(store)
        run = other.get_run(writer.run_id)
        assert (run.info.run_name, run.info.status, run.info.end_time) == ("first", "RUNNING", None)
        assert (run.info.experiment_id, run.info.lifecycle_stage) == ("0", "active")
        assert before <= run.info.start_time <= time.time_ns() // 1_000_000
        assert (run.data.params, run.data.tags["a"]) == ({"lr": "0.1"}, "1")
        assert not writer.ended
        writer.end()
        assert writer.ended

    def test_create_run_without_a_name_gets_readable_ones(self, store: Store) -> None:
        names = {store.get_run(make_run(store)).info.run_name for _ in range(8)}
        assert len(names) >= 4
        assert all(name and name.isprintable() and len(name) < 60 for name in names)

    def test_create_run_with_an_id_keeps_it_once(self, store: Store) -> None:
        ident = "0123456789abcdef0123456789abcdef"
        store.create_run(run_id=ident, run_name="imported").end()
        assert self.fresh(store).get_run(ident).info.run_name == "imported"
        with pytest.raises(AlreadyExistsError, match=ident):
            self.fresh(store).create_run(run_id=ident)

    @pytest.mark.parametrize("bad", ["../x", "ABC", "g" * 21, "", "0" * 20, "0" * 33])
    def test_create_run_with_an_odd_id_is_refused(self, store: Store, bad: str) -> None:
        with pytest.raises(InvalidNameError, match="run id"):
            store.create_run(run_id=bad)
        assert self.fresh(store).search_runs(view="ALL") == []

    def test_create_run_unknown_experiment_is_refused(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="4711"):
            store.create_run("4711")

    def test_create_run_start_time_is_kept_to_the_millisecond(self, store: Store) -> None:
        run_id = make_run(store, start=1_600_000_000_123)
        assert self.fresh(store).get_run(run_id).info.start_time == 1_600_000_000_123

    @pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
    def test_end_status_and_time_are_kept(self, store: Store, status: Status) -> None:
        writer = store.create_run(start_time_ms=1_600_000_000_000)
        writer.end(status, end_time_ms=1_600_000_005_678)
        info = self.fresh(store).get_run(writer.run_id).info
        assert (info.status, info.start_time, info.end_time) == (status, 1_600_000_000_000, 1_600_000_005_678)

    def test_end_twice_changes_nothing(self, store: Store) -> None:
        writer = store.create_run()
        writer.end("FAILED")
        writer.end("FINISHED")
        assert self.fresh(store).get_run(writer.run_id).info.status == "FAILED"

    def test_end_unknown_status_is_refused(self, store: Store) -> None:
        writer = store.create_run()
        with pytest.raises(InvalidInputError, match="DONE"):
            writer.end("DONE")  # type: ignore[arg-type]
        writer.end()
        assert self.fresh(store).get_run(writer.run_id).info.status == "FINISHED"

    @pytest.mark.parametrize(
        "call",
        [
            lambda w: w.log_metrics({"a": 1.0}),
            lambda w: w.log_metric("a", 1.0),
            lambda w: w.log_params({"a": 1}),
            lambda w: w.set_tags({"a": 1}),
            lambda w: w.delete_tag("old"),
            lambda w: w.log_inputs([DatasetInput("d")]),
            lambda w: w.log_artifact(b"x", "x.txt"),
            lambda w: w.log_capture({"a": 1}),
            lambda w: w.set_name("other"),
        ],
        ids=["metrics", "metric", "params", "tags", "delete_tag", "inputs", "artifact", "capture", "name"],
    )
    def test_write_after_the_end_is_refused(self, store: Store, call: Any) -> None:
        writer = store.create_run(run_name="done", tags={"old": "1"})
        writer.end()
        before = self.raw_records(store, writer.run_id)
        with pytest.raises(RunStateError, match="end"):
            call(writer)
        assert self.raw_records(store, writer.run_id) == before

    # -- params ----------------------------------------------------------------------------------------------------
    def test_log_params_are_kept_as_text(self, store: Store) -> None:
        values = {"a": 1, "b": 0.1, "c": True, "d": None, "e": "x\ny\u2028\x00", "f": [1, "z"], "Ä ö": "ß✓😀", "g": ""}
        run_id = make_run(store, params=values)
        assert self.fresh(store).get_run(run_id).data.params == {key: str(value) for key, value in values.items()}

    def test_log_params_long_value_is_kept_whole(self, store: Store) -> None:
        text = "ä0" * 100_000
        run_id = make_run(store, params={"long": text})
        assert self.fresh(store).get_run(run_id).data.params["long"] == text

    def test_log_params_same_value_again_is_fine_another_is_refused(self, store: Store) -> None:
        writer = store.create_run()
        writer.log_params({"lr": 0.1})
        writer.log_params({"lr": "0.1"})
        with pytest.raises(InvalidInputError, match="lr"):
            writer.log_params({"new": 1, "lr": 0.2})
        writer.end()
        assert self.fresh(store).get_run(writer.run_id).data.params == {"lr": "0.1"}

    def test_log_params_many_are_kept(self, store: Store) -> None:
        params = {f"p{i}": i for i in range(3000)}
        run_id = make_run(store, params=params)
        assert self.fresh(store).get_run(run_id).data.params == {key: str(value) for key, value in params.items()}

    # -- tags, inputs, capture, name -----------------------------------------------------------------------------------
    def test_set_tags_later_wins_and_delete_removes(self, store: Store) -> None:
        writer = store.create_run(tags={"a": 1, "b": 2})
        writer.set_tags({"b": "x", "c": "y"})
        writer.delete_tag("a")
        writer.set_tags({"c": "z"})
        for _ in range(2):  # live, then sealed
            tags = self.fresh(store).get_run(writer.run_id).data.tags
            assert {key: tags.get(key) for key in "abc"} == {"a": None, "b": "x", "c": "z"}
            writer.end()

    def test_log_inputs_are_kept_in_order(self, store: Store) -> None:
        inputs = [
            DatasetInput("iris", "training", "abc", "iris.csv", {"rows": 150, "columns": ["a", "b"]}),
            DatasetInput("größe", "test"),
        ]
        writer = store.create_run()
        writer.log_inputs(inputs[:1])
        writer.log_inputs(inputs[1:])
        for _ in range(2):
            assert list(self.fresh(store).get_run(writer.run_id).inputs.dataset_inputs) == inputs
            writer.end()

    def test_log_capture_is_merged_key_by_key(self, store: Store) -> None:
        writer = store.create_run()
        writer.log_capture({"cell": {"source": "a = 1\n", "lines": [1, 2]}, "env": {"python": "3"}})
        writer.log_capture({"env": {"python": "4"}, "git": None})
        for _ in range(2):
            capture = self.fresh(store).get_run(writer.run_id).capture
            assert capture == {
                "cell": {"source": "a = 1\n", "lines": [1, 2]},
                "env": {"python": "4"},
                "git": None,
            }
            writer.end()

    def test_set_name_renames_while_live(self, store: Store) -> None:
        writer = store.create_run(run_name="old")
        writer.set_name("new")
        for _ in range(2):
            assert self.fresh(store).get_run(writer.run_id).info.run_name == "new"
            writer.end()
        assert [r.info.run_name for r in self.fresh(store).search_runs()] == ["new"]

    def test_get_run_unknown_raises(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match=NO_RUN):
            store.get_run(NO_RUN)
        with pytest.raises(InvalidNameError, match="run id"):
            store.get_run("../../etc/passwd")

    # -- edits by others -------------------------------------------------------------------------------------------
    def test_edit_run_changes_a_finished_run(self, store: Store) -> None:
        run_id = make_run(store, "a", params={"p": 1}, metrics={"m": 1.0}, tags={"x": "1", "y": "2"})
        log = self.raw_records(store, run_id)
        self.fresh(store).edit_run(
            run_id,
            run_name="b",
            tags={"x": "3", "y": None, "z": "ö"},
            params={"q": "2"},
            metrics={"late": 0.5},
            capture={"note": [1]},
        )
        run = self.fresh(store).get_run(run_id)
        assert (run.info.run_name, run.info.status) == ("b", "FINISHED")
        assert {key: run.data.tags.get(key) for key in "xyz"} == {"x": "3", "y": None, "z": "ö"}
        assert (run.data.params, run.data.metrics) == ({"p": "1", "q": "2"}, {"m": 1.0, "late": 0.5})
        assert run.capture == {"note": [1]}
        assert self.raw_records(store, run_id) == log

    def test_edit_run_of_a_live_run_mixes_with_what_its_writer_says(self, store: Store) -> None:
        writer = store.create_run(tags={"who": "writer"})
        time.sleep(0.003)
        self.fresh(store).edit_run(writer.run_id, tags={"who": "editor", "note": "seen"})
        assert self.fresh(store).get_run(writer.run_id).data.tags["who"] == "editor"
        time.sleep(0.003)
        writer.set_tags({"who": "writer again"})
        writer.log_metrics({"m": 1.0})
        for _ in range(2):
            for run in (self.fresh(store).get_run(writer.run_id), self.fresh(store).search_runs()[0]):
                assert (run.data.tags["who"], run.data.tags["note"]) == ("writer again", "seen")
                assert run.data.metrics == {"m": 1.0}
            writer.end()

    def test_edit_run_later_edit_wins(self, store: Store) -> None:
        run_id = make_run(store)
        for number in range(12):
            store.edit_run(run_id, tags={"n": str(number)})
            time.sleep(0.0015)
        assert self.fresh(store).get_run(run_id).data.tags["n"] == "11"
        assert self.fresh(store).search_runs(filter_string="tags.n = '11'")[0].run_id == run_id

    def test_edit_run_edits_in_one_millisecond_keep_their_order(self, store: Store) -> None:
        run_id = make_run(store)
        for number in range(30):
            store.edit_run(run_id, tags={"n": str(number)})
        assert self.fresh(store).get_run(run_id).data.tags["n"] == "29"

    def test_edit_run_status_ends_a_run_for_its_writer(self, store: Store) -> None:
        run_id = make_run(store, status="FAILED")
        store.edit_run(run_id, status="KILLED")
        assert self.fresh(store).get_run(run_id).info.status == "KILLED"

    def test_edit_run_unknown_raises(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match=NO_RUN):
            store.edit_run(NO_RUN, tags={"a": "1"})

    def test_edit_run_trash_and_restore(self, store: Store) -> None:
        kept, gone = make_run(store, "kept"), make_run(store, "gone", metrics={"m": 2.0})
        store.edit_run(gone, deleted=True)
        other = self.fresh(store)
        assert [r.run_id for r in other.search_runs()] == [kept]
        assert [r.run_id for r in other.search_runs(view="DELETED_ONLY")] == [gone]
        assert {r.run_id for r in other.search_runs(view="ALL")} == {kept, gone}
        run = other.get_run(gone)
        assert (run.info.lifecycle_stage, run.data.metrics) == ("deleted", {"m": 2.0})
        time.sleep(0.003)
        other.edit_run(gone, deleted=False)
        assert {r.run_id for r in store.search_runs()} == {kept, gone}
        assert self.fresh(store).get_run(gone).info.lifecycle_stage == "active"

    # -- nested and resumed ----------------------------------------------------------------------------------------
    def test_nested_runs_write_side_by_side(self, store: Store) -> None:
        parent = store.create_run(run_name="parent")
        children = [store.create_run(run_name=f"child {i}", tags={TAG_PARENT: parent.run_id}) for i in range(3)]
        for step in range(5):
            for number, child in enumerate(children):
                child.log_metrics({"loss": number + step / 10})
            parent.log_metrics({"best": step})
        for writer in (*children, parent):
            writer.end()
        other = self.fresh(store)
        found = other.search_runs(filter_string=f"tags.`{TAG_PARENT}` = '{parent.run_id}'", order_by=["run_name"])
        assert [r.info.run_name for r in found] == ["child 0", "child 1", "child 2"]
        assert [r.data.metrics["loss"] for r in found] == [0.4, 1.4, 2.4]
        assert other.get_run(parent.run_id).data.metrics == {"best": 4.0}

    def test_resume_run_goes_on_where_it_stopped(self, store: Store) -> None:
        first = store.create_run(run_name="r", tags={"a": "1"})
        first.log_params({"lr": 1})
        first.log_metrics({"m": 0.5})
        first.log_metrics({"m": 0.25})
        first.end("FAILED")
        log = self.raw_records(store, first.run_id)
        time.sleep(0.003)
        second = self.fresh(store).resume_run(first.run_id)
        assert second.run_id == first.run_id
        assert self.fresh(store).get_run(first.run_id).info.status == "RUNNING"
        second.log_metrics({"m": 0.125, "new": 7.0})
        second.set_tags({"a": "2"})
        with pytest.raises(InvalidInputError, match="lr"):
            second.log_params({"lr": 2})
        second.log_params({"lr": 1, "more": 2})
        for status in ("RUNNING", "FINISHED"):
            other = self.fresh(store)
            run = other.get_run(first.run_id)
            assert (run.info.status, run.info.run_name) == (status, "r")
            assert run.data.params == {"lr": "1", "more": "2"}
            assert (run.data.metrics, run.data.tags["a"]) == ({"m": 0.125, "new": 7.0}, "2")
            history = other.get_metric_history(first.run_id, "m")
            assert (history.step.tolist(), history.value.tolist()) == ([0, 1, 2], [0.5, 0.25, 0.125])
            second.end()
        assert self.raw_records(store, first.run_id) == log
        assert len(self.fresh(store).search_runs()) == 1

    def test_resume_run_many_times_keeps_everything(self, store: Store) -> None:
        run_id = make_run(store, metrics={"m": 0.0})
        for number in range(1, 6):
            time.sleep(0.002)
            writer = store.resume_run(run_id)
            writer.log_metrics({"m": float(number)})
            writer.end()
        history = self.fresh(store).get_metric_history(run_id, "m")
        assert history.value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert history.step.tolist() == [0, 1, 2, 3, 4, 5]
        summary = self.fresh(store).get_run(run_id).summaries["m"]
        assert (summary.last, summary.min, summary.max, summary.count) == (5.0, 0.0, 5.0, 6)

    def test_resume_run_live_or_unknown_is_refused(self, store: Store) -> None:
        writer = store.create_run()
        with pytest.raises(RunStateError, match=writer.run_id):
            self.fresh(store).resume_run(writer.run_id)
        with pytest.raises(NotFoundError, match=NO_RUN):
            store.resume_run(NO_RUN)
        writer.end()

    def test_discard_takes_a_run_back_as_if_never_started(self, store: Store) -> None:
        kept = make_run(store)
        reader = self.fresh(store)
        writer = store.create_run(run_name="mistake")
        writer.log_metrics({"m": 1.0})
        assert len(reader.search_runs()) == 2
        writer.discard()
        assert writer.ended
        for other in (store, reader, self.fresh(store)):
            assert [r.run_id for r in other.search_runs(view="ALL")] == [kept]
            with pytest.raises(NotFoundError, match=writer.run_id):
                other.get_run(writer.run_id)
        assert list(self.fresh(store).check()) == []
