from __future__ import annotations

from pathlib import Path

import pytest

from nbtrack.errors import StoreNotFoundError
from nbtrack.lab.place import OutsideRootError, find_store, find_stores, notebook_folder, stores_below

from .conftest import make_store


def test_find_store_above_the_notebook_returns_the_nearest(tmp_path: Path) -> None:
    deep = tmp_path / "work" / "deep"
    deep.mkdir(parents=True)
    make_store(tmp_path, "far")
    make_store(tmp_path / "work", "near")
    assert find_store(tmp_path, "work/deep/a.ipynb") == str(tmp_path / "work" / ".nbtrack")
    assert find_store(tmp_path, "a.ipynb") == str(tmp_path / ".nbtrack")
    assert find_store(tmp_path, "") == str(tmp_path / ".nbtrack")


def test_find_store_above_the_root_is_not_looked_for(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make_store(tmp_path, "hidden")
    with pytest.raises(StoreNotFoundError, match="starts with %%track"):
        find_store(root, "a.ipynb")


def test_find_store_with_environment_prefers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    make_store(root, "a")
    make_store(other, "b")
    monkeypatch.setenv("NBTRACK_TRACKING_URI", str(other / ".nbtrack"))
    assert find_store(root, "a.ipynb") == str(other / ".nbtrack")
    assert find_store(root, "a.ipynb", str(other / ".nbtrack")) == str(other / ".nbtrack")


def test_find_store_with_hint_inside_the_root_uses_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    make_store(tmp_path / "a", "a")
    make_store(tmp_path / "b", "b")
    assert find_store(tmp_path, "a/x.ipynb", "../b/.nbtrack") == str(tmp_path / "b" / ".nbtrack")


def test_find_store_with_hint_that_is_gone_looks_around_the_notebook(tmp_path: Path) -> None:
    make_store(tmp_path, "a")
    assert find_store(tmp_path, "x.ipynb", "moved/.nbtrack") == str(tmp_path / ".nbtrack")


@pytest.mark.parametrize("hint", ["../outside/.nbtrack", "../../../../etc", "/etc", "file:///etc"])
def test_find_store_with_hint_out_of_the_root_raises(tmp_path: Path, hint: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    make_store(outside, "secret")
    with pytest.raises(OutsideRootError, match="outside the folder that this Jupyter server shows"):
        find_store(root, "x.ipynb", hint)


def test_find_store_with_hint_over_a_link_out_of_the_root_raises(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    make_store(outside, "secret")
    (root / "link").symlink_to(outside, target_is_directory=True)
    with pytest.raises(OutsideRootError, match="outside the folder"):
        find_store(root, "x.ipynb", "link/.nbtrack")


@pytest.mark.parametrize("path", ["../x.ipynb", "a/../../x.ipynb", "a\\..\\x.ipynb", "a\0.ipynb"])
def test_notebook_folder_of_a_path_that_escapes_raises(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutsideRootError, match=r"leads out of|expected a path"):
        notebook_folder(tmp_path, path)


def test_notebook_folder_of_an_absolute_path_stays_in_the_root(tmp_path: Path) -> None:
    assert notebook_folder(tmp_path, "/etc/passwd") == tmp_path / "etc"


def test_find_stores_returns_each_once_and_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    for name in ("a", "b", "empty"):
        (tmp_path / name).mkdir()
    make_store(tmp_path / "a", "a")
    make_store(tmp_path / "b", "b")
    both = [str(tmp_path / name / ".nbtrack") for name in ("a", "b")]
    assert find_stores(tmp_path, "a/x.ipynb", ["", "../b/.nbtrack", "../a/.nbtrack"]) == both
    assert find_stores(tmp_path, "empty/x.ipynb", ["", "../b/.nbtrack"]) == both[1:]
    with pytest.raises(StoreNotFoundError, match="starts with %%track"):
        find_stores(tmp_path, "empty/x.ipynb", ["", "../gone/.nbtrack"])


def test_stores_below_finds_those_of_folders_and_none_of_links_libraries_or_hidden_ones(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "a" / "deep", root / "node_modules", root / ".hidden", outside):
        folder.mkdir(parents=True)
        make_store(folder, "run")
    make_store(root, "run")
    (root / ".nbtrack").rename(root / "named")
    make_store(root, "run")
    (root / "link").symlink_to(outside, target_is_directory=True)
    assert stores_below(root) == [".nbtrack", "named", "a/deep/.nbtrack"]
