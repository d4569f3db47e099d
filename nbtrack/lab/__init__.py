"""The jupyter_server handlers behind the JupyterLab panel: the store answers with no kernel, or beside a busy one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__: list[str] = []


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "nbtrack.lab"}]


def _load_jupyter_server_extension(server_app: ServerApp) -> None:
    from nbtrack.lab.handlers import add_handlers
    from nbtrack.lab.proxy import add_proxy

    add_handlers(server_app.web_app)
    add_proxy(server_app.web_app)
    server_app.log.info("nbtrack: answers at %snbtrack/api", server_app.base_url)
