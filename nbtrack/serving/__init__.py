"""Models over HTTP from the notebook: each served by a process of its own, tied to whoever started it."""

from nbtrack.entities import ServerInfo
from nbtrack.serving.client import activity, curl_command, invoke, server_example, snippets
from nbtrack.serving.handle import ModelServer
from nbtrack.serving.process import stop_server
from nbtrack.serving.supervise import RequestLogging, get_server, list_servers, serve
from nbtrack.serving.target import example_request

default_owner: str | None = None
"""What a server started in this process is tied to, unless told; None to find out. The Jupyter server sets it."""

__all__ = [
    "ModelServer",
    "RequestLogging",
    "ServerInfo",
    "activity",
    "curl_command",
    "default_owner",
    "example_request",
    "get_server",
    "invoke",
    "list_servers",
    "serve",
    "server_example",
    "snippets",
    "stop_server",
]
