"""Nothing secret reaches the disk: the bytes of the whole store are searched."""

from __future__ import annotations

from pathlib import Path

KEY = "ghp_" + "aB3" * 12
PASSWORD = "correct-horse-" + "battery"
CELL = f"""%%track -p url
api_key = "{KEY}"
url = "postgres://ana:{PASSWORD}@db.example.org/wine"
settings = {{"password": "{PASSWORD}", "lr": 0.1}}
print("using", api_key)
print("password={PASSWORD}")
import sys
print("token", api_key, file=sys.stderr)
"""


def test_secrets_in_source_params_output_and_traceback_are_not_on_disk(notebook, workdir):
    notebook.ok(CELL)
    notebook.run(CELL + f"raise ValueError('cannot log in to ' + url + ' with {KEY}')")
    stored = b"".join(path.read_bytes() for path in Path(workdir).rglob("*") if path.is_file())
    assert b"settings.lr" in stored  # the cell itself is there
    assert KEY.encode() not in stored
    assert PASSWORD.encode() not in stored
    run = notebook.last
    assert run.data.params["api_key"] == "[redacted:password]"
    assert run.data.params["url"] == "postgres://ana:[redacted:url-password]@db.example.org/wine"
    assert "using [redacted:github-token]" in run.capture["stdout"]
    assert "[redacted:github-token]" in run.capture["stderr"]
    assert "[redacted:url-password]@db" in run.capture["error"]["message"]
    assert any("secrets redacted" in entry for entry in run.capture["captured"])


def test_secrets_are_not_on_the_card_either(notebook):
    notebook.ok(CELL)
    for form in ("text/html", "text/plain"):
        assert KEY not in notebook.cards[0][form]
        assert PASSWORD not in notebook.cards[0][form]


def test_cell_without_track_is_not_stored_at_all(notebook, workdir):
    notebook.ok("innocent_but_private = 'my diary'")
    notebook.ok("%%track\nx = 1")
    stored = b"".join(path.read_bytes() for path in Path(workdir).rglob("*") if path.is_file())
    assert b"my diary" not in stored
