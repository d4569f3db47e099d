"""``nbtrack models``: registered models, their versions and stages, and the servers that answer for them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli import model_rules, serving
from nbtrack.cli.options import URI_HELP, json_option, open_here, store_option
from nbtrack.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from nbtrack.entities import Commit, ModelVersion, RegisteredModel
    from nbtrack.registry import Promotion

_STAGES_HELP = (
    "STAGE is None, Staging, Production or Archived, or one that `nbtrack models stages NAME` shows. All but the first"
    " and the last hold one version at a time."
)


@click.group("models")
def command() -> None:
    """Register, promote, serve and ask models."""


def _version_record(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "stage": version.current_stage,
        "aliases": version.aliases,
        "run_id": version.run_id,
        "source": version.source,
        "flavor": version.flavor,
        "metrics": version.metrics,
        "description": version.description,
        "tags": version.tags,
        "created_at_ms": version.creation_timestamp,
        "user": version.user_id,
    }


def _model_record(model: RegisteredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "description": model.description,
        "tags": model.tags,
        "aliases": model.aliases,
        "versions": [_version_record(version) for version in model.versions if not version.deleted],
        "last_updated_ms": model.last_updated_timestamp,
    }


@command.command("list")
@store_option
@json_option
def list_models(store_uri: str | None, as_json: bool) -> None:
    """List registered models and which version is in each stage."""
    from nbtrack import registry
    from nbtrack.cli.output import print_json, print_table, say, when

    store = open_here(store_uri)
    models = registry.list_models(store=store)
    if as_json:
        print_json({"store": store.uri, "models": [_model_record(model) for model in models]})
        return
    if not models:
        say(f"No registered models in {store.uri} yet. `nbtrack models register URI NAME` makes one.")
        return
    ladder = list(dict.fromkeys(stage for model in models for stage in model.stages[1:-1]))
    rows: list[list[object]] = []
    for model in models:
        live = [version for version in model.versions if not version.deleted]
        staged = {
            stage: ", ".join(f"v{v.version}" for v in live if v.current_stage == stage) or None for stage in ladder
        }
        aliases = ", ".join(f"@{alias} v{number}" for alias, number in sorted(model.aliases.items())) or None
        latest = f"v{live[0].version}" if live else None
        rows.append(
            [model.name, latest, *(staged[stage] for stage in ladder), aliases, when(model.last_updated_timestamp)]
        )
    print_table(["model", "latest", *ladder, "aliases", "last change"], rows, firm=range(len(ladder) + 2))


@command.command("show")
@click.argument("name")
@click.option("--at", metavar="TIME", help="As it was then, such as 2026-03-03T12:00.")
@store_option
@json_option
def show_model(name: str, at: str | None, store_uri: str | None, as_json: bool) -> None:
    """Show the versions of a registered model, newest first."""
    from nbtrack import registry
    from nbtrack.cli.output import print_json, print_table, say, when
    from nbtrack.reprs.numbers import format_number, short_id

    model = registry.get_model(name, at=at, store=open_here(store_uri))
    if as_json:
        print_json(_model_record(model))
        return
    say(f"{model.name}  {model.description}".rstrip())
    live = [version for version in model.versions if not version.deleted]
    columns: dict[str, list[object]] = {
        "version": [f"v{version.version}" for version in live],
        "stage": [None if version.current_stage == "None" else version.current_stage for version in live],
        "run": [short_id(version.run_id) if version.run_id else None for version in live],
        "created": [when(version.creation_timestamp) for version in live],
        "metrics": [
            ", ".join(f"{key} {format_number(value)}" for key, value in sorted(version.metrics.items())[:4])
            for version in live
        ],
        "aliases": [" ".join(f"@{alias}" for alias in version.aliases) for version in live],
        "description": [version.description for version in live],
    }
    said = {head: cells for head, cells in columns.items() if any(cells)}
    print_table(list(said), list(zip(*said.values(), strict=True)), firm=range(4))


@command.command("register", epilog=URI_HELP)
@click.argument("uri")
@click.argument("name")
@click.option("--description", default="", help="Said of the version.")
@click.option("-t", "--tag", "tags", metavar="KEY=VALUE", multiple=True, help="A tag of the version; repeatable.")
@click.option("--note", metavar="TEXT", help="Why; kept in the history.")
@store_option
@json_option
def register(
    uri: str,
    name: str,
    description: str,
    tags: tuple[str, ...],
    note: str | None,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Make a logged model a version of a registered model.

    The registered model is created if need be; its versions count 1, 2, 3.
    """
    from nbtrack import registry
    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import full_model_uri

    store = open_here(store_uri)
    pairs = dict(_pair(tag) for tag in tags)
    made = registry.register_model(
        full_model_uri(store, uri), name, tags=pairs, description=description, note=note, store=store
    )
    if as_json:
        print_json({"name": made.name, **_version_record(made)})
    else:
        say(f"{made.name}: version {made.version} registered")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"expected KEY=VALUE, got {text!r}", param_hint="--tag")
    return key, value


def _promotion_record(name: str, promotion: Promotion, preview: bool, last: int) -> dict[str, Any]:
    return {
        "name": name,
        "preview": preview,
        "text": promotion.text,
        "changes": promotion.changes,
        "refusals": promotion.refusals,
        "gates": [{"gate": g.gate, "passed": g.passed, "found": g.found, "asked": g.asked} for g in promotion.gates],
        "last_commit": last,
    }


