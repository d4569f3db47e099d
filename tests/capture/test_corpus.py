"""Notebook sessions: what the tracked cell used is found, and nothing else; run again, it gives the same to the digit.

Each file of ``corpus/`` is one session, its cells in the order in which they ran. ``# %% keep`` heads a cell that the
tracked one needs, ``# %% drop`` one that it does not, ``# %% track`` the tracked one, ``# %% file NAME`` a file that
lies beside the notebook. What is expected is written by hand in the lines before the first cell.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nbtrack.capture import replay

CORPUS = Path(__file__).with_name("corpus")
_HEAD = re.compile(r"^# %% (keep|drop|track|file)[ \t]*(.*)\n", re.MULTILINE)


@dataclass
class Session:
    """One file of the corpus."""

    name: str
    about: str
    expected: dict[str, Any]
    cells: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Session:
    first, *parts = _HEAD.split(path.read_text())
    stated = dict(re.findall(r"^# (\w+): (.*)$", first, re.MULTILINE))
    about = stated.pop("about")
    session = Session(path.stem, about, {key: json.loads(value) for key, value in stated.items()})
    for word, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if word == "file":
            session.files[name.strip()] = text
        else:
            session.cells.append((word, text.strip("\n")))
    return session


SESSIONS = {path.stem: read(path) for path in sorted(CORPUS.glob("*.nb"))}


def same(text: str, value: float) -> bool:
    return float(text) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", SESSIONS)
def test_corpus_slice_is_what_was_used_and_replays_to_the_digit(name, sessions, tmp_path):
    session = SESSIONS[name]
    expected = session.expected
    texts = [text for _, text in session.cells]
    load_before = expected.get("load_before", 0)
    asked: dict[str, Any] = {"cells": texts, "files": session.files, "load_before": load_before}
    ran = sessions.ask(what="notebook", folder=str(tmp_path / "first"), **asked)
    raised = {number for number, error in enumerate(ran["errors"]) if error}
    assert raised == set(expected.get("raises", [])), ran["errors"]

    # Params and metrics are those written by hand.
    assert ran["params"] == expected["params"]
    assert sorted(ran["metrics"]) == sorted(expected["metrics"])
    for key, value in expected["metrics"].items():
        assert value is None or same(ran["metrics"][key], value), key

    # The slice holds what was needed, in order, and nothing else.
    kept = [number for number, (word, _) in enumerate(session.cells) if word != "drop"]
    found = [cell["execution_count"] - 1 for cell in ran["cells"]]
    assert found == kept
    assert [cell["this"] for cell in ran["cells"]] == [False] * (len(kept) - 1) + [True]
    assert ran["slice"]["missing"] == expected.get("missing", [])
    if expected.get("missing"):
        return

    # Run again: as a notebook in a new process and a folder without what other cells wrote …
    again = sessions.ask(
        what="notebook",
        folder=str(tmp_path / "again"),
        cells=[cell["source"] for cell in ran["cells"]],
        files=session.files,
    )
    assert again["errors"] == [None] * len(kept)
    assert again["metrics"] == ran["metrics"]
    assert again["series"] == ran["series"]
    assert again["params"] == ran["params"]

    # … and as a plain script.
    text = replay.script(ran["cells"], f"Slice of {name}")
    numbers = sessions.ask(what="script", folder=str(tmp_path / "script"), script=text, files=session.files)["numbers"]
    for key, value in ran["metrics"].items():
        assert numbers.get(key, value) == value, key


def test_corpus_is_as_large_as_it_is_said_to_be():
    assert len(SESSIONS) >= 25
    words = [word for session in SESSIONS.values() for word, _ in session.cells]
    assert words.count("drop") > len(SESSIONS)
    assert all(session.cells[-1][0] == "track" for session in SESSIONS.values())
