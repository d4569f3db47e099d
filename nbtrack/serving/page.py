"""The page at ``/``: one file, nothing from outside; it may run only its own script and ask only its own server."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

_FACTS: Final = "@@FACTS@@"
_TITLE: Final = "@@TITLE@@"


@cache
def _template() -> str:
    return files("nbtrack.serving").joinpath("page.html").read_text(encoding="utf-8")


def _policy() -> bytes:
    def digests(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", _template(), re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in found)

    return (
        f"default-src 'none'; script-src {digests('script')}; style-src {digests('style')}; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


PAGE_POLICY: Final = _policy()


def render_page(facts: dict[str, Any]) -> bytes:
    """Return the page; `facts` are given to its script as data, never as markup."""
    data = orjson.dumps(facts, default=str).decode()
    for sign in "<>&":  # inside a string of JSON these may be written as escapes, outside they do not occur
        data = data.replace(sign, f"\\u{ord(sign):04x}")
    title = re.sub(r"[<>&\"']", "", f"{facts.get('model', 'model')} {facts.get('version') or ''}".strip())
    return _template().replace(_TITLE, title).replace(_FACTS, data).encode()
