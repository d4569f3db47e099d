"""Tracked cells in a real kernel behave as bare ones: replies, awaits, interrupts, displays."""

from __future__ import annotations

import pytest

from nbtrack.entities import VIEW_MIME


def test_kernel_exception_gives_one_native_traceback_and_failed_run(kernel):
    reply = kernel.run("%%track\nboom = 1\nraise ValueError('no such wine')")
    assert (reply.status, reply.error, reply.tracebacks) == ("error", "ValueError", 1)
    assert "nbtrack" not in reply.traceback
    assert "----> 3 raise ValueError" in reply.traceback
    run = kernel.last()
    assert run.info.status == "FAILED"
    assert run.capture["error"]["type"] == "ValueError"
    assert run.capture["error"]["message"] == "no such wine"
    assert "interactiveshell.py" not in run.capture["error"]["traceback"]
    assert "no such wine" in reply.cards[0]["text/html"]


def test_kernel_syntax_error_is_reported_natively_and_run_failed(kernel):
    reply = kernel.run("%%track\ndef f(:\n  pass")
    assert (reply.status, reply.error) == ("error", "SyntaxError")
    run = kernel.last()
    assert run.info.status == "FAILED"
    assert run.capture["error"]["message"] == "invalid syntax (line 2)"  # not the file that the kernel made up


def test_kernel_bad_arguments_stop_the_cell_without_run(kernel):
    before = len(kernel.runs())
    reply = kernel.run("%%track --nonsense\nran_anyway = True")
    assert (reply.status, reply.error) == ("error", "UsageError")
    assert "unknown option '--nonsense'" in reply.traceback + reply.text
    assert kernel.run("'ran_anyway' in globals()").result == "False"
    assert len(kernel.runs()) == before


def test_kernel_top_level_await_works_and_is_tracked(kernel):
    reply = kernel.run("%%track waits\nimport asyncio\nawait asyncio.sleep(0.01)\naccuracy = 0.5 + 0.25\naccuracy")
    assert (reply.status, reply.result) == ("ok", "0.75")
    run = kernel.last()
    assert (run.info.run_name, run.info.status, run.data.metrics) == ("waits", "FINISHED", {"accuracy": 0.75})


def test_kernel_log_metric_in_async_cell_reaches_its_run(kernel):
    kernel.run("import nbtrack, asyncio")
    reply = kernel.run(
        "%%track inside\nasync def work(k):\n    await asyncio.sleep(0)\n    nbtrack.log_metric(f'm{k}', k)\n"
        "await asyncio.gather(*(work(k) for k in range(3)))\nNone"
    )
    assert reply.status == "ok", reply.traceback
    assert kernel.last().data.metrics == {"m0": 0.0, "m1": 1.0, "m2": 2.0}


@pytest.mark.parametrize(
    "body",
    [
        "import time\nprint('go', flush=True)\ntime.sleep(30)",
        "import asyncio\nprint('go', flush=True)\nfor _ in range(3000):\n    await asyncio.sleep(0.01)",
    ],
    ids=["sync", "await"],
)
def test_kernel_interrupt_ends_the_run_killed_and_the_next_cell_runs(kernel, body):
    reply = kernel.run(f"%%track\n{body}", interrupt_when="go")
    assert reply.status == "error"
    assert kernel.last().info.status == "KILLED"
    assert kernel.run("%%track after\nloss = 1 / 2").status == "ok"
    assert kernel.last().info.status == "FINISHED"


def test_kernel_semicolon_and_last_value_are_as_in_a_bare_cell(kernel):
    assert kernel.run("%%track\n40 + 2").result == "42"
    assert kernel.run("%%track\n40 + 2;").result == ""


def test_kernel_shell_and_line_magics_work_inside(kernel):
    reply = kernel.run("%%track\nfound = !echo hello\n%time score = 1 / 4\nprint(found[0])")
    assert reply.status == "ok", reply.traceback
    assert "hello" in reply.text
    assert "Wall time" in reply.text
    assert kernel.last().data.metrics == {"score": 0.25}


def test_kernel_time_magic_below_track_works(kernel):
    reply = kernel.run("%%track timed\n%%time\nscore = 1 / 8")
    assert reply.status == "ok", reply.traceback
    assert "Wall time" in reply.text
    run = kernel.last()
    assert (run.info.run_name, run.data.metrics) == ("timed", {"score": 0.125})


