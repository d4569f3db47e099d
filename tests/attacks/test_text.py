"""Rows 14 to 16, 30 and 31: YAML, commands, templates, talkative errors, captured secrets. Try X, see Y."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import bridge, registry
from nbtrack.errors import IntegrityError, InvalidNameError, NbtrackError
from nbtrack.store.base import Store
from nbtrack.wire import answer_json

Ask = Callable[..., dict[str, Any]]

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = ["!!python/object/apply:os.system ['touch MARKER']", "a: !!python/name:os.system", BOMB]


@pytest.mark.parametrize("text", YAML)
@pytest.mark.parametrize("file", ["MLmodel", "conda.yaml", "requirements.txt"])
def test_row_14_try_yaml_with_code_or_a_bomb_see_a_plain_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, tree: Any
) -> None:
    import pickle

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(tree))
    (folder / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.pkl, serialization_format: pickle}}\n")
    (folder / file).write_text(text)
    started = time.process_time()
    if file == "MLmodel":
        with pytest.raises(IntegrityError, match=r"its MLmodel (cannot be read|names no flavors)"):
            nbtrack.load_model(folder)
    else:  # never read as YAML
        assert nbtrack.load_model(folder).tree_.node_count == tree.tree_.node_count
    assert time.process_time() - started < 1 and not (tmp_path / "MARKER").exists()


@pytest.mark.parametrize("text", YAML)
def test_row_14_try_the_same_in_an_mlruns_folder_see_no_code_run_and_nothing_of_it_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "mlruns" / "0" / ("a" * 32)
    run.mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\nexperiment_id: '0'\n")
    (run / "meta.yaml").write_text(text)
    started = time.process_time()
    bridge.import_mlruns(tmp_path / "mlruns", store)
    assert time.process_time() - started < 2 and not (tmp_path / "MARKER").exists()
    assert all(not run.data.params and not run.data.tags for run in store.search_runs())


COMMANDS = [
    "$(touch MARKER)",
    "`touch MARKER`",
    "x; touch MARKER",
    "x\ntouch MARKER",
    "-rf",
    "--index-url=http://h",
    "-r /etc/passwd",
    "x @ file:///etc",
    "| touch MARKER",
    "x && touch MARKER",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_row_15_try_a_command_as_a_name_see_it_taken_by_the_letter_or_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask, text: str, tree: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with nbtrack.start_run(run_name="r") as run:
        nbtrack.log_model(tree, "model")
    uri = f"runs:/{run.run_id}/model"
    try:
        nbtrack.register_model(uri, text, description=text, note=text.replace("\n", " "), tags={"t": text})
        version = registry.get_version(text, 1)
        assert (version.name, version.description, version.tags["t"]) == (text, text, text)
        assert [model["name"] for model in ask("models")["answer"]["models"]] == [text]
    except InvalidNameError as error:
        assert "model name" in str(error)
    nbtrack.register_model(uri, "m")
    for act in (
        lambda: nbtrack.promote("m", 1, text),
        lambda: nbtrack.set_stages("m", [text]),
        lambda: nbtrack.set_gates("m", "Staging", text),
        lambda: nbtrack.set_policy("PROD", text),
        lambda: nbtrack.set_line("m", 1, text),
        lambda: nbtrack.load_model(f"models:/m/{text}"),
    ):
        with pytest.raises(NbtrackError, match=r"expected|control character|is not allowed|must not start"):
            act()
    assert ask("serve", model_uri=f"models:/m/{text}")["ok"] is False
    assert not list(tmp_path.rglob("MARKER"))


def test_row_15_try_to_find_a_shell_see_none_but_for_a_cells_own_command() -> None:
    root = Path(nbtrack.__file__).parent
    found = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in ("shell=True", "os.system(", "os.popen("))
    ]
    assert found == ["capture/replay.py"]  # a line such as `!ls` of a notebook, when its user asks to run it again


TEMPLATES = ["{{7*7}}", "{0.__class__}", "${7*7}", "%(x)s", "%s%n", "<%= 7*7 %>", "{error.__traceback__}", "{}"]


@pytest.mark.parametrize("text", TEMPLATES)
def test_row_16_try_a_template_as_text_see_it_shown_by_the_letter(store: Store, ask: Ask, text: str, tree: Any) -> None:
    with nbtrack.start_run(run_name=text) as run:
        nbtrack.log_param("p", text)
        nbtrack.set_tag("nbtrack.note", text)
        nbtrack.log_model(tree, "model")
    assert "49" not in ask("run", run_id=run.run_id)["answer"]["note"]
    assert ask("run", run_id=run.run_id)["answer"]["run_name"] == text
    assert store.get_run(run.run_id).data.params == {"p": text}
    nbtrack.register_model(f"runs:/{run.run_id}/model", "m", description=text, note=text)
    nbtrack.promote("m", 1, "Staging", note=text)
    history = ask("history", name="m")["answer"]["commits"]
    assert [commit["note"] for commit in history] == [text, text]
    assert ask("models")["answer"]["models"][0]["versions"][0]["description"] == text
    with pytest.raises(NbtrackError) as told:
        nbtrack.load_model(f"models:/m@{text}")
    assert "49" not in str(told.value) and "Traceback" not in str(told.value)


def test_row_30_try_what_fails_inside_see_no_traceback_path_or_data(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbtrack.wire import registered

    def broken(*_: Any) -> Any:
        raise KeyError("inside")

    handlers = sys.modules["nbtrack.wire.answer"].HANDLERS
    monkeypatch.setitem(handlers, registered.ListModels, broken)
    error = ask("models")["error"]
    assert error == {
        "code": "internal",
        "message": "KeyError: 'inside'. This is a fault of nbtrack itself.",
    }
    for body in (b"", b"{", b'{"op": "nothing"}', b'{"op": "models", "x": 1}', b"[" * 10_000, b"\xff", b"null"):
        reply = answer_json(store, body)
        assert b"Traceback" not in reply and b'File "' not in reply and b"site-packages" not in reply
        assert b'"ok":false' in reply


def test_row_31_try_secrets_around_a_model_see_none_of_them_in_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Any, wine: Any
) -> None:
    import stat

    from nbtrack.models.trust import data_dir

    secret = "s3cr3t-5ab1e"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("HF_TOKEN", f"hf_{secret}")
    monkeypatch.setenv("PIP_INDEX_URL", f"https://u:{secret}@host/simple")
    with nbtrack.start_run():
        nbtrack.log_model(tree, input_example=wine[0].head(), registered_model_name="m")
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    key = data_dir() / "key"
    assert tmp_path / "store" not in key.parents
    if hasattr(stat, "S_IMODE") and key.exists():
        assert key.stat().st_mode & 0o077 == 0
