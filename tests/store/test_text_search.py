"""A text that is looked for in all values of a column at once is found where each value by itself is."""

from __future__ import annotations

import random

import pytest

from nbtrack.store import open_store
from nbtrack.store.columns import Texts
from nbtrack.store.query import like

WORDS = ["sweep-99", "Sweep 99", "", "a\nb", "ß", "ſt", "\u212a", "İ", "ss", "ﬀ", "x" * 300, "a.b*c", "99", "\x00"]
PARTS = ["sweep", "99", "S", "k", "i", "ss", "ß", "ſ", ".", "*c", "x", "\x00", "nothing of it", "-"]


@pytest.mark.parametrize("ignore_case", [True, False])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_same_as_one_by_one(*, ignore_case: bool, ascii_only: bool) -> None:
    rng = random.Random(int(ignore_case) + 2 * ascii_only)
    texts = Texts()
    words = [word for word in WORDS if word.isascii() or not ascii_only]
    for round_ in range(3):  # texts that come later are found too
        for number in range(50):
            texts.code("".join(rng.choices(words, k=rng.randrange(4))) + str(round_ * 50 + number) * rng.randrange(2))
        for part in PARTS:
            found = texts.codes_with(part, ignore_case=ignore_case)
            assert found.tolist() == texts.codes_where(like(f"%{part}%", ignore_case=ignore_case)).tolist(), part


def test_in_a_filter(tmp_path: object) -> None:
    store = open_store(str(tmp_path))
    for name, note in [("alpha", "100%"), ("Beta", "under_score"), ("alphabet", "two\nlines"), ("gamma", None)]:
        writer = store.create_run("0", name, tags={} if note is None else {"note": note})
        writer.end()

    def names(filter_string: str) -> set[str]:
        return {run.info.run_name for run in store.search_runs(filter_string=filter_string)}

    assert names("run_name LIKE '%alpha%'") == {"alpha", "alphabet"}
    assert names("run_name ILIKE '%BET%'") == {"Beta", "alphabet"}
    assert names("run_name LIKE '%BET%'") == set()
    assert names("tags.note ILIKE '%two%'") == {"alphabet"}
    assert names("tags.note LIKE '%r_s%'") == {"Beta"}
    assert names("tags.note LIKE '%o\nl%'") == {"alphabet"}
