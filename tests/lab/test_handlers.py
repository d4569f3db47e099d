from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from nbtrack import __version__

from .conftest import make_store


def call(request: Any, path: str = "x.ipynb", store: str | None = None) -> str:
    return json.dumps({"path": path, "store": store, "request": request})


async def test_call_runs_answers_with_the_store_beside_the_notebook(jp_fetch: Any, jp_root_dir: Path) -> None:
    first, second = make_store(jp_root_dir, "first", "second")
    response = await jp_fetch("nbtrack", "api", "call", method="POST", body=call({"op": "runs"}))
    reply = json.loads(response.body)
    assert reply["ok"]
    assert set(reply["answer"]["run_ids"]) == {first, second}
    assert response.headers["Content-Type"] == "application/json"


async def test_call_without_any_store_says_how_to_get_one(jp_fetch: Any) -> None:
    response = await jp_fetch("nbtrack", "api", "call", method="POST", body=call({"op": "runs"}))
    reply = json.loads(response.body)
    assert not reply["ok"]
    assert reply["error"]["code"] == "no_store"
    assert "%%track" in reply["error"]["message"]


async def test_call_without_any_store_creates_none(jp_fetch: Any, jp_root_dir: Path) -> None:
    before = sorted(jp_root_dir.rglob("*"))
    await jp_fetch("nbtrack", "api", "call", method="POST", body=call({"op": "info"}))
    assert sorted(jp_root_dir.rglob("*")) == before


async def test_call_edit_run_changes_the_store(jp_fetch: Any, jp_root_dir: Path) -> None:
    (run_id,) = make_store(jp_root_dir, "before")
    edit = {"op": "edit_run", "run_id": run_id, "run_name": "after"}
    reply = json.loads((await jp_fetch("nbtrack", "api", "call", method="POST", body=call(edit))).body)
    assert reply["ok"]
    ask = {"op": "run", "run_id": run_id}
    reply = json.loads((await jp_fetch("nbtrack", "api", "call", method="POST", body=call(ask))).body)
    assert reply["answer"]["run_name"] == "after"


async def test_call_reads_several_stores_as_one_and_none_outside_the_root(jp_fetch: Any, jp_root_dir: Path) -> None:
    for name in ("tuning", "final"):
        (jp_root_dir / name).mkdir()
        make_store(jp_root_dir / name, name)
    body = {"path": "x.ipynb", "stores": ["tuning/.nbtrack", "final/.nbtrack"], "request": {"op": "runs"}}
    answer = json.loads((await jp_fetch("nbtrack", "api", "call", method="POST", body=json.dumps(body))).body)["answer"]
    (column,) = [one for one in answer["columns"] if one["key"] == "store"]
    assert sorted(column["values"]) == ["final", "tuning"]
    outside = {**body, "stores": ["tuning/.nbtrack", "../elsewhere/.nbtrack"]}
    with pytest.raises(HTTPClientError, match="403"):
        await jp_fetch("nbtrack", "api", "call", method="POST", body=json.dumps(outside))


async def test_call_with_unknown_run_answers_not_found(jp_fetch: Any, jp_root_dir: Path) -> None:
    make_store(jp_root_dir, "a")
    ask = {"op": "run", "run_id": "f" * 32}
    reply = json.loads((await jp_fetch("nbtrack", "api", "call", method="POST", body=call(ask))).body)
    assert reply["error"]["code"] == "not_found"


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"request": {"op": "runs"}, "extra": 1}', "{"])
async def test_call_with_a_body_that_is_no_call_answers_400(jp_fetch: Any, body: str) -> None:
    with pytest.raises(HTTPClientError, match="400") as caught:
        await jp_fetch("nbtrack", "api", "call", method="POST", body=body)
    assert caught.value.response is not None
    assert json.loads(caught.value.response.body)["error"]["code"] == "invalid"


async def test_call_with_an_unknown_request_answers_invalid(jp_fetch: Any, jp_root_dir: Path) -> None:
    make_store(jp_root_dir, "a")
    reply = json.loads((await jp_fetch("nbtrack", "api", "call", method="POST", body=call({"op": "format_disk"}))).body)
    assert reply["error"]["code"] == "invalid"


