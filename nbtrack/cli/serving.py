"""``nbtrack models serve|predict|served|stop``: models that answer."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import BinaryIO, Final

import click

from nbtrack.cli.options import URI_HELP, json_option, open_here, store_option
from nbtrack.errors import InvalidInputError, ServingError

CONTENT_TYPES: Final = {"csv": "text/csv", "json": "application/json"}


@click.command("serve", epilog=URI_HELP)
@click.option("-m", "--model-uri", "uri", metavar="URI", required=True, help="Such as models:/clf-model/Staging.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Default: any free port.")
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--token",
    envvar="NBTRACK_SERVE_TOKEN",
    show_envvar=True,
    default="",
    help="A secret that each request must carry; needed where other machines can reach the host.",
)
@store_option
@json_option
def serve(uri: str, port: int | None, host: str, token: str, store_uri: str | None, as_json: bool) -> None:
    """Serve a model over HTTP until Ctrl-C."""
    from nbtrack import serving
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import full_model_uri
    from nbtrack.cli.signals import exit_on_terminate

    store = open_here(store_uri)
    with (
        exit_on_terminate(),
        serving.serve(full_model_uri(store, uri), port=port or None, host=host, token=token, store=store) as server,
    ):
        info = server.info
        curl = serving.curl_command(info)
        if as_json:
            print_json(asdict(info) | {"curl": curl})
        else:
            say(f"{uri} is served at {info.url}; Ctrl-C stops it. A request that works:\n\n{curl}")
        while info.status == "ready":
            time.sleep(0.5)
            info = server.info
    raise ServingError(
        f"{uri}: its server ended; somebody else stopped it, or it failed. Its last words: {server.logs(3).strip()!r}."
        " Start it again."
    )


@click.command("predict", epilog=URI_HELP)
@click.option("-m", "--model-uri", "uri", metavar="URI", required=True, help="Such as models:/clf-model/Staging.")
@click.option(
    "-i", "--input-path", "source", type=click.File("rb"), default="-", metavar="FILE", help="Default: standard input."
)
@click.option(
    "-t",
    "--content-type",
    "kind",
    type=click.Choice(sorted(CONTENT_TYPES)),
    help="Default: by the file's name, else JSON.",
)
@click.option(
    "-o",
    "--output-path",
    "target",
    type=click.File("wb"),
    default="-",
    metavar="FILE",
    help="Default: standard output.",
)
@store_option
def predict(uri: str, source: BinaryIO, kind: str | None, target: BinaryIO, store_uri: str | None) -> None:
    """Ask a model without a server.

    Reads what the served model would read, CSV or JSON, and writes what it would answer: {"predictions": [...]}.
    """
    from nbtrack.cli.references import full_model_uri
    from nbtrack.serving.codec import encode
    from nbtrack.serving.loading import load_scorer
    from nbtrack.serving.refusal import Refusal

    store = open_here(store_uri)
    scorer = load_scorer(full_model_uri(store, uri), store.uri)
    if kind is None:
        kind = "csv" if str(getattr(source, "name", "")).lower().endswith(".csv") else "json"
    try:
        decoded = scorer.codec.decode(source.read(), CONTENT_TYPES[kind])
        target.write(encode(scorer.score(decoded.data, decoded.rows)) + b"\n")
    except Refusal as refusal:
        raise InvalidInputError(f"predict: {refusal.message}") from refusal


@click.command("served")
@store_option
@json_option
def served(store_uri: str | None, as_json: bool) -> None:
    """List the model servers on this machine."""
    from nbtrack import serving
    from nbtrack.cli.output import print_json, print_table, say, when

    servers = serving.list_servers(store=open_here(store_uri) if store_uri else None)
    if as_json:
        print_json({"servers": [asdict(info) for info in servers]})
    elif not servers:
        say("No model server is running. `nbtrack models serve -m URI` starts one.")
    else:
        print_table(
            ["server", "model", "version", "status", "url", "requests", "started", "owner"],
            [
                [
                    info.server_id,
                    info.model_name or info.model_uri,
                    info.version,
                    info.status,
                    info.url,
                    info.requests,
                    when(info.started_at_ms),
                    info.owner,
                ]
                for info in servers
            ],
            right=[5],
            firm=(0, 4),
        )


@click.command("stop")
@click.argument("server")
def stop(server: str) -> None:
    """Stop a model server; `nbtrack models served` lists them."""
    from nbtrack import serving
    from nbtrack.cli.output import say

    serving.stop_server(server)
    say(f"{server} stopped")
