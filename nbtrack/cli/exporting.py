"""``nbtrack export``: take runs and models elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nbtrack.cli.options import json_option, open_here, store_option


@click.group("export")
def command() -> None:
    """Take runs and models elsewhere."""


@command.command("mlruns")
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
@json_option
def mlruns(folder: Path, store_uri: str | None, as_json: bool) -> None:
    """Write the whole store as a folder that MLflow reads.

    FOLDER must be empty or not there. MLflow from 3.13 wants MLFLOW_ALLOW_FILE_STORE=true for such a folder, or
    `mlflow migrate-filestore`, which makes a database of it.
    """
    from dataclasses import asdict

    from nbtrack.bridge import export_mlruns
    from nbtrack.cli.output import bar_file, print_json, say
    from nbtrack.reprs.numbers import plural

    bar: Any
    with click.progressbar(length=1, label="runs", file=bar_file()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        report = export_mlruns(open_here(store_uri), folder, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    say(
        f"{plural(report.runs, 'run')} of {plural(report.experiments, 'experiment')} written to {folder}:"
        f" {report.params:,} params, {report.metric_values:,} metric values, {report.tags:,} tags,"
        f" {report.artifacts:,} artifacts; {plural(report.models, 'registered model')} with"
        f" {plural(report.versions, 'version')}."
    )
    for line in report.problems:
        say(line)
    for line in report.left_behind:
        say(f"Not carried over: {line}.")


@command.command("model")
@click.argument("model_uri")
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
@json_option
def model(model_uri: str, folder: Path, store_uri: str | None, as_json: bool) -> None:
    """Write one model as a folder that MLflow loads and serves.

    MODEL_URI is models:/NAME/VERSION or runs:/RUN_ID/PATH; FOLDER must be empty or not there.
    """
    from nbtrack.bridge import export_model
    from nbtrack.cli.output import print_json, say

    export_model(model_uri, folder, store=open_here(store_uri))
    if as_json:
        print_json({"model_uri": model_uri, "folder": str(folder)})
    else:
        say(f"Written to {folder}. Serve it: mlflow models serve -m {folder} --env-manager local")


@command.command("training")
@click.argument("run")
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
@json_option
def training(run: str, folder: Path, store_uri: str | None, as_json: bool) -> None:
    """Write what made a run as a folder that trains it again.

    RUN is an id or the end of one. The folder holds a script, pinned requirements, a Dockerfile and a Makefile.
    """
    from nbtrack.bridge.training import export_training
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import find_run

    store = open_here(store_uri)
    run_id = find_run(store, run)
    export_training(run_id, folder, store)
    if as_json:
        print_json({"run_id": run_id, "folder": str(folder)})
    else:
        say(f"Written to {folder}. Train it again: make -C {folder} train")
