"""What is shipped: the wheel and the sdist are built, opened, and the wheel is installed in an empty environment."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]

LAB = "data/data/share/jupyter/labextensions/nbtrack"
HEAVY = ("IPython", "numpy", "pandas", "plotly", "asyncio", "anywidget", "sklearn", "jupyterlab")


def checked(command: list[str | Path], env: dict[str, str], cwd: Path | None = None) -> str:
    """Run a command, return its stdout; show all of its output if it fails."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built(root: Path, user_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist of this checkout, and the wheel that was built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    checked([sys.executable, "-m", "build", "--outdir", out, root], user_environment)
    return out


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("nbtrack-*.whl")
    return found


@pytest.fixture(scope="session")
def files(wheel: Path) -> dict[str, int]:
    """The files in the wheel without the version in their names, and their sizes in bytes."""
    with zipfile.ZipFile(wheel) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    stem = "-".join(wheel.name.split("-")[:2])
    return {info.filename.removeprefix(f"{stem}."): info.file_size for info in infos}


@pytest.fixture(scope="session")
def installed(wheel: Path, user_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an empty environment into which ``nbtrack[demo]`` was installed from the wheel."""
    venv = tmp_path_factory.mktemp("empty") / "venv"
    checked([sys.executable, "-m", "venv", venv], user_environment)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    python = programs / Path(sys.executable).with_stem("python").name
    wanted = f"nbtrack[demo] @ {wheel.as_uri()}"
    if importlib.util.find_spec("uv"):
        checked([sys.executable, "-m", "uv", "pip", "install", "--python", python, wanted], user_environment)
    else:
        checked([python, "-m", "pip", "install", "--quiet", wanted], user_environment)
    return programs


@pytest.fixture
def clean_environment(installed: Path) -> dict[str, str]:
    """An environment in which only the installed programs are found, and no Node."""
    return {**os.environ, "PATH": str(installed)}


@pytest.mark.parametrize(
    "name",
    [
        f"{LAB}/package.json",
        f"{LAB}/install.json",
        "data/data/etc/jupyter/jupyter_server_config.d/nbtrack.json",
        "nbtrack/widget/static/widget.js",
        "nbtrack/widget/static/view.js",
        "nbtrack/widget/static/report.js",
        "nbtrack/notebooks/01-first-run.ipynb",
        "nbtrack/py.typed",
        "dist-info/licenses/LICENSE",
    ],
)
def test_wheel_holds_what_an_install_needs(files: dict[str, int], name: str) -> None:
    assert name in files
    assert files[name] > 0 or name.endswith("py.typed")


def test_wheel_labextension_entry_and_style_are_in_it(wheel: Path, files: dict[str, int]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("labextensions/nbtrack/package.json")]
        build = json.loads(archive.read(name))["jupyterlab"]["_build"]
    assert files.get(f"{LAB}/{build['load']}", 0) > 0
    assert f"{LAB}/schemas/nbtrack/plugin.json" in files


def test_wheel_server_config_enables_the_handlers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("jupyter_server_config.d/nbtrack.json")]
        assert json.loads(archive.read(name)) == {"ServerApp": {"jpserver_extensions": {"nbtrack": True}}}


def test_wheel_holds_no_tests_sources_or_leftovers(files: dict[str, int]) -> None:
    unwanted = (
        "tests/",
        "/tests",
        "node_modules",
        ".ts",
        ".tsx",
        ".map",
        ".pyc",
        ".nbtrack",
        "nbtrack/lab/labextension",
    )
    assert [name for name in files if any(part in name for part in unwanted)] == []
    tops = {name.split("/")[0] for name in files}
    assert tops == {"nbtrack", "data", "dist-info"}


def test_wheel_python_files_are_those_of_the_checkout(root: Path, files: dict[str, int]) -> None:
    tracked = (
        checked(["git", "ls-files", "nbtrack/*.py"], dict(os.environ), root).split() if (root / ".git").exists() else []
    )
    assert [name for name in tracked if name not in files] == []


def hook_of(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build_of_sdist", folder / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def unpacked(built: Path, tmp_path: Path) -> Path:
    """The sdist, unpacked."""
    (sdist,) = built.glob("nbtrack-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    return folder


def test_sdist_carries_fresh_bundles_so_that_it_needs_no_node(unpacked: Path) -> None:
    assert hook_of(unpacked).is_fresh(unpacked)


def test_sdist_with_changed_typescript_is_built_again(unpacked: Path) -> None:
    source = unpacked / "js" / "src" / "format.ts"
    source.write_text(source.read_text(encoding="utf-8") + "\n// changed\n", encoding="utf-8")
    assert not hook_of(unpacked).is_fresh(unpacked)


def test_sdist_without_bundles_and_sources_says_what_to_do(unpacked: Path) -> None:
    shutil.rmtree(unpacked / "js")
    with pytest.raises(RuntimeError, match="Install from a complete checkout, from an sdist, or from a wheel"):
        hook_of(unpacked).build_bundles(unpacked)


def test_installed_import_loads_nothing_heavy(
    installed: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    code = f"import sys, nbtrack; print(sorted(set({HEAVY!r}) & set(sys.modules)), nbtrack.__file__)"
    said = checked([installed / "python", "-c", code], clean_environment, tmp_path)
    assert said.startswith("[] ")
    assert str(installed.parent) in said


def listed(installed: Path, env: dict[str, str], cwd: Path, *command: str) -> list[str]:
    """The lines about nbtrack that a Jupyter command says, wherever it says them."""
    done = subprocess.run(
        [installed / "python", "-m", "jupyter", *command], env=env, cwd=cwd, capture_output=True, text=True, check=True
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if re.match(r"\W*nbtrack v?\S* *.*enabled", line)]


def test_installed_extensions_are_enabled(installed: Path, clean_environment: dict[str, str], tmp_path: Path) -> None:
    lab = listed(installed, clean_environment, tmp_path, "labextension", "list")
    assert [("enabled" in line, "OK" in line) for line in lab] == [(True, True)]
    assert listed(installed, clean_environment, tmp_path, "server", "extension", "list")


def test_installed_demo_passes_twice_and_leaves_a_readable_store(
    installed: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    for times in (1, 2):
        demo = json.loads(
            checked([installed / "nbtrack", "demo", "--no-lab", "--json", "--dir", "demo"], clean_environment, tmp_path)
        )
        assert demo["predictions"]["equal"] is True
        assert demo["predictions"]["csv"] == demo["predictions"]["json"] == demo["predictions"]["notebook"]
        assert [run["status"] for run in demo["runs"]] == ["FINISHED"] * 3
        assert [(r["params"]["n_estimators"], r["params"]["max_features"]) for r in demo["runs"]] == [
            ("1", "0.1"),
            ("1", "0.5"),
            ("100", "0.5"),
        ]
        assert all({"accuracy", "f1_weighted"} <= set(run["metrics"]) for run in demo["runs"])
        listed = json.loads(
            checked([installed / "nbtrack", "runs", "list", "--json"], clean_environment, tmp_path / "demo")
        )
        assert listed["total"] == 3 * times
        models = json.loads(
            checked([installed / "nbtrack", "models", "list", "--json"], clean_environment, tmp_path / "demo")
        )
        (model,) = models["models"]
        staged = [version["version"] for version in model["versions"] if version["stage"] == "Staging"]
        assert staged == [2 * times]
    code = "import nbtrack; print(nbtrack.search_runs(search_all_experiments=True)['metrics.accuracy'].count())"
    assert checked([installed / "python", "-c", code], clean_environment, tmp_path / "demo").strip() == "6"
