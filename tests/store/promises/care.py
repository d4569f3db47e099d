"""Care: info, check, gc, index, revision."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from nbtrack.errors import NotFoundError
from nbtrack.store.base import Store

from .base import Promises, make_run


class CarePromises(Promises):
    """What a store promises about looking after itself."""

    def test_info_tells_the_facts(self, store: Store) -> None:
        empty = store.info()
        assert {"uri", "name", "format_version", "writable", "runs", "experiments", "models", "size_bytes"} <= set(
            empty
        )
        assert (empty["runs"], empty["models"], empty["writable"]) == (0, 0, True)
        assert empty["uri"] == store.uri and empty["name"] == store.name
        make_run(store)
        make_run(store)
        store.append_commit("clf", {"action": "x"})
        store.create_experiment("wine")
        store.put_blob(b"x" * 50_000)
        facts = self.fresh(store).info()
        assert (facts["runs"], facts["models"], facts["experiments"]) == (2, 1, empty["experiments"] + 1)
        assert facts["size_bytes"] > empty["size_bytes"] + 50_000

    def test_revision_changes_with_every_change_and_only_then(self, store: Store) -> None:
        reader = self.fresh(store)
        seen = [reader.revision()]
        writer = store.create_run()
        seen.append(reader.revision())
        for step in range(3):
            writer.log_metrics({"m": step})
            seen.append(reader.revision())
        writer.set_tags({"a": "1"})
        seen.append(reader.revision())
        writer.end()
        seen.append(reader.revision())
        store.edit_run(writer.run_id, tags={"b": "2"})
        seen.append(reader.revision())
        store.append_commit("m", {"action": "x"})
        seen.append(reader.revision())
        store.append_commit("m", {"action": "y"})
        seen.append(reader.revision())
        store.create_experiment("wine")
        seen.append(reader.revision())
        assert all(isinstance(text, str) and len(text) < 100 for text in seen)
        assert len(set(seen)) == len(seen)
        time.sleep(0.05)
        assert reader.revision() == seen[-1]

    def test_check_of_a_sound_store_finds_nothing(self, store: Store) -> None:
        make_run(store, params={"p": 1}, metrics={"m": 1.0}, tags={"t": "1"})
        live = store.create_run()
        live.log_artifact(b"x", "x.txt")
        live.log_metrics({"m": 2.0})
        store.edit_run(live.run_id, tags={"e": "1"})
        store.append_commit("clf", {"action": "x"})
        store.create_experiment("wine")
        assert list(self.fresh(store).check()) == []
        live.end()
        assert list(self.fresh(store).check(repair=True)) == []

    def test_check_names_a_harmed_blob(self, store: Store) -> None:
        writer = store.create_run()
        digest = writer.log_artifact(b"weights", "w.bin").digest
        writer.end()
        self.harm_blob(store, digest)
        (problem,) = list(self.fresh(store).check())
        assert digest in problem.path.replace("/", "").replace("\\", "") or digest in problem.what
        assert not problem.repaired

    def test_gc_previews_then_frees_only_trashed_runs(self, store: Store) -> None:
        shared, alone = b"shared" * 1000, b"alone" * 2000
        kept, gone = store.create_run(run_name="kept"), store.create_run(run_name="gone")
        kept.log_artifact(shared, "a")
        gone.log_artifact(shared, "a")
        only = gone.log_artifact(alone, "b").digest
        for writer in (kept, gone):
            writer.log_metrics({"m": 1.0})
            writer.end()
        store.edit_run(gone.run_id, deleted=True)
        assert store.gc(older_than_s=3600).run_ids == ()
        preview = store.gc()
        assert (preview.run_ids, preview.blobs) == ((gone.run_id,), 1)
        assert preview.size_bytes >= len(alone)
        assert self.fresh(store).get_run(gone.run_id).info.run_name == "gone"
        before = self.fresh(store).info()["size_bytes"]
        done = self.fresh(store).gc(dry_run=False)
        assert (done.run_ids, done.blobs, done.size_bytes) == (preview.run_ids, preview.blobs, preview.size_bytes)
        other = self.fresh(store)
        assert before - other.info()["size_bytes"] >= len(alone)
        with pytest.raises(NotFoundError, match=gone.run_id):
            other.get_run(gone.run_id)
        with pytest.raises(NotFoundError, match=only[:12]):
            other.read_blob(only)
        run = other.get_run(kept.run_id)
        assert other.read_blob(run.artifacts["a"].digest) == shared
        assert (other.gc().run_ids, list(other.check())) == ((), [])
        assert [r.run_id for r in other.search_runs(view="ALL")] == [kept.run_id]

    def test_gc_restored_run_and_live_run_stay(self, store: Store) -> None:
        live = store.create_run()
        digest = live.log_artifact(b"fresh", "x").digest
        run_id = make_run(store)
        store.edit_run(run_id, deleted=True)
        time.sleep(0.003)
        store.edit_run(run_id, deleted=False)
        assert self.fresh(store).gc(dry_run=False).run_ids == ()
        assert self.fresh(store).read_blob(digest) == b"fresh"
        live.end()
        assert {r.run_id for r in self.fresh(store).search_runs()} == {live.run_id, run_id}

    def test_gc_keeps_blobs_that_models_and_edits_refer_to(self, store: Store) -> None:
        from nbtrack.entities import Artifact

        run_id = make_run(store)
        digest, size = store.put_blob(b"by an edit")
        store.edit_run(run_id, artifacts=[Artifact("late", digest, size)])
        store.gc(dry_run=False)
        assert self.fresh(store).read_blob(digest) == b"by an edit"

    def test_rebuild_index_counts_runs_and_changes_no_answer(self, store: Store) -> None:
        runs = [make_run(store, metrics={"m": i}, tags={"i": i}) for i in range(25)]
        store.edit_run(runs[3], deleted=True)
        store.edit_run(runs[4], run_name="edited")
        before = self.fresh(store).search_runs(view="ALL", order_by=["run_id"])
        assert self.fresh(store).rebuild_index() == 25
        assert self.fresh(store).search_runs(view="ALL", order_by=["run_id"]) == before

    def test_compact_keeps_every_value_bit_for_bit(self, store: Store) -> None:
        odd = [
            0.0,
            -0.0,
            1e308,
            5e-324,
            math.inf,
            -math.inf,
            math.nan,
            0.1,
            1 / 3,
            2.0**53 + 2,
            3.0,
            float(np.float32(0.1)),
        ]
        writer = store.create_run(run_name="long")
        for step in range(4000):
            writer.log_metrics(
                {"m": odd[step % 12], "n": step / 7}, step=(step * 31) % 1000 - 500, timestamp_ms=10**12 + step
            )
            if step % 5 == 0:
                writer.log_metrics({"n": -1.0, "only": step}, step=2**62 - step)
        writer.log_params({"p": "1"})
        writer.log_artifact(b"x" * 100, "x.txt")
        writer.end()
        live = store.create_run(run_name="live")
        for step in range(4000):
            live.log_metrics({"m": float(step)})

        def all_values() -> list[object]:
            other = self.fresh(store)
            found: list[object] = [repr(other.get_run(writer.run_id)), repr(other.search_runs())]
            for key in ("m", "n", "only"):
                history = other.get_metric_history(writer.run_id, key)
                found += [history.step.tolist(), history.timestamp.tolist(), history.value.view(np.int64).tolist()]
            return found

        before, size = all_values(), self.fresh(store).info()["size_bytes"]
        preview = self.fresh(store).compact()
        assert preview.run_ids == (writer.run_id,) and preview.size_bytes > 0
        assert all_values() == before
        told: list[tuple[int, int]] = []
        done = self.fresh(store).compact(dry_run=False, progress=lambda at, of: told.append((at, of)))
        assert (done.run_ids, done.size_bytes) == (preview.run_ids, preview.size_bytes)
        assert told and told[-1][0] == told[-1][1]
        assert all_values() == before
        assert self.fresh(store).info()["size_bytes"] < size
        assert self.fresh(store).compact(dry_run=False).run_ids == ()
        assert list(self.fresh(store).check()) == []
        again = self.fresh(store).resume_run(writer.run_id)
        again.log_metrics({"only": 7.5})
        again.end()
        assert self.fresh(store).get_metric_history(writer.run_id, "only").step.tolist()[-1] == 2**62 - 3995 + 1
        live.end()

    def test_long_work_tells_its_progress(self, store: Store) -> None:
        for number in range(40):
            make_run(store, metrics={"m": number})
        store.edit_run(make_run(store), deleted=True)
        other = self.fresh(store)
        for work in (
            lambda tell: list(other.check(progress=tell)),
            lambda tell: other.rebuild_index(progress=tell),
            lambda tell: other.gc(dry_run=False, progress=tell),
        ):
            told: list[tuple[int, int]] = []
            work(lambda at, of, told=told: told.append((at, of)))
            assert told and told[-1][0] == told[-1][1] > 0
            assert [at for at, _ in told] == sorted(at for at, _ in told)
