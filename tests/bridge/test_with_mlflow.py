"""MLflow's side of the bridge, in an environment of its own.

MLflow brings forty libraries along, among them one that changes how pandas keeps text; nothing else here shall be
tested beside them. So this makes an environment with MLflow, and runs ``tests/with_mlflow`` there.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

WANTED = [
    "mlflow>=3.10",
    "psycopg2-binary>=2.9",
    "scikit-learn>=1.4",
    "jupyter-server>=2.14",
    "pytest>=8.2",
    "pytest-timeout>=2.3",
    "hypothesis>=6.100",
]


@pytest.fixture(scope="session")
def python(root: Path, user_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with MLflow and this checkout."""
    venv = tmp_path_factory.mktemp("mlflow") / "venv"
    found = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [found, "-m", "pip", "install"]
    if importlib.util.find_spec("uv"):
        install = [sys.executable, "-m", "uv", "pip", "install", "--python", found]
    for words in ([sys.executable, "-m", "venv", venv], [*install, "--quiet", "--editable", root, *WANTED]):
        done = subprocess.run(list(map(str, words)), env=user_environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return found


def _compiled(python: Path) -> dict[str, str]:
    """Return an environment in which what one process compiled need not be compiled again by all others.

    MLflow is large, and its server imports a module anew for each search of runs.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(python.parents[2] / "compiled")}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(path.name for path in Path(__file__).parents[1].glob("with_mlflow/test_*.py")))
def test_with_mlflow(python: Path, root: Path, name: str) -> None:
    words = [python, "-m", "pytest", f"tests/with_mlflow/{name}", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=root, env=_compiled(python), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout, done.stdout
