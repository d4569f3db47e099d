"""Serves the page of the components over a store, in a process of its own: ``python server.py FOLDER``.

Prints its address. ``/cpu`` tells the seconds of processor time that it has used.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def _page_module() -> Any:
    """The page that the browser tests serve."""
    found = importlib.util.spec_from_file_location("nbt_page", ROOT / "tests" / "browser" / "page" / "conftest.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["nbt_page"] = module
    found.loader.exec_module(module)
    return module


def main() -> None:
    """Serve until the process is ended."""
    from nbtrack.store import open_store

    class Handler(_page_module().Handler):  # type: ignore[misc]
        store = open_store(sys.argv[1], create=False)

        def do_GET(self) -> None:
            if self.path == "/cpu":
                self._send(repr(time.process_time()).encode(), "text/plain")
            else:
                super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a store until the block ends; the address."""
    process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not re.fullmatch(r"http://127\.0\.0\.1:\d+", url):
            raise RuntimeError(f"the server of {folder} did not start: {url!r}")
        yield url
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
