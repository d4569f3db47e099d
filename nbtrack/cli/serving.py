"""``nbtrack models serve|predict|served|rollback|stop|dockerfile|compose``: models that answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from nbtrack.cli.options import URI_HELP, json_option, open_here, store_option
from nbtrack.errors import ServingError

if TYPE_CHECKING:
    from nbtrack.store.base import Store


@click.command("serve", epilog=f"{URI_HELP} A folder that a model was saved to does, too.")
@click.option(
    "-m",
    "--model-uri",
    "uris",
    metavar="URI",
    required=True,
    multiple=True,
    help="Such as models:/clf-model/Staging. Several answer at /models/NAME/invocations each.",
)
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Default: any free port.")
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--token",
    envvar="NBTRACK_SERVE_TOKEN",
    show_envvar=True,
    default="",
    help="A secret that each request must carry; needed where other machines can reach the host.",
)
@click.option(
    "--allowed-host", "allowed_hosts", metavar="NAME", multiple=True, help="A name that a proxy reaches it by."
)
@click.option("--shadow", metavar="URI", default="", help="A second model that is asked the same and never answers.")
@click.option("--ab", "split", metavar="A:B", default="", help="Share requests among two models, such as 90:10.")
@click.option("--log-requests", "share", type=float, metavar="SHARE", help="Log this share of all requests, 0 to 1.")
@click.option("--log-mb", type=float, default=64, show_default=True, help="How large the request log may become.")
@click.option("--mask", metavar="COLUMN", multiple=True, help="A column that the request log is not to hold.")
@click.option(
    "--env-manager",
    type=click.Choice(["local", "uv"]),
    default="local",
    show_default=True,
    help="uv: with the packages that the model was logged with.",
)
@click.option("--trust", metavar="DIGEST", multiple=True, help="A stranger's model that may run its own code.")
@click.option("--detach", is_flag=True, help="Come back at once and leave it running.")
@store_option
@json_option
def serve(
    uris: tuple[str, ...],
    port: int | None,
    host: str,
    token: str,
    allowed_hosts: tuple[str, ...],
    shadow: str,
    split: str,
    share: float | None,
    log_mb: float,
    mask: tuple[str, ...],
    env_manager: str,
    trust: tuple[str, ...],
    detach: bool,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Serve models over HTTP until Ctrl-C."""
    from nbtrack import serving
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.signals import exit_on_terminate

    folders = all(_is_folder(uri) for uri in uris) and share is None
    store = None if folders and not shadow else open_here(store_uri)
    logging = serving.RequestLogging(share, log_mb, mask) if share is not None else False
    with exit_on_terminate(), ExitStack() as stack:
        server = serving.serve(
            [_full_uri(store, uri) for uri in uris],
            port=port or None,
            host=host,
            owner="detached" if detach else None,
            store=store,
            token=token,
            allowed_hosts=allowed_hosts,
            shadow=shadow,
            split=split,
            log_requests=logging,
            env_manager=env_manager,
            trust=trust,
        )
        if not detach:
            stack.enter_context(server)
        info = server.info
        curl = serving.curl_command(info)
        what = " and ".join(uris)
        ends = f"`nbtrack models stop {info.server_id}` stops it" if detach else "Ctrl-C stops it"
        if as_json:
            print_json(asdict(info) | {"curl": curl})
        else:
            say(f"{what} is served at {info.url}; {ends}. A request that works:\n\n{curl}")
        while not detach and info.status == "ready":
            time.sleep(0.5)
            info = server.info
    if not detach:
        raise ServingError(
            f"{what}: its server ended; somebody else stopped it, or it failed. Its last words:"
            f" {server.logs(3).strip()!r}. Start it again."
        )


def _is_folder(uri: str) -> bool:
    return not uri.startswith(("models:", "runs:"))


def _full_uri(store: Store | None, uri: str) -> str:
    from nbtrack.cli.references import full_model_uri

    return full_model_uri(store, uri) if store is not None else uri


