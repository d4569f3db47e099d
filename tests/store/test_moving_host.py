"""A store moves to another host: a real sshd on this machine, on a port of its own, and the system's rsync."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbtrack.errors import IntegrityError, InvalidInputError, MissingLibraryError, StoreError
from nbtrack.store import FileStore, open_store
from nbtrack.store.moving_host import move_to_host, names_host

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PROGRAMS = pytest.mark.skipif(
    not (Path(SSHD).exists() and shutil.which("rsync") and shutil.which("ssh-keygen")),
    reason="needs sshd, ssh and rsync, which this machine does not have",
)
WRITER = """
import sys, time, nbtrack
nbtrack.set_tracking_uri(sys.argv[1])
for number in range(40):
    with nbtrack.start_run(run_name=f"{sys.argv[2]}-{number}"):
        for step in range(20):
            nbtrack.log_metric("loss", step)
        nbtrack.log_text("x" * 100 + sys.argv[2] + str(number), "note.txt")
    time.sleep(0.03)
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = keys / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd asks for it
    with subprocess.Popen([SSHD, "-D", "-E", keys / "log", "-f", config]) as server:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        options = "StrictHostKeyChecking=no UserKnownHostsFile=/dev/null LogLevel=ERROR BatchMode=yes ConnectTimeout=5"
        ssh = ["ssh", "-p", str(port), "-i", f"{keys}/user", *(f"-o {option}" for option in options.split())]
        monkeypatch.setenv("RSYNC_RSH", " ".join(ssh))
        try:
            yield f"{getpass.getuser()}@127.0.0.1"
        finally:
            server.terminate()


@pytest.fixture
def source(tmp_path: Path) -> FileStore:
    store = open_store(tmp_path / "old")
    for number in range(5):
        writer = store.create_run("0", f"run-{number}")
        writer.log_params({"n": number})
        writer.log_artifact(f"artifact {number}".encode(), "a/b.txt")
        writer.end()
    store.append_commit("wine", {"action": "create", "at": 1, "user": "a", "patch": {"model": {"deleted": False}}})
    return store


def names(store: FileStore) -> set[str]:
    return {run.info.run_name for run in store.search_runs(max_results=10_000)}


@PROGRAMS
def test_store_moves_to_a_host_while_kernels_write_and_nothing_is_lost(source, host, tmp_path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, source.root, name]) for name in ("a", "b")]
    time.sleep(1.5)
    first = move_to_host(source.root, f"{host}:{tmp_path}/new")
    assert first.files > 10 and first.passes >= 1
    assert open_store(source.root).root == source.root  # nobody was led away
    assert {writer.wait(120) for writer in writers} == {0}
    report = move_to_host(source.root, f"{host}:{tmp_path}/new", wait_s=10, seen_as=str(tmp_path / "new"))
    assert not report.live and not report.appended
    moved = open_store(source.root)  # the old place leads to the new one
    assert moved.root == str(tmp_path / "new")
    assert names(moved) == {*(f"run-{n}" for n in range(5)), *(f"{w}-{n}" for w in "ab" for n in range(40))}
    assert not list(moved.check())
    (tmp_path / "old" / "moved-to.json").unlink()
    assert names(open_store(tmp_path / "old")) == names(moved)  # the way back


@PROGRAMS
def test_store_on_a_host_that_changed_what_was_copied_is_told(source, host, tmp_path) -> None:
    target = f"{host}:{tmp_path}/new"
    move_to_host(source.root, target)
    log = next((tmp_path / "new" / "runs").rglob("*.jsonl"))
    stat, data = log.stat(), bytearray(log.read_bytes())
    data[50] ^= 1
    log.write_bytes(data)
    os.utime(log, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"jsonl does not read as it was written. Nothing was removed here"):
        move_to_host(source.root, target)
    log.unlink()
    (tmp_path / "new" / "models" / "wine" / "00000001.json").write_text("{}")
    report = move_to_host(source.root, target)
    assert len(report.appended) == 1 and "00000001.json: another commit has this number there" in report.appended[0]


@PROGRAMS
def test_host_that_refuses_or_holds_something_else_is_told_in_one_line(source, host, tmp_path, monkeypatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidInputError, match="which holds other files"):
        move_to_host(source.root, f"{host}:{tmp_path}/other")
    open_store(tmp_path / "another")
    with pytest.raises(InvalidInputError, match="which holds another store"):
        move_to_host(source.root, f"{host}:{tmp_path}/another")
    with pytest.raises(InvalidInputError, match="is not where this host sees"):
        move_to_host(source.root, f"{host}:{tmp_path}/new", seen_as=str(tmp_path))
    with pytest.raises(StoreError, match=r"rsync could not do it \(.*(Permission denied|refused|unexplained)"):
        monkeypatch.setenv("RSYNC_RSH", "ssh -p 1 -o BatchMode=yes -o ConnectTimeout=5")
        move_to_host(source.root, f"{host}:{tmp_path}/new2")


def test_without_rsync_the_message_says_what_to_install(source, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingLibraryError, match="another host is reached by rsync, which is not installed"):
        move_to_host(source.root, "ana@box:/srv/store")


@pytest.mark.parametrize(
    "text", ["-oProxyCommand=x:y", "C:\\store", "C:/store", "file:/srv/store", "http://box:80/x", ""]
)
def test_names_that_are_no_host_are_none(text) -> None:
    assert not names_host(text)