def test_kernel_card_is_one_static_display_after_the_output(kernel):
    reply = kernel.run(
        "%%track shown\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>mine</b>'))\nauc = 0.9 * 1"
    )
    assert [VIEW_MIME in data for data in reply.displays] == [False, True]
    bundle = reply.cards[0]
    view = bundle[VIEW_MIME]
    assert (view["version"], view["view"], view["store"]) == (1, "card", ".nbtrack")
    assert view["run_ids"] == [kernel.last().run_id]
    assert "auc" in bundle["text/html"]
    assert "auc" in bundle["text/plain"]
    assert "<script" not in bundle["text/html"]


def test_kernel_start_run_left_open_by_failing_cell_does_not_block_the_next(kernel):
    assert kernel.run("run = nbtrack.start_run(run_name='left')\n1 / 0").error == "ZeroDivisionError"
    left = kernel.last()
    assert (left.info.run_name, left.info.status) == ("left", "FAILED")
    assert kernel.run("with nbtrack.start_run(run_name='next'):\n    pass").status == "ok"


def test_kernel_start_run_in_one_cell_is_active_in_the_next(kernel):
    assert kernel.run("run = nbtrack.start_run(run_name='long')").status == "ok"
    assert kernel.run("nbtrack.log_metric('loss', 0.5)").status == "ok"
    assert kernel.run("import asyncio\nawait asyncio.sleep(0)\nnbtrack.log_metric('loss', 0.25)").status == "ok"
    assert kernel.run("nbtrack.active_run().run_id == run.run_id").result == "True"
    reply = kernel.run("nbtrack.start_run()")
    assert reply.error == "RunStateError"
    assert kernel.run("nbtrack.end_run()").status == "ok"
    run = kernel.last()
    assert (run.info.status, run.summaries["loss"].count) == ("FINISHED", 2)


def test_kernel_start_run_in_async_cell_is_active_in_the_next(kernel):
    assert (
        kernel.run("import asyncio\nawait asyncio.sleep(0)\nrun = nbtrack.start_run(run_name='async')").status == "ok"
    )
    assert kernel.run("nbtrack.log_metric('loss', 0.5)\nnbtrack.active_run().run_id == run.run_id").result == "True"
    assert kernel.run("nbtrack.end_run()").status == "ok"
    assert kernel.last().data.metrics == {"loss": 0.5}


def test_kernel_cell_id_and_metadata_are_kept(kernel):
    message = kernel.client.session.msg(
        "execute_request",
        {
            "code": "%%track\nscore = 1 / 2",
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
    )
    message["metadata"] = {"cellId": "cell-7"}  # as JupyterLab sends it
    kernel.client.shell_channel.send(message)
    kernel.run("1")
    assert kernel.last().capture["cell_id"] == "cell-7"


def test_kernel_cells_in_subshells_log_on_their_own_runs(kernel):
    """JupyterLab answers widgets in subshells while a cell runs: two tracked cells at once, each with its run."""
    kernel.run("import nbtrack, time, threading\ngo = threading.Event()")
    client = kernel.client
    control = client.session.msg("create_subshell_request")
    client.control_channel.send(control)
    subshell = client.get_control_msg(timeout=20)["content"]["subshell_id"]
    waiting = client.execute("%%track main\nprint('waiting', flush=True)\ngo.wait(20)\nnbtrack.log_metric('where', 1)")
    while True:
        message = client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "stream" and "waiting" in message["content"]["text"]:
            break
    code = "%%track side\nnbtrack.log_metric('where', 2)\ngo.set()\ntime.sleep(0.2)\nnbtrack.log_metric('late', 2)"
    request = client.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False},
    )
    request["header"]["subshell_id"] = subshell
    client.shell_channel.send(request)
    done = set()
    while {waiting, request["header"]["msg_id"]} - done:
        reply = client.get_shell_msg(timeout=30)
        assert reply["content"]["status"] == "ok", reply["content"]
        done.add(reply["parent_header"]["msg_id"])
    kernel.last()
    by_name = {run.info.run_name: run for run in kernel.runs()}
    assert by_name["main"].data.metrics == {"where": 1.0}
    assert by_name["side"].data.metrics == {"where": 2.0, "late": 2.0}