@command.command("promote", epilog=_STAGES_HELP)
@click.argument("name")
@click.argument("version")
@click.argument("stage")
@click.option("--note", metavar="TEXT", help="Why; kept in the history.")
@click.option("--expect", type=click.IntRange(0), metavar="COMMIT", help="Do nothing if there is a later commit.")
@click.option(
    "--former",
    metavar="STAGE",
    help="Where the version that gives way goes, or below. Default: None; from the highest stage Archived.",
)
@click.option("--require", multiple=True, metavar="GATE", help='Such as "accuracy >= 0.9" or "f1 better"; repeatable.')
@click.option("--preview", is_flag=True, help="Only say what would move.")
@click.option("--yes", is_flag=True, help="Do not ask before Production.")
@store_option
@json_option
def promote(
    name: str,
    version: str,
    stage: str,
    note: str | None,
    expect: int | None,
    former: str | None,
    require: tuple[str, ...],
    preview: bool,
    yes: bool,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Move a version to a stage.

    The version that is there gives way in the same step. Before Production, shows what would move and asks, and does
    exactly what was shown: if somebody changes the model in between, nothing is done.
    """
    from nbtrack import registry
    from nbtrack.cli.output import print_json, say

    store = open_here(store_uri)
    seen = registry.last_commit(name, store=store) if expect is None else expect
    plan = registry.preview_promotion(
        name, version, stage, note=note, expect=seen, former=former, require=require, store=store
    )
    if preview:
        if as_json:
            print_json(_promotion_record(name, plan, True, seen))
        else:
            _say_plan(name, plan)
        return
    if plan.changes and not yes and any(change["to"] == "Production" for change in plan.changes):
        _confirm(name, plan)
    elif not plan.changes and not as_json:
        _say_plan(name, plan)
    done = registry.promote(name, version, stage, note=note, expect=seen, former=former, require=require, store=store)
    if as_json:
        print_json(_promotion_record(name, done, False, registry.last_commit(name, store=store)))
    elif done.changes:
        say(f"{name}: {done.text}")


def _say_plan(name: str, plan: Promotion) -> None:
    from nbtrack.cli.output import say

    say(f"{name}: {plan.text}" if plan.changes else f"{name}: nothing to do, it is there already")
    for gate in plan.gates:
        say(f"passes {gate}" if gate.passed else f"refused by {gate}")


def _confirm(name: str, plan: Promotion) -> None:
    """Ask on stderr; stdout stays free for the answer."""
    from nbtrack.cli.output import clean_lines

    try:
        agreed = click.confirm(clean_lines(f"{name}: {plan.text}. Go on?"), err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise KeyboardInterrupt from None
        raise InvalidInputError(
            "promote: Production is asked for first, and nobody is here to answer; expected a terminal. Add --yes."
        ) from None
    if not agreed:
        raise ConflictError("promote: you said no. Nothing was changed.")


@command.command("history")
@click.argument("name")
@store_option
@json_option
def history(name: str, store_uri: str | None, as_json: bool) -> None:
    """Show every change of a registered model: who, when, why."""
    from nbtrack import registry
    from nbtrack.cli.output import print_json, print_table, when

    commits = registry.history(name, store=open_here(store_uri))
    if as_json:
        print_json({"name": name, "commits": [_commit_record(commit) for commit in commits]})
        return
    print_table(
        ["commit", "when", "by", "what", "note"],
        [[c.number, when(c.at_ms), c.user, registry.describe(c), c.note or None] for c in commits],
        right=[0],
        firm=range(4),
    )


def _commit_record(commit: Commit) -> dict[str, Any]:
    from nbtrack import registry

    return {
        "number": commit.number,
        "action": commit.action,
        "at_ms": commit.at_ms,
        "user": commit.user,
        "note": commit.note,
        "changes": commit.changes,
        "text": registry.describe(commit),
    }


@command.command("undo")
@click.argument("name")
@click.option(
    "--commit", type=click.IntRange(1), metavar="COMMIT", help="The change to take back; the last one if not given."
)
@click.option(
    "--expect",
    type=click.IntRange(1),
    metavar="COMMIT",
    help="The last commit that you know of; nothing if a later one is there.",
)
@click.option("--note", metavar="TEXT", help="Why; kept in the history.")
@store_option
@json_option
def undo(
    name: str, commit: int | None, expect: int | None, note: str | None, store_uri: str | None, as_json: bool
) -> None:
    """Take a change back: the last, or another.

    That is a change too: undoing it again restores what was undone.
    """
    from nbtrack import registry
    from nbtrack.cli.output import print_json, say

    store = open_here(store_uri)
    done = registry.undo(name, commit=commit, expect=expect, note=note, store=store)
    if as_json:
        print_json(_promotion_record(name, done, False, registry.last_commit(name, store=store)))
    else:
        say(f"{name}: {done.text}")


for rule_command in model_rules.COMMANDS:
    command.add_command(rule_command)
for served_command in (
    *(serving.serve, serving.predict, serving.served, serving.rollback, serving.stop),
    *(serving.dockerfile, serving.compose),
):
    command.add_command(served_command)
