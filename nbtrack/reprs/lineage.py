"""Where a run came from, as text and HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Protocol

from nbtrack.reprs.html import ACCENT, MONO, box, details, dim, esc, status_mark, table
from nbtrack.reprs.numbers import clean, plural, short_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.entities import Run


class _Lineage(Protocol):
    @property
    def run(self) -> Run: ...
    @property
    def cells(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def missing(self) -> Sequence[str]: ...
    @property
    def data(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def around(self) -> Sequence[tuple[str, str]]: ...
    @property
    def parents(self) -> Sequence[tuple[str, str]]: ...
    @property
    def children(self) -> Sequence[tuple[str, str, str]]: ...
    @property
    def versions(self) -> Sequence[str]: ...


def _label(cell: Mapping[str, Any]) -> str:
    count = cell.get("execution_count")
    return f"In [{count if isinstance(count, int) else ' '}]"


def _flow(cell: Mapping[str, Any]) -> str:
    reads, writes = (", ".join(map(str, cell.get(key) or ())) for key in ("reads", "writes"))
    return " → ".join(part for part in (clean(reads, 80), clean(writes, 80)) if part)


def _first_line(cell: Mapping[str, Any]) -> str:
    lines = str(cell.get("source", "")).splitlines()
    return next((line.strip() for line in lines if line.strip() and not line.startswith(("%%track", "#"))), "")


def _data(one: Mapping[str, Any]) -> tuple[str, str, str]:
    shape = one.get("shape")
    size = " × ".join(map(str, shape)) if isinstance(shape, list) else f"{one.get('size_bytes', '?')} bytes"
    name = one.get("path") or one.get("name") or ""
    return str(name), f"{one.get('kind', '')} {size}".strip(), str(one.get("digest", ""))[:12]


def lineage_text(found: _Lineage) -> str:
    """Return where a run came from as plain text."""
    run = found.run
    lines = [f"{clean(run.info.run_name, 80)} {short_id(run.run_id)} was made by {plural(len(found.cells), 'cell')}:"]
    for cell in found.cells:
        sign = "●" if cell.get("this") else " "
        lines.append(f" {sign} {_label(cell):9} {clean(_first_line(cell), 60):60} {_flow(cell)}".rstrip())
    lines += [f"   {clean(text, 200)}" for text in found.missing]
    lines += ["data:"] * bool(found.data)
    lines += ["   " + "  ".join(clean(part, 80) for part in _data(one)) for one in found.data]
    lines += [f"{word}: {clean(text, 300)}" for word, text in (*found.around, *found.parents)]
    lines += [
        f"child: {clean(name, 80)} {short_id(run_id)} {status.lower()}" for run_id, name, status in found.children[:50]
    ]
    lines += [f"model: {clean(text, 120)}" for text in found.versions]
    return "\n".join(lines)


def _code(cell: Mapping[str, Any]) -> str:
    source = str(cell.get("source", ""))
    text = "\n".join(html.escape(clean(line, 500), quote=True) for line in source.splitlines()[:400])
    style = f"margin:2px 0;padding:0;background:none;font:12px/1.45 {MONO};white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<pre style="{style}">{text}</pre>'


def lineage_html(found: _Lineage) -> str:
    """Return where a run came from as HTML; the code of each cell opens on a click."""
    run = found.run
    parts = [
        f"<div><b>{esc(run.info.run_name, 80)}</b> {dim(short_id(run.run_id))} {status_mark(run.info.status)} was made"
        f" by {plural(len(found.cells), 'cell')}</div>"
    ]
    for cell in found.cells:
        mark = f'<b style="color:{ACCENT}">{_label(cell)}</b>' if cell.get("this") else _label(cell)
        first = f'<span style="font-family:{MONO}">{esc(_first_line(cell), 70)}</span>'
        flow = _flow(cell)
        parts.append(details(f"{mark} {first}" + (f" · <i>{esc(flow, 120)}</i>" if flow else ""), _code(cell)))
    parts += [f"<div>{dim('⚠ ' + esc(text, 300))}</div>" for text in found.missing]
    if found.data:
        parts.append(
            table(["data read", "", "fingerprint"], [[esc(p, 80) for p in _data(one)] for one in found.data], 3)
        )
    rows = [[dim(esc(word, 20)), esc(text, 300)] for word, text in (*found.around, *found.parents)]
    rows += [
        [dim("child"), f"{esc(name, 80)} {dim(short_id(run_id))} {status_mark(status)}"]
        for run_id, name, status in found.children[:50]
    ]
    rows += [[dim("model"), f"<b>{esc(text, 120)}</b>"] for text in found.versions]
    wrapped = [
        [left, f'<span style="white-space:normal;overflow-wrap:anywhere">{right}</span>'] for left, right in rows
    ]
    parts.append(table([], wrapped, left=2))
    return box(f'<div style="overflow-x:auto">{"".join(parts)}</div>')