@click.command("predict", epilog=URI_HELP)
@click.option("-m", "--model-uri", "uri", metavar="URI", required=True, help="Such as models:/clf-model/Staging.")
@click.option(
    "-i", "--input-path", "source", type=click.File("rb"), default="-", metavar="FILE", help="Default: standard input."
)
@click.option(
    "-t",
    "--content-type",
    "kind",
    type=click.Choice(["csv", "json", "parquet"]),
    help="Default: by the file's name, else JSON.",
)
@click.option(
    "-o",
    "--output-path",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    metavar="FILE",
    help="Default: standard output. By its name CSV or Parquet, else JSON.",
)
@store_option
def predict(uri: str, source: BinaryIO, kind: str | None, target: Path, store_uri: str | None) -> None:
    """Ask a model without a server.

    Reads what the served model would read: CSV and Parquet of any length, piece by piece, or one JSON request. Writes
    what it would answer, {"predictions": [...]}, or one row a prediction as CSV or Parquet.
    """
    from nbtrack.serving.bulk import Finished, format_of, predict_file
    from nbtrack.serving.loading import load_scorer

    store = None if _is_folder(uri) else open_here(store_uri)
    scorer = load_scorer(_full_uri(store, uri), store.uri if store is not None else "")
    kind = kind or format_of(str(getattr(source, "name", ""))) or "json"
    answer = format_of(target.name) or "json"
    with ExitStack() as stack:
        out: BinaryIO = sys.stdout.buffer
        if str(target) != "-":
            out = stack.enter_context(Finished(target))
        progress = stack.enter_context(_progress(source, kind))
        predict_file(scorer, source, kind, out, answer, progress)


@contextmanager
def _progress(source: BinaryIO, kind: str) -> Iterator[Callable[[int], None]]:
    """Give what is told how far into the file it is: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty() or kind == "json":
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    total: int | None = None
    if source.seekable():
        if kind == "csv":
            total = source.seek(0, 2)
            source.seek(0)
        else:
            from nbtrack.serving.parquet import rows_of

            total = rows_of(source)
    columns = (TextColumn("predicting"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predicting", total=total)
        yield lambda place: bar.update(task, completed=place)


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


@click.command("rollback")
@click.argument("server")
@click.option("--follow", is_flag=True, help="Follow the stage again.")
def rollback(server: str, follow: bool) -> None:
    """Answer with the version before, at once.

    The registry stays as it is; the server does not follow its stage until told to.
    """
    from nbtrack import serving
    from nbtrack.cli.output import say

    found = serving.get_server(server)
    if follow:
        found.follow()
        say(f"{server} follows {found.info.follow} again")
    else:
        found.rollback()
        say(f"{server} answers with {found.info.held}; `nbtrack models rollback --follow {server}` ends that")


@click.command("dockerfile", epilog=URI_HELP)
@click.option("-m", "--model-uri", "uri", metavar="URI", required=True, help="Such as models:/clf-model/Staging.")
@click.option(
    "-o", "--output-dir", "folder", type=click.Path(path_type=Path), required=True, help="A folder that is not there."
)
@click.option("--base-image", default="", metavar="IMAGE", help="Default: the slim image of the model's Python.")
@store_option
def dockerfile(uri: str, folder: Path, base_image: str, store_uri: str | None) -> None:
    """Write a folder that builds an image of a model server.

    It holds the model, nbtrack as a wheel, and every package pinned.
    """
    from nbtrack.cli.output import say
    from nbtrack.serving.handover import write_context

    store = None if _is_folder(uri) else open_here(store_uri)
    write_context(_full_uri(store, uri), folder, store, base_image)
    say(f"{folder} is ready: docker build -t NAME {folder}")


@click.command("compose")
@click.option(
    "-o", "--output-dir", "folder", type=click.Path(path_type=Path), required=True, help="A folder that is not there."
)
@click.option("--base-image", default="", metavar="IMAGE", help="Default: the slim image of each model's Python.")
@store_option
def compose(folder: Path, base_image: str, store_uri: str | None) -> None:
    """Write a compose file that serves all Staging models."""
    from nbtrack.cli.output import say
    from nbtrack.serving.handover import write_compose

    names = write_compose(folder, open_here(store_uri), base_image)
    say(f"{folder}/compose.yaml serves {', '.join(names)}; NBTRACK_SERVE_TOKEN must hold a secret when it starts.")