@pytest.mark.parametrize(
    ("path", "store"),
    [("../x.ipynb", None), ("a/../../../x.ipynb", None), ("x.ipynb", "../../.nbtrack"), ("x.ipynb", "/etc")],
)
async def test_call_with_a_path_out_of_the_root_answers_403(jp_fetch: Any, path: str, store: str | None) -> None:
    with pytest.raises(HTTPClientError, match="403") as caught:
        await jp_fetch("nbtrack", "api", "call", method="POST", body=call({"op": "runs"}, path, store))
    assert caught.value.response is not None
    assert json.loads(caught.value.response.body)["error"]["code"] == "forbidden"


async def test_health_answers_with_our_version(jp_fetch: Any) -> None:
    reply = json.loads((await jp_fetch("nbtrack", "api", "health")).body)
    assert reply == {"ok": True, "version": __version__}


async def test_stores_answers_with_those_below_the_root(jp_fetch: Any, jp_root_dir: Path) -> None:
    (jp_root_dir / "final").mkdir()
    make_store(jp_root_dir / "final", "a")
    (jp_root_dir / "tuning").mkdir()
    make_store(jp_root_dir / "tuning", "b")
    reply = json.loads((await jp_fetch("nbtrack", "api", "stores", params={"path": "tuning/x.ipynb"})).body)
    assert reply == {"ok": True, "stores": ["final/.nbtrack", "tuning/.nbtrack"], "own": "tuning/.nbtrack"}
    assert json.loads((await jp_fetch("nbtrack", "api", "stores")).body)["own"] == ""
    with pytest.raises(HTTPClientError, match="403"):
        await jp_fetch("nbtrack", "api", "stores", params={"path": "../x.ipynb"})


@pytest.mark.parametrize(("method", "name"), [("POST", "call"), ("GET", "health"), ("GET", "stores")])
async def test_every_handler_without_token_answers_403(jp_fetch: Any, method: str, name: str) -> None:
    body = call({"op": "runs"}) if method == "POST" else None
    with pytest.raises(HTTPClientError, match="403"):
        await jp_fetch("nbtrack", "api", name, method=method, body=body, headers={"Authorization": "token wrong"})


async def test_every_route_of_ours_is_in_the_test_above(jp_serverapp: Any) -> None:
    ours = {
        rule.matcher.regex.pattern.rsplit("/", 1)[-1].rstrip("$")
        for router in jp_serverapp.web_app.default_router.rules
        for rule in getattr(router.target, "rules", [])
        if "nbtrack" in getattr(getattr(rule.matcher, "regex", None), "pattern", "")
    }
    proxy = {name for name in ours if "(" in name}  # to a model server: test_proxy.py tries it without a token
    assert ours - proxy == {"call", "health", "stores"}
    assert len(proxy) == 1


async def test_call_with_cookie_but_without_xsrf_answers_403(
    jp_fetch: Any, jp_serverapp: Any, http_server_client: Any, jp_base_url: str, jp_root_dir: Path
) -> None:
    make_store(jp_root_dir, "a")
    token = jp_serverapp.identity_provider.token
    page = await http_server_client.fetch(f"{jp_base_url}api/status?token={token}")
    cookie = "; ".join(one.split(";", 1)[0] for one in page.headers.get_list("Set-Cookie"))
    assert "username-" in cookie
    url = f"{jp_base_url}nbtrack/api/call"
    with pytest.raises(HTTPClientError, match="403"):
        await http_server_client.fetch(url, method="POST", body=call({"op": "runs"}), headers={"Cookie": cookie})
    xsrf = "2|aaaaaaaa|bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb|1600000000"
    headers = {"Cookie": f"{cookie}; _xsrf={xsrf}", "X-XSRFToken": xsrf}
    answered = await http_server_client.fetch(url, method="POST", body=call({"op": "runs"}), headers=headers)
    assert json.loads(answered.body)["ok"]
