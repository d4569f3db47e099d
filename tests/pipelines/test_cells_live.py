"""Cells that are steps, in a notebook that somebody works in: run again only if what they depend on changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture.conftest import Kernel, Reply

SETUP = "%load_ext nbtrack\nimport nbtrack, time, random\nimport numpy as np\ndef square(x):\n    return x * x"
DATA = "%%track --step data\n_ = open('loads', 'a').write('d')\nrows = [1, 2, 3]"
TRAIN = "%%track --step train\n_ = open('calls', 'a').write('t')\ntotal = sum(map(square, rows))\nscore = total / 2"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    one = Kernel(tmp_path_factory.mktemp("kernel"))
    yield one
    one.stop()


@pytest.fixture
def kernel(shared: Kernel, tmp_path: Path) -> Kernel:
    """The kernel, with no variables, in a folder and store of its own."""
    shared.folder = tmp_path
    good(shared, f"%reset -f\n%cd -q {tmp_path}")
    good(shared, SETUP)
    good(shared, "nbtrack.set_tracking_uri('.nbtrack')\nnbtrack.set_experiment('Default')")
    return shared


def good(kernel: Kernel, cell: str) -> Reply:
    reply = kernel.run(cell)
    assert reply.status == "ok", reply.traceback
    return reply


def calls(kernel: Kernel) -> str:
    return (kernel.folder / "loads").read_text() + (kernel.folder / "calls").read_text()


def reused(reply: Reply) -> str:
    """The run that a cell says it was reused from; empty if it ran."""
    found = [re.search(r"reused from run (\w+); code, params", data.get("text/plain", "")) for data in reply.displays]
    return next((one[1] for one in found if one), "")


def test_step_with_nothing_changed_is_not_run_again_and_says_so(kernel: Kernel) -> None:
    good(kernel, DATA)
    assert not reused(good(kernel, TRAIN))
    train = kernel.last().run_id
    count = len(kernel.runs())
    again = good(kernel, TRAIN)
    assert reused(again) == train and "--force" in again.displays[0]["text/html"]
    assert reused(good(kernel, TRAIN + "  # with a word on it"))
    assert calls(kernel) == "dt" and len(kernel.runs()) == count
    assert good(kernel, "total, score").result == "(14, 7.0)"


def test_step_runs_again_when_code_data_function_options_or_a_word_ask_for_it(kernel: Kernel) -> None:
    good(kernel, DATA)
    good(kernel, TRAIN)
    for number, change in enumerate(["rows[0] = 5", "def square(x):\n    return x * x + 0", "rows.append(7)"], 2):
        good(kernel, change)
        assert not reused(good(kernel, TRAIN))
        assert calls(kernel) == "d" + "t" * number
    assert not reused(good(kernel, TRAIN.replace("/ 2", "/ 4")))
    assert not reused(good(kernel, TRAIN.replace("train", "train -t by=ana", 1)))
    assert not reused(good(kernel, TRAIN.replace("train", "train --force", 1)))
    assert reused(good(kernel, TRAIN))
    good(kernel, "nbtrack.set_experiment('other')")
    assert not reused(good(kernel, TRAIN))


def test_step_puts_back_what_later_cells_changed_or_took_away(kernel: Kernel) -> None:
    good(kernel, DATA)
    good(kernel, "rows.append(4); same = rows")
    assert reused(good(kernel, DATA))
    assert good(kernel, "rows, same").result == "([1, 2, 3], [1, 2, 3, 4])"
    good(kernel, "same = rows")
    assert reused(good(kernel, DATA))
    assert good(kernel, "same is rows").result == "True"  # what is as it was is left alone
    good(kernel, "del rows")
    assert reused(good(kernel, DATA))
    assert good(kernel, "rows").result == "[1, 2, 3]"
    (kernel.folder / "loads").unlink()
    assert not reused(good(kernel, DATA))  # nor is the file as it left it


def test_step_in_a_new_kernel_is_reused(kernel: Kernel) -> None:
    good(kernel, DATA)
    good(kernel, TRAIN)
    train = kernel.last().run_id
    fresh = Kernel(kernel.folder)
    try:
        good(fresh, SETUP)
        assert reused(good(fresh, DATA)) and reused(good(fresh, TRAIN)) == train
        assert good(fresh, "rows, score").result == "([1, 2, 3], 7.0)"
        assert calls(kernel) == "dt"
    finally:
        fresh.stop()


def test_step_that_is_uncertain_runs_each_time_and_tells_why(kernel: Kernel) -> None:
    for cell, why in (
        ("%%track --step lazy\nlater = (x for x in range(3))", "cannot be pickled"),
        ("%%track --step draw\ndrawn = random.random()", "random numbers that nothing has seeded"),
        ("%%track --step login\nsecret = 'sk-ant-api03-" + "Ab1" * 31 + "AA'", "looks like a key"),
    ):
        good(kernel, cell)
        assert why in str(kernel.last().capture["not_captured"])
        assert not reused(good(kernel, cell))


def test_step_with_seeded_random_numbers_leaves_them_as_if_it_had_run(kernel: Kernel) -> None:
    cell = "%%track --step draw\nnp.random.seed(7)\ndrawn = np.random.rand()"
    good(kernel, cell)
    following = good(kernel, "np.random.rand()").result
    assert reused(good(kernel, cell))
    assert good(kernel, "np.random.rand()").result == following
    good(kernel, "np.random.seed(1)")
    onward = "%%track --step onward\nmore = np.random.rand()"
    good(kernel, onward)
    assert not reused(good(kernel, onward))  # the generator stands elsewhere now
    good(kernel, "np.random.seed(1)")
    assert reused(good(kernel, onward))


def test_step_sees_files_that_it_read_and_a_failure_is_never_reused(kernel: Kernel) -> None:
    (kernel.folder / "data.csv").write_text("1\n2\n")
    cell = "%%track --step read\ncount = len(open('data.csv').readlines())"
    good(kernel, cell)
    assert reused(good(kernel, cell))
    (kernel.folder / "data.csv").write_text("1\n2\n3\n")
    assert not reused(good(kernel, cell))
    assert good(kernel, "count").result == "3"
    broken = "%%track --step broken\nx = 1\n1 / 0"
    assert kernel.run(broken).error == kernel.run(broken).error == "ZeroDivisionError"


def test_reuse_costs_less_than_a_tenth_of_a_second(kernel: Kernel) -> None:
    good(kernel, "table = np.arange(1_000_000.0)")
    cell = "%%track --step sums\nmean = float(table.mean())\nwhole = table * 2"
    good(kernel, cell)
    clock = "start = time.process_time()"
    spent = []
    for _ in range(5):
        good(kernel, clock)
        assert reused(good(kernel, cell))
        spent.append(float(good(kernel, "time.process_time() - start").result))
    assert min(spent) < 0.1
