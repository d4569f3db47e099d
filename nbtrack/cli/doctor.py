"""``nbtrack doctor``: is everything in place, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from nbtrack.cli.options import json_option, store_option
from nbtrack.lab.checks import examine

MARKS: Final = {True: "ok  ", False: "warn"}


@click.command("doctor")
@store_option
@json_option
def command(store_uri: str | None, as_json: bool) -> None:
    """Check whether everything is in place.

    Looks at Python, JupyterLab, the kernel, both extensions and the store, and says what to do about each warning.
    """
    from nbtrack.cli.output import print_json, say

    findings = examine(store_uri)
    if as_json:
        print_json({"ok": all(one.ok for one in findings), "findings": [asdict(one) for one in findings]})
        return
    for one in findings:
        say(f"{MARKS[one.ok]}  {one.what:<16} {one.seen}")
        if one.do:
            say(f"      {'':<16} -> {one.do}")
