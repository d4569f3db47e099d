"""Artifacts: bytes kept once by content, under a path that cannot leave the run."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from nbtrack.entities import Artifact
from nbtrack.errors import IntegrityError, InvalidInputError, NotFoundError
from nbtrack.store.base import Store

from .base import Promises, make_run


class ArtifactPromises(Promises):
    """What a store promises about artifacts and blobs."""

    def test_put_blob_bytes_text_and_file_are_the_same_content(self, store: Store, tmp_path: Path) -> None:
        data = "größe\r\n\x00✓".encode()
        file = tmp_path / "ä ö.bin"
        file.write_bytes(data)
        digests = {store.put_blob(data), store.put_blob(file)}
        assert digests == {(sha256(data).hexdigest(), len(data))}
        (digest, _) = digests.pop()
        assert self.raw_blob(store, digest) == data
        other = self.fresh(store)
        assert other.read_blob(digest) == data
        assert other.blob_path(digest).read_bytes() == data

    def test_put_blob_empty_and_large(self, store: Store, tmp_path: Path) -> None:
        assert store.read_blob(store.put_blob(b"")[0]) == b""
        large = bytes(range(256)) * 40_000
        file = tmp_path / "large"
        file.write_bytes(large)
        digest, size = store.put_blob(file)
        assert (digest, size) == (sha256(large).hexdigest(), len(large))
        assert self.raw_blob(store, digest) == large

    def test_put_blob_later_change_of_the_users_file_changes_nothing(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "weights"
        file.write_bytes(b"first")
        digest, _ = store.put_blob(file)
        stamp = file.stat().st_mtime_ns
        file.write_bytes(b"other")  # same length, and the same time below: a cache by stat would be fooled
        os.utime(file, ns=(stamp, stamp))
        assert store.put_blob(file)[0] == sha256(b"other").hexdigest()
        assert self.raw_blob(store, digest) == b"first"

    def test_read_blob_unknown_or_no_digest_raises(self, store: Store) -> None:
        for call in (store.read_blob, store.blob_path):
            with pytest.raises(NotFoundError, match="0" * 12):
                call("0" * 64)
            for bad in ("../../nbtrack.json", "0" * 63, "G" * 64, "", "/etc/passwd", "0" * 64 + "\n"):
                with pytest.raises((InvalidInputError, NotFoundError), match=r"blob|digest|sha256"):
                    call(bad)

    def test_read_blob_changed_bytes_are_never_given(self, store: Store) -> None:
        digest, _ = store.put_blob(b"the only true weights")
        self.harm_blob(store, digest)
        with pytest.raises(IntegrityError, match=digest[:12]):
            self.fresh(store).read_blob(digest)

    def test_log_artifact_of_bytes_text_and_file(self, store: Store, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_bytes(b"1,2\n")
        writer = store.create_run()
        answers = [
            writer.log_artifact(b"\x00\xff", "raw.bin"),
            writer.log_artifact(str(file), "data/a.csv"),
            writer.log_artifact(file, "data/sub/größe ✓.csv"),
        ]
        expected = {
            "raw.bin": Artifact("raw.bin", sha256(b"\x00\xff").hexdigest(), 2),
            "data/a.csv": Artifact("data/a.csv", sha256(b"1,2\n").hexdigest(), 4),
            "data/sub/größe ✓.csv": Artifact("data/sub/größe ✓.csv", sha256(b"1,2\n").hexdigest(), 4),
        }
        assert {a.path: a for a in answers} == expected
        for _ in range(2):
            assert dict(self.fresh(store).get_run(writer.run_id).artifacts) == expected
            writer.end()
        assert self.raw_blob(store, expected["raw.bin"].digest) == b"\x00\xff"

    def test_log_artifact_same_path_again_later_wins(self, store: Store) -> None:
        writer = store.create_run()
        writer.log_artifact(b"one", "x")
        writer.log_artifact(b"two", "x")
        for _ in range(2):
            artifact = self.fresh(store).get_run(writer.run_id).artifacts["x"]
            assert store.read_blob(artifact.digest) == b"two"
            writer.end()

    def test_log_artifact_missing_file_or_folder_is_refused(self, store: Store, tmp_path: Path) -> None:
        writer = store.create_run()
        for missing in (tmp_path / "none.csv", tmp_path):
            with pytest.raises((InvalidInputError, NotFoundError, OSError), match=missing.name):
                writer.log_artifact(missing, "x")
        writer.end()
        assert dict(self.fresh(store).get_run(writer.run_id).artifacts) == {}

    def test_list_artifacts_shows_files_and_folders_of_one_level(self, store: Store) -> None:
        writer = store.create_run()
        for path in ("b.txt", "plots/roc.png", "plots/deep/x", "plots2/y"):
            writer.log_artifact(path.encode(), path)
        writer.end()
        other = self.fresh(store)

        def level(path: str = "") -> list[tuple[str, int, bool]]:
            return [(a.path, a.file_size, a.is_dir) for a in other.list_artifacts(writer.run_id, path)]

        assert level() == [("b.txt", 5, False), ("plots", 25, True), ("plots2", 8, True)]
        assert level("plots") == level("plots/") == [("plots/deep", 12, True), ("plots/roc.png", 13, False)]
        assert level("b.txt") == [("b.txt", 5, False)]
        assert level("nothing") == []

    def test_edit_run_adds_artifacts(self, store: Store) -> None:
        run_id = make_run(store)
        digest, size = store.put_blob(b"late")
        store.edit_run(run_id, artifacts=[Artifact("late.txt", digest, size)])
        assert dict(self.fresh(store).get_run(run_id).artifacts) == {"late.txt": Artifact("late.txt", digest, 4)}
