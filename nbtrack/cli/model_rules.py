"""The commands of ``nbtrack models`` that set rules, say things of models, and choose the best version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbtrack.cli.options import URI_HELP, json_option, open_here, store_option
from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from nbtrack.models import Decision

_NOTE = click.option("--note", metavar="TEXT", help="Why; kept in the history.")


def _tell(document: dict[str, Any], text: str, as_json: bool) -> None:
    from nbtrack.cli.output import print_json, say

    if as_json:
        print_json(document)
    else:
        say(text)


@click.command("stages")
@click.argument("name")
@click.argument("stages", nargs=-1)
@click.option("--usual", is_flag=True, help="Back to Staging and Production.")
@_NOTE
@store_option
@json_option
def stages(
    name: str, stages: tuple[str, ...], usual: bool, note: str | None, store_uri: str | None, as_json: bool
) -> None:
    """Show the stages of a registered model, or set its own.

    STAGES hold one version each, lowest first, such as: Dev Staging Production. None and Archived are always there.
    """
    from nbtrack import registry

    store = open_here(store_uri)
    if stages or usual:
        model = registry.set_stages(name, None if usual else stages, note=note, store=store)
    else:
        model = registry.get_model(name, store=store)
    _tell({"name": model.name, "stages": model.stages}, f"{model.name}: {', '.join(model.stages)}", as_json)


@click.command("gates")
@click.argument("name")
@click.argument("stage", required=False)
@click.argument("gates", nargs=-1, metavar="[GATE]...")
@click.option("--none", "clear", is_flag=True, help="Take the gates of the stage away.")
@_NOTE
@store_option
@json_option
def gates(
    name: str,
    stage: str | None,
    gates: tuple[str, ...],
    clear: bool,
    note: str | None,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Show what a promotion must pass, or set the gates of a stage.

    A GATE reads "accuracy >= 0.9", "f1 better by 0.01", "f1 better on the same data", "signature compatible", "input
    example predicts", "reproduced" or "approved by ana".
    """
    from nbtrack import registry

    store = open_here(store_uri)
    if stage is not None and (gates or clear):
        model = registry.set_gates(name, stage, None if clear else gates, note=note, store=store)
    elif clear:
        raise InvalidInputError("gates: expected the stage whose gates go, got none. Name it before --none.")
    else:
        model = registry.get_model(name, store=store)
    shown = {where: rules for where, rules in model.gates.items() if stage is None or where.lower() == stage.lower()}
    lines = [f"{model.name} {where}: {rule}" for where, rules in shown.items() for rule in rules]
    _tell({"name": model.name, "gates": shown}, "\n".join(lines) or f"{model.name}: no gates", as_json)


@click.command("approve")
@click.argument("name")
@click.argument("version")
@click.argument("stage")
@click.option("--withdraw", is_flag=True, help="Take your approval back.")
@_NOTE
@store_option
@json_option
def approve(
    name: str, version: str, stage: str, withdraw: bool, note: str | None, store_uri: str | None, as_json: bool
) -> None:
    """Agree that a version may be promoted to a stage."""
    from nbtrack import registry

    made = registry.approve(name, version, stage, withdraw=withdraw, note=note, store=open_here(store_uri))
    told = ", ".join(f"{who} for {' and '.join(where)}" for who, where in sorted(made.approvals.items())) or "nobody"
    document = {"name": made.name, "version": made.version, "approvals": made.approvals}
    _tell(document, f"{made.name}: v{made.version} is approved by {told}", as_json)


@click.command("rename")
@click.argument("name")
@click.argument("new_name")
@_NOTE
@store_option
@json_option
def rename(name: str, new_name: str, note: str | None, store_uri: str | None, as_json: bool) -> None:
    """Give a registered model another name; its history goes on."""
    from nbtrack import registry

    model = registry.rename_model(name, new_name, note=note, store=open_here(store_uri))
    _tell({"name": model.name, "before": name}, f"{name}: renamed to {model.name}", as_json)


@click.command("alias")
@click.argument("name")
@click.argument("alias")
@click.argument("version", required=False)
@click.option("--none", "clear", is_flag=True, help="Take the alias away.")
@_NOTE
@store_option
@json_option
def alias(
    name: str, alias: str, version: str | None, clear: bool, note: str | None, store_uri: str | None, as_json: bool
) -> None:
    """Let models:/NAME@ALIAS mean a version."""
    from nbtrack import registry

    store = open_here(store_uri)
    if (version is None) is not clear:
        raise InvalidInputError("alias: expected a version, or --none to take the alias away; give one of the two.")
    if version is None:
        registry.delete_alias(name, alias, note=note, store=store)
    else:
        registry.set_alias(name, alias, version, note=note, store=store)
    found = registry.get_model(name, store=store).aliases
    text = ", ".join(f"@{key} v{number}" for key, number in sorted(found.items())) or "no aliases"
    _tell({"name": name, "aliases": found}, f"{name}: {text}", as_json)


@click.command("delete")
@click.argument("name")
@click.argument("version", required=False)
@_NOTE
@store_option
@json_option
def delete(name: str, version: str | None, note: str | None, store_uri: str | None, as_json: bool) -> None:
    """Move a version, or a whole model, to the trash."""
    from nbtrack import registry

    store = open_here(store_uri)
    if version is None:
        registry.delete_model(name, note=note, store=store)
    else:
        registry.delete_version(name, version, note=note, store=store)
    what = f"version {version}" if version else "the model"
    _tell({"name": name, "version": version, "deleted": True}, f"{name}: {what} is in the trash", as_json)


