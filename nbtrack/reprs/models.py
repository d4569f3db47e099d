"""Model versions, their history, and model servers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbtrack.reprs.html import ACCENT, BAD, DIM, GOOD, LINE, MONO, box, details, dim, esc, table
from nbtrack.reprs.numbers import clean, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.entities import ModelVersion, RegisteredModel, ServerInfo

_SERVER = {
    "ready": ("●", "ready", GOOD),
    "starting": ("○", "starting", ACCENT),
    "failed": ("✗", "failed", BAD),
    "stopped": ("■", "stopped", DIM),
}


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC") if ms else ""


def stage_mark(stage: str) -> str:
    """Return a stage as a small framed word; the stage None as a dash."""
    if stage in {"", "None"}:
        return dim("–")
    frame = f"border:1px solid {LINE};border-radius:3px;padding:0 5px;white-space:nowrap"
    return f'<span style="{frame}">{esc(stage, 30)}</span>'


def _metrics(version: ModelVersion, limit: int = 4) -> str:
    return ", ".join(f"{esc(key, 40)} {format_number(value)}" for key, value in list(version.metrics.items())[:limit])


def model_version_html(version: ModelVersion) -> str:
    """Return one model version as HTML: where it stands, where it came from, what it scored."""
    aliases = " ".join(f"@{esc(alias, 40)}" for alias in version.aliases)
    stage = stage_mark(version.current_stage)
    lines = [
        f"<b>{esc(version.name, 80)}</b> version {version.version}&ensp;{stage}&ensp;{aliases}",
        _metrics(version),
        esc(version.description, 300),
        dim(
            " · ".join(
                part
                for part in (esc(version.flavor), esc(version.source), esc(_when(version.creation_timestamp)))
                if part
            )
        ),
    ]
    return box("".join(f'<div style="overflow-wrap:anywhere">{line}</div>' for line in lines if line))


def model_version_text(version: ModelVersion) -> str:
    """Return one model version as plain text."""
    aliases = "".join(f" @{clean(alias, 40)}" for alias in version.aliases)
    scored = ", ".join(f"{clean(key, 40)} {format_number(value)}" for key, value in list(version.metrics.items())[:4])
    text = f"{clean(version.name, 80)} version {version.version}  stage {version.current_stage}{aliases}"
    return f"{text}  {scored}".rstrip()


def registered_model_html(model: RegisteredModel) -> str:
    """Return a registered model with its versions, newest first."""
    rows = [
        [
            f"v{version.version}",
            stage_mark(version.current_stage) + "".join(f" @{esc(alias, 40)}" for alias in version.aliases),
            _metrics(version),
            dim(esc(_when(version.creation_timestamp))),
        ]
        for version in model.versions
        if not version.deleted
    ]
    body = table(["version", "stage", "metrics", "created"], rows, left=4) if rows else dim("no versions")
    return box(
        f"<div><b>{esc(model.name, 80)}</b> {dim(esc(model.description, 200))}</div>"
        f'<div style="overflow-x:auto">{body}</div>'
    )


def server_card_html(info: ServerInfo, *, curl: str = "", log: str = "") -> str:
    """Return the card of a model server as HTML.

    Parameters
    ----------
    info
        The server.
    curl
        A command that works as it stands.
    log
        Its last lines of output; shown where it failed.
    """
    sign, word, colour = _SERVER.get(info.status, ("?", info.status, DIM))
    what = f"{esc(info.model_name, 80)} version {info.version}" if info.version else esc(info.model_uri, 120)
    url = esc(info.url, 200)
    link = f'<a href="{url}" style="color:{ACCENT}">{url}</a>' if info.url.startswith(("http://", "https://")) else url
    inner = [
        f'<div style="overflow-wrap:anywhere"><span style="color:{colour}">{sign} {esc(word)}</span>&ensp;<b>{what}</b>'
        f"&ensp;{link if info.status == 'ready' else dim(url)}</div>",
        f"<div>{dim(esc(info.model_uri, 200) + f' · process {info.pid}')}</div>",
    ]
    if info.error:
        inner.append(f'<div style="color:{BAD};overflow-wrap:anywhere">{esc(info.error, 600)}</div>')
    code = f'style="margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.4 {MONO};background:none"'
    if curl and info.status == "ready":
        inner.append(details("Send a request", f"<pre {code}>{_lines(curl, 2000)}</pre>"))
    if log and info.status == "failed":
        inner.append(details("Its last output", f"<pre {code}>{_lines(log[-2000:], 2000)}</pre>"))
    return box("".join(inner), colour)


def _lines(text: str, limit: int) -> str:
    return "\n".join(esc(line, limit) for line in text[:limit].splitlines())


def small_table_html(head: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Return any small table of plain values as HTML; every value is escaped."""
    shown = [[format_number(v) if isinstance(v, float) else esc(v, 120) for v in row] for row in rows]
    return box(f'<div style="overflow-x:auto">{table([esc(h, 60) for h in head], shown, left=left)}</div>', LINE)


def small_table_text(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return any small table of plain values as aligned text."""
    cells = [[clean(h, 60) for h in head]]
    cells += [[format_number(v) if isinstance(v, float) else clean(v, 60) for v in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
