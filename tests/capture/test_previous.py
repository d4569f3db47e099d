"""Which run a card shows the change against."""

from __future__ import annotations

import re

from nbtrack.tracking import get_store
from nbtrack.wire.messages import GetRun
from nbtrack.wire.reading import get_run


def test_change_is_shown_against_an_earlier_run_of_the_same_cell(notebook):
    for name, cell_id in (("a1", "a'\\"), ("b1", "b"), ("a2", "a'\\"), ("b2", "b")):
        notebook.run(f"%%track {name}\naccuracy = len('{name}') / 4", cell_id=cell_id)
    told = [re.search(r"change against (\w+)", card["text/html"]) for card in notebook.cards]
    assert [found and found[1] for found in told] == [None, "a1", "a1", "b1"]
    store = get_store()
    seen = [get_run(store, GetRun(run.run_id)).previous_run for run in notebook.runs]
    assert [one and one[1] for one in seen] == [None, "a1", "a1", "b1"]
