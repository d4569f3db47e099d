"""The command line: one module a noun, loaded when its command is asked for. Thin: every command calls a room below."""

from __future__ import annotations

from errno import EPIPE
from importlib import import_module
from typing import Any, Final

import click

from nbtrack._version import __version__
from nbtrack.cli.options import command_settings
from nbtrack.errors import NbtrackError

# Command -> the module of that name in this package, which holds a click command called `command`.
NOUNS: Final = ("demo", "run", "retrain", "runs", "compare", "report", "models", "store", "import", "export", "doctor")
MODULES: Final = {"import": "importing", "export": "exporting"}  # where the word is not allowed as a module's name
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, what a shell expects of a command that Ctrl-C ended


class LazyGroup(click.Group):
    """A group that imports a command when it is named, and tells errors in one line without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns in the order in which a newcomer meets them."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is none of this name."""
        if cmd_name not in NOUNS:
            return None
        command: click.Command = import_module(f"nbtrack.cli.{MODULES.get(cmd_name, cmd_name)}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours or of the system goes to stderr with exit code 1, Ctrl-C ends with 130."""
        from nbtrack.cli.output import clean_lines

        try:
            return super().invoke(ctx)
        except NbtrackError as error:
            raise click.ClickException(clean_lines(str(error))) from error
        except OSError as error:  # no permission, no room, a file where a folder should be: nothing for a traceback
            if error.errno == EPIPE:  # click's own affair: whoever read our output has left
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(clean_lines(f"{where}{error.strerror or error}")) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=LazyGroup, context_settings=command_settings())
@click.version_option(__version__, prog_name="nbtrack", message="%(prog)s %(version)s")
def cli() -> None:
    """The notebook as experiment tracker, model registry and model server, on plain files.

    Start with `nbtrack demo`. Every listing takes --json. The store is the folder given by --store or
    NBTRACK_TRACKING_URI, else the nearest .nbtrack at or above the working directory.
    """


def main() -> None:
    """Run the command line; the entry point of the installed ``nbtrack`` command."""
    from nbtrack.cli.output import show_warnings_in_one_line

    show_warnings_in_one_line()
    cli(prog_name="nbtrack")
