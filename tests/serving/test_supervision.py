"""Servers as processes: started, found again, stopped, and never left behind by any kind of end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.preprocessing import FunctionTransformer

import nbtrack
from nbtrack.entities import VIEW_MIME
from nbtrack.errors import (
    IntegrityError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    PortInUseError,
    ServingError,
)
from nbtrack.serving import curl_command, example_request, get_server, invoke, list_servers, stop_server
from nbtrack.store.base import Store

from .helpers import Served, answers, ask, gone, log, wait_until


def nothing_left(runtime: Path, pid: int, port: int) -> None:
    assert wait_until(lambda: gone(pid), 2)
    assert wait_until(lambda: not list(runtime.iterdir()), 2), list(runtime.iterdir())
    assert wait_until(lambda: refuses(port), 2)  # an owner that was killed lets go of its files one by one


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


# -- one server's life -------------------------------------------------------------------------------------------------
def test_serve_then_stop_predicts_as_the_notebook_and_leaves_nothing(
    runtime: Path, store: Store, wine_uri: str, wine_model: Any, wine_data: tuple[pd.DataFrame, pd.Series]
) -> None:
    data = wine_data[0]
    with nbtrack.serve(wine_uri, store=store) as server:
        expected = wine_model.predict(data)
        for form in (data, data.to_numpy(), data.to_dict(orient="list"), data.to_dict(orient="records")):
            np.testing.assert_array_equal(server.predict(form), expected)
        info = server.info
        assert (info.status, info.model_name, info.version, info.owner) == ("ready", "wine", 1, "process")
        assert info.pid != os.getpid()
        assert info.requests == 4
        assert list_servers(store) == [info]
        status, text, ms = invoke(info.server_id, example_request(wine_uri, store))
        assert (status, len(json.loads(text)["predictions"])) == (200, 3)
        assert ms > 0
        done = subprocess.run(curl_command(info), shell=True, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == json.loads(text)
    assert server.info.status == "stopped"
    assert list_servers() == []
    nothing_left(runtime, info.pid, info.port)
    server.stop()
    with pytest.raises(ServingError, match="does not answer"):
        server.predict(data)
    with pytest.raises(NotFoundError, match="there is none with the id"):
        stop_server(info.server_id)


def test_serve_of_the_same_version_again_gives_the_running_server(runtime: Path, store: Store, wine_uri: str) -> None:
    with nbtrack.serve(wine_uri, store=store) as first:
        with nbtrack.serve("models:/wine/1", store=store) as second:
            assert second.info.server_id == first.info.server_id
        assert answers(first.port)  # the block that only borrowed it did not stop it
        assert nbtrack.serve(wine_uri, first.port, store=store).url == first.url


def test_serve_on_a_port_of_another_server_of_ours_names_it(wine: Served, array: Served, store: Store) -> None:
    with pytest.raises(PortInUseError, match=wine.server.server_id):
        nbtrack.serve("models:/array/1", wine.server.port, store=store)


def test_serve_on_a_port_of_another_program_says_so(runtime: Path, store: Store, wine_uri: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(PortInUseError, match=r"taken by another program.*a free port is taken"),
    ):
        nbtrack.serve(wine_uri, other.getsockname()[1], store=store)
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "error", "match"),
    [
        ("models:/nothing/1", NotFoundError, "nothing"),
        ("models:/wine/77", NotFoundError, "no version 77"),
        ("models:/wine/Production", NotFoundError, "Production"),
        ("models:/wine@champion", NotFoundError, "champion"),
        ("runs:/" + "0" * 21 + "/model", NotFoundError, "0000"),
        ("runs:/../../etc/passwd", InvalidNameError, "run id"),
        ("models:/$(touch x)/1", NotFoundError, "touch"),
        ("/no/such/folder", NotFoundError, "no/such/folder"),
    ],
)
def test_serve_of_a_missing_model_says_so_before_any_process_is_started(
    runtime: Path, store: Store, wine_uri: str, uri: str, error: type[Exception], match: str
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(error, match=match):
        nbtrack.serve(uri, store=store)
    assert {child.pid for child in psutil.Process().children()} <= before
    assert not runtime.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_serve_beyond_this_machine_without_a_token_is_refused(store: Store, wine_uri: str, host: str) -> None:
    with pytest.raises(InvalidInputError, match="there is no token"):
        nbtrack.serve(wine_uri, host=host, store=store)


@pytest.mark.parametrize("token", ["short", "with a space in the middle", "new\nline-and-more-characters", "é" * 20])
def test_serve_with_a_weak_token_is_refused(store: Store, wine_uri: str, token: str) -> None:
    with pytest.raises(InvalidInputError, match="at least 16 visible ASCII characters"):
        nbtrack.serve(wine_uri, store=store, token=token)


@pytest.mark.parametrize("port", [-1, 65536, "80", 80.5, True])
def test_serve_on_a_port_that_is_none_is_refused(store: Store, wine_uri: str, port: Any) -> None:
    with pytest.raises(InvalidInputError, match="whole number from 1 to 65535"):
        nbtrack.serve(wine_uri, port, store=store)


def test_serve_with_an_unknown_owner_is_refused(store: Store, wine_uri: str) -> None:
    with pytest.raises(InvalidInputError, match="owner must be one of kernel, jupyter, process, detached; got 'me'"):
        nbtrack.serve(wine_uri, owner="me", store=store)


def test_serve_of_a_saved_folder_answers(runtime: Path, tmp_path: Path, wine_model: Any, wine_data: Any) -> None:
    nbtrack.save_model(wine_model, tmp_path / "saved", input_example=wine_data[0].head(2))
    with nbtrack.serve(tmp_path / "saved") as server:
        assert server.info.model_name == "saved"
        np.testing.assert_array_equal(server.predict(wine_data[0]), wine_model.predict(wine_data[0]))


# -- models that cannot be served --------------------------------------------------------------------------------------
def test_serve_of_a_damaged_model_tells_and_leaves_nothing(runtime: Path, tmp_path: Path, wine_model: Any) -> None:
    store = nbtrack.store.open_store(tmp_path / ".nbtrack")
    uri = log(store, wine_model, "damaged", [[1.0] * 13])
    run = store.get_run(str(store.read_commits("damaged")[0]["patch"]["versions"]["1"]["run_id"]))
    blob = store.blob_path(run.artifacts["model/model.pkl"].digest)
    blob.chmod(0o600)
    blob.write_bytes(b"\0" + blob.read_bytes()[1:])
    with pytest.raises(IntegrityError, match=r"model|blob"):
        nbtrack.serve(uri, store=store)
    assert list(runtime.iterdir()) == []


def test_serve_of_a_model_that_fails_its_own_example_tells_why(runtime: Path, store: Store) -> None:
    def picky(data: Any) -> Any:
        import os

        if "NBTRACK_TEST_PICKY" not in os.environ:
            raise ValueError("this model only works where it was made")
        return data

    class Picky(FunctionTransformer):
        def predict(self, data: Any) -> Any:
            return self.transform(data)

    os.environ["NBTRACK_TEST_PICKY"] = "1"
    try:
        uri = log(store, Picky(picky).fit([[1.0]]), "picky", [[1.0]])
    finally:
        del os.environ["NBTRACK_TEST_PICKY"]
    with pytest.raises(ServingError, match=r"self-check.*only works where it was made"):
        nbtrack.serve(uri, store=store)
    assert list(runtime.iterdir()) == []


def test_serve_of_a_model_that_takes_too_long_to_load_gives_up_and_leaves_nothing(
    runtime: Path, store: Store, wine_uri: str
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(ServingError, match=r"not ready after 0\.05 s.*wait_s"):
        nbtrack.serve(wine_uri, store=store, wait_s=0.05)
    assert list(runtime.iterdir()) == []
    assert wait_until(lambda: {child.pid for child in psutil.Process().children()} <= before, 2)


# -- owners ------------------------------------------------------------------------------------------------------------
OWNER = """
    import json, os, sys, threading, time
    import nbtrack
    nbtrack.set_tracking_uri(sys.argv[1])

    def told(server):
        print(json.dumps({"pid": server.info.pid, "port": server.port, "id": server.server_id}), flush=True)
