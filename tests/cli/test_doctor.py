from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nbtrack as package
from nbtrack.store import Store

from .conftest import Command, add_run


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Jupyter configuration and data folder that come before all others."""
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    return tmp_path


def finding(asked: Callable[..., Any], what: str, *options: str) -> dict[str, Any]:
    found = {one["what"]: one for one in asked("doctor", *options)["findings"]}
    return dict(found[what])


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_doctor_says_ok_or_warn_in_each_line_and_what_to_do(store: Store, nbtrack: Command) -> None:
    result = nbtrack("doctor")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert all(line.startswith(("ok  ", "warn", "      ")) for line in lines)
    warned = [number for number, line in enumerate(lines) if line.startswith("warn")]
    assert all("-> " in lines[number + 1] for number in warned)
    assert f"ok    nbtrack          {package.__version__}" in result.stdout


def test_doctor_finds_this_python(store: Store, asked: Callable[..., Any]) -> None:
    assert sys.executable in finding(asked, "python")["seen"]


def test_doctor_without_a_store_says_where_the_first_run_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = finding(asked, "store")
    assert found["ok"]
    assert str(tmp_path / ".nbtrack") in found["seen"]
    assert not (tmp_path / ".nbtrack").exists()


def test_doctor_counts_what_the_store_holds(store: Store, asked: Callable[..., Any]) -> None:
    add_run(store, "forest")
    assert finding(asked, "store")["seen"] == f"{store.uri}: 1 runs, 0 models, writable"


def test_doctor_warns_of_a_file_in_place_of_a_store(tmp_path: Path, asked: Callable[..., Any]) -> None:
    file = tmp_path / "file"
    file.write_text("hello")
    found = finding(asked, "store", "--store", str(file))
    assert not found["ok"]
    assert found["do"]


def test_doctor_warns_of_a_kernel_that_is_another_python(config: Path, asked: Callable[..., Any]) -> None:
    spec = {"argv": ["/other/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Other"}
    write(config / "data" / "kernels" / "python3" / "kernel.json", {**spec, "language": "python"})
    found = finding(asked, "kernel python3")
    assert not found["ok"]
    assert "/other/python" in found["seen"]
    assert "ipykernel install" in found["do"]


def test_doctor_accepts_a_kernel_that_is_this_python(config: Path, asked: Callable[..., Any]) -> None:
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "This"}
    write(config / "data" / "kernels" / "python3" / "kernel.json", {**spec, "language": "python"})
    assert finding(asked, "kernel python3")["ok"]


def test_doctor_reads_whether_the_server_extension_is_on(config: Path, asked: Callable[..., Any]) -> None:
    file = config / "config" / "jupyter_server_config.d" / "nbtrack.json"
    for enabled in (True, False):
        write(file, {"ServerApp": {"jpserver_extensions": {"nbtrack": enabled}}})
        found = finding(asked, "server extension")
        assert found["ok"] is enabled
        assert bool(found["do"]) is not enabled


def test_doctor_reads_whether_the_lab_extension_is_there_on_and_of_this_version(
    config: Path, asked: Callable[..., Any]
) -> None:
    package_json = config / "data" / "labextensions" / "nbtrack" / "package.json"
    write(package_json, {"name": "nbtrack", "version": package.__version__})
    assert finding(asked, "lab extension")["ok"]
    write(package_json, {"name": "nbtrack", "version": "0.0.1"})
    assert f"expected {package.__version__}" in finding(asked, "lab extension")["seen"]
    write(config / "config" / "labconfig" / "page_config.json", {"disabledExtensions": {"nbtrack": True}})
    assert finding(asked, "lab extension")["do"] == "jupyter labextension enable nbtrack"
