"""Names from strangers: refused, or stored safely; never a file outside the store."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.errors import InvalidInputError, InvalidNameError
from nbtrack.store.base import Store

from .base import EXAMPLES, Promises, make_run

NASTY = [
    "..", "../x", "a/../b", "a/..", "/etc/passwd", "//host/share", "\\\\host\\share", "C:\\x", "C:x", "c:/x", "a\\b",
    "a\x00b", "a\nb", "\x1b[31m", "%2e%2e/x", "a%2fb", "%252e%252e%252fx", "x" * 300, "é" * 300, "con", "NUL.txt",
    "a//b", "./a", "a/./b", "~/x", "$HOME", "-rf", "größe/✓.txt", "a b", "a.", "a ", ".hidden", "模型/重み.bin", "'\"",
    "\u202egnp.exe", "\ud800", "a\u2028b", "*", "?", "|", "`id`", "{}", "a" * 255, "d/" * 400 + "x",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=300), st.lists(st.sampled_from(NASTY), max_size=4).map("/".join)
)
FEW = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tree(folder: Path) -> set[str]:
    """Return every path below a folder, also those that a walk of names alone would miss."""
    return {os.path.relpath(f"{at}/{name}", folder) for at, dirs, files in os.walk(folder) for name in dirs + files}


def kinds(folder: Path, paths: set[str]) -> set[int]:
    """Return which kinds of files these are; one that a mirror's thread was still writing is under its name by now."""
    found = set()
    for path in paths:
        with suppress(FileNotFoundError):
            found.add(stat.S_IFMT((folder / path).lstat().st_mode))
    return found


class NamePromises(Promises):
    """What a store promises about the names it is given."""

    @FEW
    @given(name=TEXT)
    def test_any_artifact_path_is_refused_or_comes_back(self, store: Store, name: str) -> None:
        writer = store.create_run()
        try:
            artifact = writer.log_artifact(b"x", name)
        except InvalidNameError:
            expected = {}
        else:
            assert not artifact.path.startswith("/") and ".." not in artifact.path.split("/")
            expected = {artifact.path: artifact}
        writer.end()
        assert dict(self.fresh(store).get_run(writer.run_id).artifacts) == expected

    @FEW
    @given(name=TEXT)
    def test_any_run_name_is_refused_or_comes_back(self, store: Store, name: str) -> None:
        try:
            run_id = make_run(store, name or "x")
        except InvalidNameError:
            return
        assert self.fresh(store).get_run(run_id).info.run_name == (name or "x")

    @FEW
    @given(key=TEXT, value=TEXT)
    def test_any_key_is_refused_or_comes_back(self, store: Store, key: str, value: str) -> None:
        writer = store.create_run()
        taken: dict[str, bool] = {}
        calls: dict[str, Any] = {
            "params": lambda: writer.log_params({key: value}),
            "metrics": lambda: writer.log_metrics({key: 1.0}),
            "tags": lambda: writer.set_tags({key: value}),
        }
        for kind, call in calls.items():
            try:
                call()
                taken[kind] = True
            except InvalidNameError:
                taken[kind] = False
        writer.end()
        data = self.fresh(store).get_run(writer.run_id).data
        clean = value.encode("utf-8", "backslashreplace").decode()
        assert data.params == ({key: clean} if taken["params"] else {})
        assert data.metrics == ({key: 1.0} if taken["metrics"] else {})
        assert data.tags.get(key) == (clean if taken["tags"] else None)
        assert len(set(taken.values())) == 1

    @FEW
    @given(name=TEXT)
    def test_any_model_name_is_refused_or_comes_back(self, store: Store, name: str) -> None:
        before = len(store.read_commits(name)) if name in store.list_models() else 0
        try:
            number = store.append_commit(name, {"action": "x"})
        except InvalidNameError:
            assert name not in self.fresh(store).list_models()
            return
        assert number == before + 1
        assert name in self.fresh(store).list_models()

    @FEW
    @given(name=TEXT)
    def test_any_experiment_name_is_refused_or_comes_back(self, store: Store, name: str) -> None:
        if store.get_experiment_by_name(name) is not None:
            return
        try:
            ident = store.create_experiment(name)
        except InvalidNameError:
            return
        assert self.fresh(store).get_experiment(ident).name == name

    @FEW
    @given(text=TEXT)
    def test_any_filter_is_answered_or_refused(self, store: Store, text: str) -> None:
        for filter_string in (text, f"tags.`{text}` = 'x'", f"params.a = '{text}'", f"({text})"):
            try:
                assert store.search_runs(filter_string=filter_string) == []
            except InvalidInputError as error:
                assert str(error)

    def test_names_leave_nothing_outside_the_store(self, store: Store, tmp_path: Path) -> None:
        outside = tree(tmp_path)
        home = {path.name for path in Path.cwd().iterdir()}
        for name in NASTY:
            writer = store.create_run()
            for call in (
                lambda name=name, writer=writer: writer.log_artifact(b"x", name),
                lambda name=name, writer=writer: writer.set_name(name),
                lambda name=name: store.append_commit(name, {"action": "x"}),
                lambda name=name: store.create_experiment(name),
            ):
                try:
                    call()
                except InvalidNameError:
                    continue
            writer.end()
        assert {path.name for path in Path.cwd().iterdir()} == home
        place = Path(str(store.info().get("mirror") or store.info()["uri"]))
        root = place if place.exists() else None
        new = tree(tmp_path) - outside
        assert all((tmp_path / path).resolve().is_relative_to(root.resolve()) for path in new) if root else not new
        if root:
            assert all(len(Path(path).name.encode()) <= 255 for path in new)
            assert all(Path(path).name.isascii() for path in new)
            assert kinds(tmp_path, new) <= {stat.S_IFREG, stat.S_IFDIR}
