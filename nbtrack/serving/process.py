"""Worker processes as their owner sees them: started on a socket that listens already, watched, started again after a
crash, and gone when the owner is."""

from __future__ import annotations

import atexit
import base64
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from nbtrack.errors import (
    IntegrityError,
    InvalidInputError,
    MissingLibraryError,
    NbtrackError,
    NotFoundError,
    PortInUseError,
    ServingError,
    UntrustedModelError,
)
from nbtrack.serving import logfile, records
from nbtrack.serving.order import GRACE_S, Order

BACKOFF_S: Final = (0.5, 2.0, 8.0)
_COULD_NOT: Final = "the model could not be served: "
_CHECKED: Final = " (Checked before: "
STEPS: Final = ("port", "signature", "environment", "example")  # of a rehearsal
_ENDED: Final = {0, -signal.SIGTERM, -signal.SIGINT, signal.SIGTERM}  # asked to; the last is how Windows says it
STEADY_S: Final = 60.0  # a worker that ran this long before it crashed starts the count anew
# Large arrays come and go with each large request: on Linux each would be given back to the system and asked for anew.
_KEEPS_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
_KINDS: Final[Mapping[str, type[NbtrackError]]] = {
    kind.__name__: kind for kind in (IntegrityError, NotFoundError, MissingLibraryError, UntrustedModelError)
}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that its port is ours before any process is started.

    Raises
    ------
    PortInUseError
        If something listens there already: the message says what.
    InvalidInputError
        If `host` is no address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise InvalidInputError(f"serve: host {host!r} is not an address; use '127.0.0.1'. ({error})") from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a port whose last connections are still winding down is free
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        denied = isinstance(error, PermissionError)
        if error.errno == errno.EADDRINUSE or (denied and sys.platform == "win32"):  # so Windows says "taken"
            raise PortInUseError(_who_holds(port)) from None
        if denied:
            raise InvalidInputError(
                f"serve: this user may not listen on port {port}; choose one above 1023, or None for a free one."
            ) from None
        raise InvalidInputError(f"serve: cannot listen on {host!r} port {port} ({error.strerror}).") from None
    return sock


def _who_holds(port: int) -> str:
    for record, _ in records.live_records():
        if record.port == port and record.status != "failed":
            return (
                f"serve: port {port} is taken by the model server {record.server_id} ({record.model_uri}, process"
                f" {record.pid}). Stop it with nbtrack.serving.stop_server({record.server_id!r}), or choose another"
                " port; without one, a free port is taken."
            )
    return (
        f"serve: port {port} is taken by another program, not by a model server of yours. Choose another port;"
        " without one, a free port is taken."
    )