@click.command("restore")
@click.argument("name")
@click.argument("version", required=False)
@_NOTE
@store_option
@json_option
def restore(name: str, version: str | None, note: str | None, store_uri: str | None, as_json: bool) -> None:
    """Take a version, or a whole model, out of the trash."""
    from nbtrack import registry

    store = open_here(store_uri)
    if version is None:
        registry.restore_model(name, note=note, store=store)
    else:
        registry.restore_version(name, version, note=note, store=store)
    what = f"version {version}" if version else "the model"
    _tell({"name": name, "version": version, "deleted": False}, f"{name}: {what} is restored", as_json)


@click.command("line")
@click.argument("name")
@click.argument("version")
@click.argument("line")
@store_option
@json_option
def line(name: str, version: str, line: str, store_uri: str | None, as_json: bool) -> None:
    """Say which line of code a version was made with, such as 1.0."""
    from nbtrack import registry

    made = registry.set_line(name, version, line, store=open_here(store_uri))
    told = made.tags[registry.TAG_LINE]
    _tell(
        {"name": made.name, "version": made.version, "line": told},
        f"{made.name}: v{made.version} is of the code line {told}",
        as_json,
    )


@click.command("policy")
@click.argument("environment", required=False)
@click.argument("specifier", required=False)
@click.option("--none", "clear", is_flag=True, help="Take the policy of the environment away.")
@store_option
@json_option
def policy(environment: str | None, specifier: str | None, clear: bool, store_uri: str | None, as_json: bool) -> None:
    """Show or set which code lines an environment may pick.

    A policy reads: PROD "<=1.0"
    """
    from nbtrack import registry

    store = open_here(store_uri)
    if environment is not None and (clear or specifier is not None):
        registry.set_policy(environment, None if clear else specifier, store=store)
    found = registry.get_policies(store=store)
    if environment is not None:
        found = {key: value for key, value in found.items() if key == environment.upper()}
    text = "\n".join(f"{key}: {value}" for key, value in found.items()) or "no policies"
    _tell({"policies": found}, text, as_json)


@click.command("best")
@click.argument("name")
@click.option("--metric", required=True, help='A scorer of scikit-learn, such as "accuracy".')
@click.option(
    "--data", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV or Parquet."
)
@click.option("--target", required=True, metavar="COLUMN", help="Its column of true values.")
@click.option("--environment", metavar="NAME", help="Only versions that its policy allows.")
@click.option("--promote", "promote_to", metavar="STAGE", help="Promote the winner.")
@_NOTE
@store_option
@json_option
def best(
    name: str,
    metric: str,
    data: Path,
    target: str,
    environment: str | None,
    promote_to: str | None,
    note: str | None,
    store_uri: str | None,
    as_json: bool,
) -> None:
    """Score all versions on the same data, and name the best."""
    from nbtrack.models import select_best

    decision = select_best(
        name, metric, (data, target), environment, promote_to=promote_to, note=note, store=open_here(store_uri)
    )
    text = str(decision) + (f"\n  {decision.promotion.text}" if decision.promotion else "")
    _tell(_decision_record(decision), text, as_json)


def _decision_record(decision: Decision) -> dict[str, Any]:
    return {
        "name": decision.name,
        "environment": decision.environment,
        "policy": decision.policy,
        "metric": decision.metric,
        "dataset": decision.dataset,
        "best": decision.best,
        "scores": {str(version): score for version, score in decision.scores.items()},
        "refused": {str(version): why for version, why in decision.refused.items()},
        "comparable": decision.comparable,
        "promotion": decision.promotion.text if decision.promotion else None,
    }


@click.command("diff")
@click.argument("name")
@click.argument("a")
@click.argument("b")
@store_option
@json_option
def diff(name: str, a: str, b: str, store_uri: str | None, as_json: bool) -> None:
    """Show what is different between two versions."""
    from nbtrack import registry
    from nbtrack.cli.output import print_json, print_table, say

    found = registry.diff_versions(name, a, b, store=open_here(store_uri))
    if as_json:
        rows = [{"kind": one.kind, "key": one.key, "a": one.a, "b": one.b} for one in found]
        print_json({"name": name, "a": a, "b": b, "differences": rows})
    elif not found:
        say(f"{name}: nothing is different")
    else:
        heads = ["", "", *(f"v{version.lower().removeprefix('v')}" for version in (a, b))]
        print_table(heads, [[one.kind, one.key, one.a, one.b] for one in found], firm=range(2))


@click.command("check", epilog=URI_HELP)
@click.argument("uri")
@store_option
@json_option
def check(uri: str, store_uri: str | None, as_json: bool) -> None:
    """Load a model and say what differs here."""
    import warnings

    from nbtrack.cli.output import print_json, say
    from nbtrack.cli.references import full_model_uri
    from nbtrack.models import load_bundle

    plain = uri.startswith(("runs:/", "models:/"))
    store = open_here(store_uri) if plain else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is in the list
        loaded = load_bundle(full_model_uri(store, uri) if store else uri, store=store)
        environment = loaded.environment
    if as_json:
        differences = [
            {"what": d.what, "recorded": d.recorded, "here": d.here, "severity": d.severity}
            for d in environment.differences
        ]
        facts = {"uri": uri, "digest": loaded.source.digest, "own": loaded.source.own, "flavor": loaded.flavor.NAME}
        print_json(
            {
                **facts,
                "differences": differences,
                "rescored": environment.rescored,
                "largest_change": environment.largest_change,
                "severity": environment.severity,
            }
        )
        return
    say(f"{uri}: {loaded.flavor.NAME}, {'your own' if loaded.source.own else 'from a stranger'}, every byte verified")
    say(str(environment))


COMMANDS = (diff, check, gates, approve, stages, alias, rename, delete, restore, line, policy, best)
