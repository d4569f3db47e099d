"""``nbtrack retrain``: many pipelines in one table."""

from __future__ import annotations

from pathlib import Path

import click

from nbtrack.cli.options import json_option, pairs, store_option


@click.command("retrain")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--env", metavar="NAME", help="Only pipelines whose code line the policy of this environment lets in.")
@click.option(
    "-P", "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter of all; may be repeated."
)
@click.option("--force", is_flag=True, help="Run all steps, even if nothing has changed.")
@store_option
@json_option
def command(
    file: Path | None, env: str | None, params: tuple[str, ...], force: bool, store_uri: str | None, as_json: bool
) -> None:
    """Run many pipelines, one after the other.

    FILE is a pipelines.toml that names their steps; the nearest at or above the working directory if left out. One
    that fails does not stop the others. Exit code 1 if one fails.
    """
    import ast

    from nbtrack.cli.output import print_json, say
    from nbtrack.pipelines.retraining import retrain_all

    def read(text: str) -> object:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    given = {name: read(value) for name, value in pairs(params, "-P").items()}
    done = retrain_all(file, env=env, params=given, force=force, store=store_uri, say=lambda line: say(line, err=True))
    if as_json:
        print_json(done.to_frame().to_dict("records"))
    else:
        for line in repr(done).splitlines():
            say(line)
    if done.failed:
        raise click.exceptions.Exit(1)
