"""What a run kept, given back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import InvalidInputError, NotFoundError


@pytest.fixture
def run_id(tmp_path: Path) -> str:
    nbtrack.set_tracking_uri(str(tmp_path / "store"))
    with nbtrack.start_run() as run:
        nbtrack.log_text("grüße", "notes/a.txt")
        nbtrack.log_dict({"a": [1, 2.5, None]}, "conf.json")
        nbtrack.log_table(pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}), "t.json")
    return str(run.run_id)


def test_text_dict_and_table_come_back_as_they_were(run_id: str) -> None:
    assert nbtrack.load_text(f"runs:/{run_id}/notes/a.txt") == "grüße"
    assert nbtrack.load_dict(f"runs:/{run_id}/conf.json") == {"a": [1, 2.5, None]}
    pd.testing.assert_frame_equal(
        nbtrack.load_table(f"runs:/{run_id}/t.json"), pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    )


def test_download_copies_a_file_a_folder_or_all(run_id: str, tmp_path: Path) -> None:
    file = nbtrack.download_artifacts(f"runs:/{run_id}/notes/a.txt", dst_path=tmp_path / "one")
    assert Path(file) == tmp_path / "one" / "notes" / "a.txt" and Path(file).read_text(encoding="utf-8") == "grüße"
    folder = Path(nbtrack.download_artifacts(run_id=run_id, artifact_path="notes"))
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    everything = Path(nbtrack.download_artifacts(run_id=run_id, dst_path=tmp_path / "all"))
    assert sorted(p.relative_to(everything).as_posix() for p in everything.rglob("*") if p.is_file()) == [
        "conf.json", "notes/a.txt", "t.json",
    ]  # fmt: skip
    assert [one.path for one in nbtrack.list_artifacts(run_id)] == ["conf.json", "notes", "t.json"]


def test_what_is_not_there_or_of_another_kind_says_what_there_is(run_id: str) -> None:
    with pytest.raises(NotFoundError, match=r"no file or folder 'nots'; it has 'conf.json', 'notes/a.txt', 't.json'"):
        nbtrack.download_artifacts(run_id=run_id, artifact_path="nots")
    with pytest.raises(NotFoundError, match="no file 'x'"):
        nbtrack.load_text(f"runs:/{run_id}/x")
    with pytest.raises(InvalidInputError, match="is no JSON"):
        nbtrack.load_dict(f"runs:/{run_id}/notes/a.txt")
    with pytest.raises(InvalidInputError, match="is no table"):
        nbtrack.load_table(f"runs:/{run_id}/conf.json")
    with pytest.raises(InvalidInputError, match="expected either runs:/RUN_ID/PATH, or a run id"):
        nbtrack.download_artifacts()
    with pytest.raises(InvalidInputError, match="load_model takes models:/"):
        nbtrack.load_text("models:/clf/1")
