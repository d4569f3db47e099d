"""``nbtrack store``: what is in the folder, whether it is sound, and what may go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nbtrack.cli.options import json_option, open_here, store_option
from nbtrack.cli.progress import counting


@click.group("store")
def command() -> None:
    """Look after the store: facts, damage, waste, index."""


def size(size_bytes: float) -> str:
    """Return a size in the unit that people read it in.

    Examples
    --------
    >>> size(0), size(2048), size(5_400_000)
    ('0 B', '2.0 kB', '5.4 MB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} B"


@command.command("info")
@store_option
@json_option
def info(store_uri: str | None, as_json: bool) -> None:
    """Show where the store is and what it holds."""
    from nbtrack.cli.output import print_json, print_table

    facts = dict(open_here(store_uri).info())
    if as_json:
        print_json(facts)
        return
    facts["size_bytes"] = size(facts["size_bytes"])
    words = {"uri": "folder", "format_version": "format", "size_bytes": "size"}
    yes_no = {True: "yes", False: "no"}
    print_table(
        ["", ""],
        [(words.get(key, key), yes_no[value] if isinstance(value, bool) else value) for key, value in facts.items()],
    )


@command.command("check")
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing a good record.")
@store_option
@json_option
def check(repair: bool, store_uri: str | None, as_json: bool) -> None:
    """Read everything and name each damaged record.

    Exit code 1 if one is left.
    """
    from dataclasses import asdict

    from nbtrack.cli.output import print_json, say

    store = open_here(store_uri)
    with counting("checking") as progress:
        problems = list(store.check(repair=repair, progress=progress))
    left = [problem for problem in problems if not problem.repaired]
    if as_json:
        print_json({"store": store.uri, "sound": not left, "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            done = "repaired" if problem.repaired else problem.repair or "cannot be repaired"
            say(f"{problem.path}: {problem.what} ({done})")
        mend = " `nbtrack store check --repair` mends what it can." if left and not repair else ""
        say(
            f"{len(left)} damaged record{'s' if len(left) != 1 else ''} left.{mend}"
            if problems
            else "Sound: no damage found."
        )
    if left:
        raise click.exceptions.Exit(1)


@command.command("gc")
@click.option("--yes", is_flag=True, help="Remove it; without this, only say what would go.")
@click.option("--older-than", "days", type=click.FloatRange(0), default=0, metavar="DAYS", help="Only what is older.")
@store_option
@json_option
def collect(yes: bool, days: float, store_uri: str | None, as_json: bool) -> None:
    """Remove trashed runs and unused files for good."""
    from nbtrack.cli.output import print_json, say
    from nbtrack.reprs.numbers import plural

    store = open_here(store_uri)
    with counting("looking") as progress:
        found = store.gc(dry_run=not yes, older_than_s=days * 86_400, progress=progress)
    if as_json:
        print_json({"removed": yes, "run_ids": found.run_ids, "blobs": found.blobs, "size_bytes": found.size_bytes})
        return
    what = f"{plural(len(found.run_ids), 'run')} and {plural(found.blobs, 'file')}, {size(found.size_bytes)}"
    say(f"Removed {what}." if yes else f"Would remove {what}. `nbtrack store gc --yes` removes them for good.")


@command.command("compact")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what it would free.")
@store_option
@json_option
def compact(yes: bool, store_uri: str | None, as_json: bool) -> None:
    """Keep the metrics of finished runs in a ninth of the space.

    Nothing is lost: every value, step and time stays. Only runs with long curves are worth it.
    """
    from nbtrack.cli.output import print_json, say
    from nbtrack.reprs.numbers import plural

    store = open_here(store_uri)
    with counting("packing") as progress:
        found = store.compact(dry_run=not yes, progress=progress)
    if as_json:
        print_json({"compacted": yes, "run_ids": found.run_ids, "size_bytes": found.size_bytes})
        return
    what = f"{plural(len(found.run_ids), 'run')}, {size(found.size_bytes)}"
    freed = (
        f"Compacted {what} freed." if yes else f"Would compact {what} in all. `nbtrack store compact --yes` does it."
    )
    say(freed if found.run_ids else "Nothing to compact: no finished run has long curves.")


@command.command("index")
@store_option
@json_option
def index(store_uri: str | None, as_json: bool) -> None:
    """Build the search index again from the runs."""
    from nbtrack.cli.output import print_json, say
    from nbtrack.reprs.numbers import plural

    store = open_here(store_uri)
    with counting("indexing") as progress:
        count = store.rebuild_index(progress=progress)
    if as_json:
        print_json({"runs": count})
    else:
        say(f"Indexed {plural(count, 'run')}.")


@command.command("move")
@click.argument("target", metavar="FOLDER|USER@HOST:PATH")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=0, metavar="SECONDS", help="Wait for live runs.")
@click.option(
    "--as",
    "seen_as",
    metavar="FOLDER",
    help="Where this host sees the new place, such as a mount: everybody is led there. For another host only.",
)
@store_option
@json_option
def move(target: str, wait_s: float, seen_as: str | None, store_uri: str | None, as_json: bool) -> None:
    """Move the store to another folder or host while others write to it.

    Every file is copied, read back and compared; to another host by rsync and ssh. The old folder stays as it is. With
    a new folder, or --as, a note in the old one leads everybody who opens it to the new one; delete its moved-to.json
    to go back.
    """
    import sys
    from dataclasses import asdict

    from nbtrack.cli.output import print_json, say
    from nbtrack.errors import InvalidInputError
    from nbtrack.reprs.numbers import plural
    from nbtrack.store import find_store_uri, to_path
    from nbtrack.store.moving import move_store
    from nbtrack.store.moving_host import move_to_host, names_host

    source = to_path(store_uri or find_store_uri())
    if not Path(source, "runs").is_dir():
        raise InvalidInputError(f"store move: there is no store in {source}.")
    remote = names_host(target)
    if seen_as is not None and not remote:
        raise InvalidInputError("store move: --as is for another host; a folder is seen as it is named.")
    bar: Any
    with click.progressbar(length=1, label="files", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        if remote:
            report = move_to_host(source, target, wait_s=wait_s, seen_as=seen_as)
        else:
            report = move_store(source, target, wait_s=wait_s, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    say(f"{plural(report.files, 'file')}, {size(report.size_bytes)}, copied to {target} and compared.")
    for line in report.appended:
        say(line)
    if report.live:
        shown = ", ".join(report.live[:10])
        say(f"Still being written in the old folder: {shown}. Move again once they have ended; it copies what is new.")
    if remote and seen_as is None:
        say(f"Whoever has {source} open goes on writing there. Move again to bring that over; --as leads them.")