class Child:
    """A worker, its socket and its pipe of life."""

    def __init__(self, record: records.Record, sock: socket.socket, order: Order, python: str = "") -> None:
        self.record = record
        self._sock = sock
        self._order = order
        self._python = python or sys.executable
        self._stopping = threading.Event()
        self._guard = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._life = -1  # our end of the pipe of life
        self._answers = -1

    def start(self, wait_s: float) -> None:
        """Start the worker and wait until it is ready.

        Raises
        ------
        ServingError
            If it is not ready after `wait_s`, or ends before. Nothing of it is left then.
        NbtrackError
            What loading the model raised, where that has a class of its own.
        """
        try:
            self._spawn()
            told = self._await(wait_s)
        except BaseException:
            self._keep_checks()
            self.stop()
            raise
        if not told.get("ok"):
            log = logfile.tail(records.log_path(self.record.server_id))
            self._keep_checks()
            self.stop()
            raise self._why(told, log)
        threading.Thread(target=self._attend, name="nbtrack-worker", daemon=True).start()

    def _keep_checks(self) -> None:
        """Take over how far the rehearsal came, before the record goes."""
        if (record := records.read_record(self.record.server_id)) is not None:
            self.record = replace(self.record, checks=record.checks)

    def _why(self, told: Mapping[str, Any], log: str) -> NbtrackError:
        kind = _KINDS.get(str(told.get("kind")), ServingError)
        text = str(told.get("error") or "its process ended without a word")
        if kind is not ServingError:
            return kind(text)
        shown = f"\nIts last output:\n{log}" if log and not told.get("error") else ""
        passed = ", ".join(check["name"] for check in self.record.checks)
        return ServingError(f"serve {self.record.model_uri}: {_COULD_NOT}{text}{_CHECKED}{passed}.){shown}")

    def _spawn(self) -> None:
        record = self.record
        log = logfile.open_log(records.log_path(record.server_id))
        options: dict[str, Any] = {}
        if sys.platform == "win32":  # no Ctrl-C of the owner's console, no inherited descriptors
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:  # the interrupt button signals the kernel's whole process group: the worker is in one of its own
            options |= {"start_new_session": True, "pass_fds": (self._sock.fileno(),)}
        options["env"] = _KEEPS_MEMORY | os.environ
        if self._python != sys.executable:  # an environment of its own sees nothing of ours
            for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
                options["env"].pop(name, None)
        life, self._life = os.pipe()
        self._answers, answers = os.pipe()
        try:
            process = subprocess.Popen(
                [self._python, "-m", "nbtrack.serving.worker"], stdin=life, stdout=answers, stderr=log, **options
            )
        except OSError:
            os.close(self._answers)
            raise
        finally:
            for fd in (life, answers, log):
                os.close(fd)
        self._process = process
        self.record = replace(record, pid=process.pid)
        records.write_record(self.record)
        order = replace(self._order, fd=self._sock.fileno())
        if sys.platform == "win32":
            order = replace(order, fd=-1, share=base64.b64encode(self._sock.share(process.pid)).decode())
        with contextlib.suppress(BrokenPipeError):
            os.write(self._life, order.line())
        if not order.tied:
            self._close_pipe()

    def _await(self, wait_s: float) -> dict[str, Any]:
        """Return what the worker says: a thread reads it, for a pipe cannot be waited for everywhere."""
        lines: list[bytes] = []

        def read() -> None:
            with os.fdopen(self._answers, "rb") as pipe:
                lines.append(pipe.readline())

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(wait_s)
        if reader.is_alive():
            raise ServingError(
                f"serve {self.record.model_uri}: the model was not ready after {wait_s:g} s. Give it longer with"
                f" wait_s, or see why:\n{logfile.tail(records.log_path(self.record.server_id))}"
            )
        try:
            told: dict[str, Any] = json.loads(lines[0])
        except (ValueError, IndexError):
            return {"ok": False, "error": ""}
        return told

    # -- afterwards ------------------------------------------------------------------------------------------------
    def _attend(self) -> None:
        """Wait for the worker's end; after a crash start it again, a few times, each time a little later."""
        attempts = 0
        while self._process is not None:
            started = time.monotonic()
            code = self._process.wait()
            if self._stopping.is_set() or code in _ENDED:
                break
            attempts = 1 if time.monotonic() - started > STEADY_S else attempts + 1
            told = f"it crashed ({_ending(code)})"
            if attempts > len(BACKOFF_S):
                self._give_up(told)
                return
            if self._stopping.wait(BACKOFF_S[attempts - 1]) or not self._again(told):
                return
        self._release()

    def _again(self, told: str) -> bool:
        with self._guard:
            if self._stopping.is_set():
                return False
            self._close_pipe()
            self.record = replace(self.record, status="starting", error=f"{told} and is starting again")
            self._spawn()
        try:
            answer = self._await(120.0)
        except ServingError as error:
            answer = {"ok": False, "error": str(error)}
        if answer.get("ok"):
            return True
        if answer.get("error"):  # the model cannot be loaded any more: trying again will not help
            self._give_up(f"{told}; starting again failed: {answer['error']}")
            return False
        return True  # crashed again: the next wait() tells

    def _give_up(self, told: str) -> None:
        if self._stopping.is_set():
            return
        records.mark(self.record.server_id, status="failed", error=told)
        self._release(keep_record=True)

    def _close_pipe(self) -> None:
        with self._guard:
            life, self._life = self._life, -1
        if life >= 0:
            os.close(life)

    def _release(self, keep_record: bool = False) -> None:
        self._close_pipe()
        self._sock.close()
        children.pop(self.record.server_id, None)
        if not keep_record:
            records.forget(self.record.server_id)

    def stop(self) -> None:
        """End the worker: requests in flight are answered first. Nothing of it is left."""
        self._stopping.set()
        with self._guard:
            process = self._process
        if process is not None:
            end_process(process)
        self._release()

    def forsake(self) -> None:
        """Drop everything of it in a forked copy of this process: only the true owner keeps it alive.

        Locks are left alone: whoever held one in the moment of the fork does not exist in the copy.
        """
        life, self._life = self._life, -1
        if life >= 0:
            os.close(life)
        self._sock.close()


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a child to end; after a while make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S + 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ending(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def failed_record(record: records.Record, error: NbtrackError) -> records.Record:
    """Write down a server that did not get ready, and at which step of its rehearsal; return the record."""
    for other, _ in records.live_records():  # one that failed before it, and was tried again
        if (other.status, other.model_uri, other.owner_pid) == ("failed", record.model_uri, record.owner_pid):
            records.forget(other.server_id)
    passed = {check["name"] for check in record.checks}
    step = next(name for name in STEPS if name not in passed or name == STEPS[-1])
    if isinstance(error, MissingLibraryError):
        step = "environment"
    checks = (*(each for each in record.checks if each["name"] != step), _failed(step, str(error)))
    record = replace(record, status="failed", error=str(error), checks=checks)
    records.write_record(record)
    return record


def _failed(step: str, told: str) -> dict[str, str]:
    why = told.rpartition(_COULD_NOT)[2].partition(_CHECKED)[0]
    return {"name": step, "state": "failed", "text": why.removeprefix("self-check: ").removeprefix("serve: ")}


children: dict[str, Child] = {}  # the workers that this process owns


def stop_server(server_id: str) -> None:
    """Stop a server, whoever owns it; requests in flight are answered first. Nothing of it is left.

    Raises
    ------
    NotFoundError
        If there is none of this id; it may have ended.
    """
    own = children.get(server_id)
    if own is not None:
        own.stop()
        return
    record = records.read_record(server_id)
    if record is None or not (records.is_locked(server_id) or record.status == "failed"):
        raise records.no_server(server_id)
    if records.is_locked(server_id):  # else there is nobody, and the number may be another's
        _signal(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S + 1
    while records.is_locked(server_id):
        if time.monotonic() > deadline:
            _signal(record.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            deadline = float("inf")
        time.sleep(0.02)
    records.forget(server_id)


def _signal(pid: int, number: int) -> None:
    if pid > 1:
        try:
            os.kill(pid, number)
        except OSError:  # it has just ended
            return


def _leave() -> None:
    for child in list(children.values()):
        child.stop()


def _after_fork() -> None:
    for child in children.values():
        child.forsake()
    children.clear()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