"""
SLEEP = "time.sleep(120)"


class Owner:
    """A script that serves a model, in a session of its own."""

    def __init__(self, store: Store, then: str) -> None:
        code = textwrap.dedent(OWNER) + textwrap.dedent(then)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, store.uri], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.server_pid, self.port, self.server_id = told["pid"], told["port"], told["id"]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def owner(runtime: Path, store: Store, wine_uri: str) -> Iterator[Callable[[str], Owner]]:
    made: list[Owner] = []

    def make(then: str) -> Owner:
        made.append(Owner(store, then))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_server_whose_owner_is_killed_is_gone_within_a_second(owner: Callable[[str], Owner], runtime: Path) -> None:
    script = owner("told(nbtrack.serve('models:/wine/1')); time.sleep(120)")
    assert answers(script.port)
    script.process.kill()
    assert wait_until(lambda: gone(script.server_pid), 1)
    nothing_left(runtime, script.server_pid, script.port)


def test_server_whose_owner_ends_is_gone(owner: Callable[[str], Owner], runtime: Path) -> None:
    script = owner("told(nbtrack.serve('models:/wine/1'))")
    script.process.wait(20)
    nothing_left(runtime, script.server_pid, script.port)


def test_server_survives_the_interrupt_of_its_owners_whole_group(owner: Callable[[str], Owner]) -> None:
    script = owner(
        """
        try:
            told(nbtrack.serve('models:/wine/1'))
            time.sleep(120)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        time.sleep(120)
        """
    )
    os.killpg(script.process.pid, signal.SIGINT)
    assert script.process.stdout is not None
    assert script.process.stdout.readline() == "interrupted\n"
    time.sleep(0.3)
    assert answers(script.port)


def test_server_started_by_a_thread_outlives_that_thread(owner: Callable[[str], Owner]) -> None:
    script = owner(
        """
        thread = threading.Thread(target=lambda: told(nbtrack.serve('models:/wine/1')))
        thread.start(); thread.join()
        print("thread gone", flush=True)
        time.sleep(120)
        """
    )
    assert script.process.stdout is not None
    assert script.process.stdout.readline() == "thread gone\n"
    time.sleep(0.3)
    assert answers(script.port)


def test_server_is_gone_with_its_owner_although_a_forked_child_lives_on(owner: Callable[[str], Owner]) -> None:
    script = owner(
        """
        told(nbtrack.serve('models:/wine/1'))
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        time.sleep(120)
        """
    )
    assert script.process.stdout is not None
    child = int(script.process.stdout.readline())
    try:
        script.process.kill()
        assert wait_until(lambda: gone(script.server_pid), 1)
        assert not gone(child)
        assert not answers(script.port)
    finally:
        os.kill(child, signal.SIGKILL)


def test_server_of_a_jupyter_server_is_its_own_and_dies_with_it(owner: Callable[[str], Owner], runtime: Path) -> None:
    script = owner(
        """
        from jupyter_server.serverapp import ServerApp

        ServerApp.instance()
        told(nbtrack.serve('models:/wine/1'))
        time.sleep(120)
        """
    )
    assert get_server(script.server_id).info.owner == "jupyter"
    script.process.kill()
    nothing_left(runtime, script.server_pid, script.port)


def test_detached_server_outlives_its_starter_and_is_stopped_by_anybody(
    owner: Callable[[str], Owner], runtime: Path
) -> None:
    script = owner("told(nbtrack.serve('models:/wine/1', owner='detached'))")
    script.process.wait(20)
    time.sleep(0.3)
    assert answers(script.port)
    assert get_server(script.server_id).info.owner == "detached"
    stop_server(script.server_id)
    nothing_left(runtime, script.server_pid, script.port)


def test_server_of_another_process_is_stopped_by_its_id(owner: Callable[[str], Owner], runtime: Path) -> None:
    script = owner("told(nbtrack.serve('models:/wine/1')); time.sleep(120)")
    stop_server(script.server_id)
    nothing_left(runtime, script.server_pid, script.port)


def test_server_that_crashes_is_started_again_on_the_same_port(runtime: Path, store: Store, wine_uri: str) -> None:
    with nbtrack.serve(wine_uri, store=store) as server:
        first = server.info.pid
        os.kill(first, signal.SIGKILL)
        assert ask(server.port, {"inputs": [[1.0] * 13]}).status == 200  # waits in line, is not refused
        assert wait_until(lambda: server.info.status == "ready", 10)
        assert server.info.pid != first
    nothing_left(runtime, server.info.pid, server.port)


def test_stop_while_requests_are_in_flight_answers_them(runtime: Path, store: Store, wine_uri: str) -> None:
    with nbtrack.serve(wine_uri, store=store) as server:
        body = {"inputs": np.random.default_rng(0).normal(size=(60_000, 13)).tolist()}
        statuses: list[int] = []
        asking = threading.Thread(target=lambda: statuses.append(ask(server.port, body).status))
        asking.start()
        assert wait_until(lambda: "nbtrack_batch_rows_count 1" in metrics(server.port), 20)
    asking.join(20)
    assert statuses == [200]


def metrics(port: int) -> str:
    return ask(port, None, None, method="GET", path="/metrics").text


# -- cards -------------------------------------------------------------------------------------------------------------
def test_server_displayed_in_a_cell_is_a_card_that_the_extension_can_bring_to_life(wine: Served) -> None:
    bundle = wine.server._repr_mimebundle_()
    assert wine.server.url in bundle["text/html"]
    assert wine.server.url in bundle["text/plain"]
    view = bundle[VIEW_MIME]
    assert (view["version"], view["view"], view["server_id"]) == (1, "server", wine.server.server_id)
