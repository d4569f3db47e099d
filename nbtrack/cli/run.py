"""``nbtrack run``: a project's entry point, a script or a notebook, as a run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from nbtrack.cli.options import json_option, pairs, store_option


@click.command("run")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-e", "--entry-point", "entry", metavar="NAME", default="main", show_default=True, help="What to run.")
@click.option("-P", "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter; may be repeated.")
@click.option("--experiment", metavar="NAME", help="The experiment of the run; made if missing.")
@click.option("--run-name", metavar="NAME", help="The name of the run. Default: the entry point's.")
@click.option(
    "--env-manager",
    type=click.Choice(["local", "uv"]),
    default="local",
    show_default=True,
    help="The packages installed here, or those the project names.",
)
@click.option("--force", is_flag=True, help="Run all steps of a notebook, even if nothing has changed.")
@store_option
@json_option
def command(
    path: Path,
    entry: str,
    params: tuple[str, ...],
    experiment: str | None,
    run_name: str | None,
    env_manager: str,
    force: bool,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Run a project, a script or a notebook, and record it.

    PATH is a folder with an MLproject file or with scripts, or a .py, .sh or .ipynb file. Exit code 1 if it fails.
    """
    from dataclasses import asdict

    from nbtrack.cli.output import print_json, say
    from nbtrack.pipelines.launch import run_project
    from nbtrack.pipelines.projects import read_project
    from nbtrack.tracking import get_run, set_tracking_uri

    if store_uri:
        set_tracking_uri(store_uri)
    output = sys.stderr.buffer if as_json else sys.stdout.buffer
    done = run_project(
        path,
        entry,
        pairs(params, "-P"),
        experiment_name=experiment,
        run_name=run_name,
        env_manager=env_manager,
        output=output,
        force=force,
    )
    if as_json:
        print_json(asdict(done))
    else:
        steps = get_run(done.run_id).capture.get("pipeline", {}).get("steps", [])
        told = "".join(f" {one['name']}: {one['status']}." for one in steps)
        if done.exit_code:
            told = f" {_ending(done.exit_code)}{told}"
        say(f"Run {done.run_id}: {done.status}.{told}", err=True)
        asked = read_project(path).environment
        if env_manager == "local" and asked is not None:
            say(f"It ran in this Python; --env-manager uv makes what {asked[1].name} asks for.", err=True)
    if done.exit_code:
        raise click.exceptions.Exit(1)


def _ending(code: int) -> str:
    if code > 0:
        return f"The program ended with {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"The program was killed by {name}" + ("; was the memory full?" if name == "SIGKILL" else ".")
