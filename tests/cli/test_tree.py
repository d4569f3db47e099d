"""The whole tree of commands: each is documented, each listing speaks JSON."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from nbtrack.cli import NOUNS, cli


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))


TREE = dict(walk(cli))
LEAVES = {path: command for path, command in TREE.items() if not isinstance(command, click.Group)}
IDS = [" ".join(path) or "nbtrack" for path in TREE]


def test_tree_holds_what_the_documentation_names() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "demo",
        "compare",
        "doctor",
        "report",
        "run",
        "retrain",
        "import",
        *(f"export {verb}" for verb in ("mlruns", "model", "training")),
        *(f"runs {verb}" for verb in ("list", "show", "diff", "lineage", "reproduce", "delete", "restore")),
        *(f"models {verb}" for verb in ("list", "show", "register", "promote", "history", "undo")),
        *(f"models {verb}" for verb in ("diff", "check", "gates", "approve", "stages", "alias", "rename")),
        *(f"models {verb}" for verb in ("delete", "restore", "line", "policy", "best")),
        *(f"models {verb}" for verb in ("serve", "predict", "served", "rollback", "stop", "dockerfile", "compose")),
        *(f"store {verb}" for verb in ("info", "check", "gc", "compact", "index", "move")),
    }


@pytest.mark.parametrize("path", TREE, ids=IDS)
def test_command_has_help_and_every_option_says_what_it_does(path: tuple[str, ...]) -> None:
    command = TREE[path]
    assert command.help
    assert command.help.strip().splitlines()[0].endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts}"


@pytest.mark.parametrize("path", TREE, ids=IDS)
def test_help_page_is_shown_and_cuts_no_line(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output
    listed = result.output.partition("Commands:")[2]
    assert "..." not in listed


@pytest.mark.parametrize(
    "path",
    [p for p in LEAVES if p[-1] not in {"delete", "restore", "predict", "rollback", "stop", "dockerfile", "compose"}],
    ids=" ".join,
)
def test_command_that_answers_takes_json(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in LEAVES[path].params)


@pytest.mark.parametrize(
    "path", [p for p in LEAVES if p not in {("demo",), ("models", "stop"), ("models", "rollback")}], ids=" ".join
)
def test_command_on_a_store_takes_its_path(path: tuple[str, ...]) -> None:
    option = next(parameter for parameter in LEAVES[path].params if "--store" in parameter.opts)
    assert option.envvar == "NBTRACK_TRACKING_URI"


def test_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["rums"])
    assert result.exit_code == 2
    assert "No such command 'rums'" in result.stderr


def test_nouns_are_the_first_words_of_the_tree() -> None:
    assert {path[0] for path in LEAVES} == set(NOUNS)
