"""Nothing secret reaches the disk: the bytes of the whole store are searched."""

from __future__ import annotations

from pathlib import Path

from nbtrack.tracking import pending

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


def test_secrets_in_whatever_a_cell_shows_are_not_on_disk(notebook, workdir):
    folder = workdir / KEY
    folder.mkdir()
    notebook.ok(f"import os; os.chdir({str(folder)!r}); os.environ['MY_SERVICE_TOKEN'] = '{KEY}'")
    notebook.ok(f"__vsc_ipynb_file__ = {str(folder / f'of {KEY}.ipynb')!r}")
    notebook.ok("!git init -q . && git -c user.name=t -c user.email=t@e.org commit -q --allow-empty -m one")
    notebook.run(
        f"""%%track {KEY} -t owner={KEY} --note "with {KEY}" -p where
import os, warnings
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
where = {{"token": "{KEY}", "list": ["{KEY}"]}}
with open("{KEY}.csv", "w") as file:
    file.write("a,{KEY}\\n1,{KEY}\\n")
frame = pd.read_csv("{KEY}.csv")
display(frame)
warnings.warn("do not use {KEY}")
plt.plot([1, 2], label="{KEY}")
plt.title("by {KEY}")
plt.show()
print(dict(os.environ))
results = {{"acc {KEY}": 0.5 * 1}}
metrics = {{"{KEY} loss": 0.5 * 1}}
try:
    raise KeyError("{KEY}")
except KeyError as error:
    raise RuntimeError(f"{{os.environ['MY_SERVICE_TOKEN']}} failed") from error
"""
    )
    pending.wait()
    assert notebook.last.info.status == "FAILED"
    assert not any(KEY in str(form) for form in notebook.cards[-1].values())
    [store] = workdir.rglob(".nbtrack")
    files = [path for path in store.rglob("*") if path.is_file()]
    assert any(b"metrics = " in path.read_bytes() for path in files)  # the cell itself is there
    for path in files:
        assert KEY not in str(path.relative_to(store))
        assert KEY.encode() not in path.read_bytes(), path


def test_cell_without_track_is_not_stored_at_all(notebook, workdir):
    notebook.ok("innocent_but_private = 'my diary'")
    notebook.ok("%%track\nx = 1")
    stored = b"".join(path.read_bytes() for path in Path(workdir).rglob("*") if path.is_file())
    assert b"my diary" not in stored
