"""Why runs are different: as text, and as HTML with the code of what changed."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from nbtrack.reprs.directions import better_direction
from nbtrack.reprs.html import ACCENT, BAD, DIM, GOOD, LINE, MONO, box, details, dim, esc, table
from nbtrack.reprs.numbers import clean, format_change, number_format, short_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtrack.entities import Difference, RunDiff

WORDS: Final = {
    "param": "param",
    "cell": "code",
    "upstream": "code before",
    "data": "data",
    "seed": "seed",
    "environment": "environment",
    "git": "git",
}
MAX_ROWS: Final = 60
MAX_LINES: Final = 200


def _names(found: RunDiff) -> list[str]:
    return [f"{clean(n, 40)} {short_id(i)}" for n, i in zip(found.run_names, found.run_ids, strict=True)]


def _numbers(values: Sequence[float | None]) -> list[str]:
    form = number_format([value for value in values if value is not None])
    return ["–" if value is None else form(value) for value in values]


def _change(values: Sequence[float | None]) -> str:
    if len(values) != 2 or values[0] is None or values[1] is None or values[1] - values[0] != values[1] - values[0]:
        return ""
    return format_change(values[1] - values[0], number_format([values[0], values[1]]))


def run_diff_text(found: RunDiff) -> str:
    """Return the difference between runs as plain text: the verdict, the metrics, then each cause in a line."""
    lines = [" · ".join(_names(found)), clean(found.verdict, 400)]
    for key, values in found.metrics[:MAX_ROWS]:
        change = _change(values)
        lines.append(f"  metric {clean(key, 60)}: {' → '.join(_numbers(values))}" + (f" ({change})" if change else ""))
    for one in found.differences[:MAX_ROWS]:
        lines.append(f"  {WORDS.get(one.kind, one.kind)}: {clean(one.text, 300)}")
        for patch in one.patches:
            lines += [f"      {clean(line, 160)}" for line in patch.splitlines()[2:40] if not line.startswith("@@")]
    if len(found.differences) > MAX_ROWS:
        lines.append(f"  … and {len(found.differences) - MAX_ROWS} more")
    if found.same:
        lines.append("  the same: " + clean(", ".join(found.same), 300))
    lines += [f"  not known: {clean(text, 300)}" for text in found.unknown]
    return "\n".join(lines)


def _bar(weight: float) -> str:
    """Return how likely a cause is as a small bar, with the number for a screen reader."""
    share = max(0.0, min(1.0, weight))
    return (
        f'<span role="img" aria-label="weight {share:.2f}" title="weight {share:.2f}" style="display:inline-block;'
        f'width:48px;height:6px;border-radius:3px;background:{LINE};vertical-align:middle"><span style="display:block;'
        f'width:{round(48 * share)}px;height:6px;border-radius:3px;background:{ACCENT}"></span></span>'
    )


def patch_html(patch: str) -> str:
    """Return a unified diff as HTML: signs and colours say what went and what came."""
    out = []
    for line in patch.splitlines()[2 : MAX_LINES + 2]:
        colour = GOOD if line.startswith("+") else BAD if line.startswith("-") else DIM
        shown = html.escape(clean(line, 400), quote=True) or " "
        out.append(f'<span style="color:{colour}">{shown}</span>')
    style = f"margin:2px 0;padding:0;background:none;font:12px/1.45 {MONO};white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<pre style="{style}">' + "\n".join(out) + "</pre>"


def _cause(one: Difference) -> list[str]:
    limit = 60 if len(one.values) < 3 else 28
    values = ["–" if value is None else esc(value, limit) for value in one.values]
    if one.kind == "upstream":  # the key says which cell; here only where it stood in each run
        values = [dim(value.partition("]")[0] + "]" * (value != "–")) for value in values]
    return [_bar(one.weight), dim(WORDS.get(one.kind, esc(one.kind, 20))), esc(one.key, 44), *values]


def run_diff_html(found: RunDiff) -> str:
    """Return the difference between runs as HTML: the verdict, the metrics, a ranked table of causes, the code."""
    names = [esc(name, 60) for name in _names(found)]
    parts = [f"<div><b>{esc(found.verdict, 400)}</b></div>"]
    pair = len(names) == 2
    if found.metrics:
        rows = []
        for key, values in found.metrics[:MAX_ROWS]:
            row = [esc(key, 60), *map(esc, _numbers(values))]
            if pair:
                change = _change(values)
                better = better_direction(key)
                up = bool(change) and change.startswith("+")
                good = better is not None and bool(change) and change != "±0" and up == (better == "higher")
                colour = DIM if better is None or not change else GOOD if good else BAD
                row.append(f'<span style="color:{colour}">{esc(change)}</span>')
            rows.append(row)
        parts.append(table(["metric", *names, *([""] if pair else [])], rows))
    if found.differences:
        rows = [_cause(one) for one in found.differences[:MAX_ROWS]]
        short = [esc(name, 24) for name in found.run_names]
        parts.append(table(["", "", "differs", *short], rows, left=3 + len(names)))
    for one in found.differences:
        shown = [(name, patch) for name, patch in zip(names, one.patches, strict=False) if patch]
        if shown:
            inner = "".join((dim(name) if len(shown) > 1 else "") + patch_html(patch) for name, patch in shown)
            parts.append(details(esc(one.text, 120), inner))
    if found.same:
        parts.append(f"<div>{dim('The same: ' + esc(', '.join(found.same), 400))}</div>")
    parts += [f"<div>{dim('Not known: ' + esc(text, 300))}</div>" for text in found.unknown]
    return box(f'<div style="overflow-x:auto">{"".join(parts)}</div>')
