"""The card under a tracked cell: what ran, what came out, what changed, what was kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbtrack.entities import MANIFEST_NAME, TAG_NOTE, TAG_RESUMED
from nbtrack.names import natural_key
from nbtrack.reprs.alerts import alert_lines, alerts_html
from nbtrack.reprs.directions import better_direction
from nbtrack.reprs.html import (
    ACCENT,
    BAD,
    DIM,
    GOOD,
    LINE,
    STATUS,
    TEXT,
    box,
    details,
    dim,
    esc,
    sparkline,
    status_mark,
    table,
)
from nbtrack.reprs.numbers import clean, format_change, format_duration, format_number, number_format, plural, short_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.entities import MetricSummary, Run

MAX_PARAMS = 24
MAX_METRICS = 16
MAX_BYTES = 8_000  # what one card may add to a notebook; where it would be more, it shows fewer params and metrics


def _duration(run: Run) -> str:
    wall = run.capture.get("wall_s")
    if isinstance(wall, (int, float)):
        return format_duration(wall)
    if run.info.end_time is not None:
        return format_duration((run.info.end_time - run.info.start_time) / 1000)
    return ""


def metric_order(run: Run) -> list[str]:
    """Return the metric keys of a run as they should be read: those with a known direction first, then by name."""
    return sorted(run.summaries, key=lambda key: (better_direction(key) is None, natural_key(key)))


def change_in_words(key: str, now: float, before: float) -> tuple[str, str]:
    """Return a change with its sign, and ``"better"``, ``"worse"`` or ``""`` where the direction is known."""
    change = now - before
    if not math.isfinite(change):
        return "", ""
    told = format_change(change, number_format([now, before]))
    better = better_direction(key)
    if change == 0 or better is None:
        return told, ""
    return told, "better" if (change > 0) == (better == "higher") else "worse"


def _change(key: str, now: float, previous: Run | None) -> str:
    before = previous.summaries.get(key) if previous else None
    if before is None:
        return ""
    text, verdict = change_in_words(key, now, before.last)
    if not verdict:
        return dim(esc(text))
    sign = "▲" if now > before.last else "▼"  # which way it went; the colour and the word say whether that is good
    colour = GOOD if verdict == "better" else BAD
    return f'<span style="color:{colour};white-space:nowrap">{sign} {esc(text)} {verdict}</span>'


def _value(key: str, summary: MetricSummary, curve: Sequence[float]) -> str:
    shown = f"<b>{format_number(summary.last)}</b>"
    if summary.count > 1:
        best = {"higher": summary.max, "lower": summary.min}.get(better_direction(key) or "")
        told = f"{plural(summary.count, 'step')}" + ("" if best is None else f", best {format_number(best)}")
        shown += sparkline(curve, f"{clean(key)}: {told}") + " " + dim(told)
    return shown


def _metrics(run: Run, previous: Run | None, curves: Mapping[str, Sequence[float]], most: int) -> str:
    keys = metric_order(run)
    if not keys:
        return ""
    rows = []
    for key in keys[:most]:
        summary = run.summaries[key]
        rows.append([esc(key, 60), _value(key, summary, curves.get(key, ())), _change(key, summary.last, previous)])
    if not any(row[2] for row in rows):
        rows = [row[:2] for row in rows]
    shown = table([], rows, left=3)
    if len(keys) > most:
        shown += dim(f"and {plural(len(keys) - most, 'more metric')}")
    return shown


def _params(run: Run, most: int) -> str:
    params = list(run.data.params.items())
    if not params:
        return ""
    chips = ", ".join(
        f'{esc(key, 50)}&nbsp;=&nbsp;<span style="color:{TEXT}">{esc(value, 60)}</span>' for key, value in params[:most]
    )
    if len(params) > most:
        chips += f" and {len(params) - most} more"
    return f'<div style="color:{DIM};overflow-wrap:anywhere">{chips}</div>'


def logged_models(run: Run) -> list[tuple[str, str]]:
    """Return the artifact path and, where captured, the class of each model that a run logged."""
    classes = {
        str(m.get("path")): str(m.get("class", "")) for m in run.capture.get("models") or [] if isinstance(m, dict)
    }
    ending = "/" + MANIFEST_NAME
    paths = [path.removesuffix(ending) for path in run.artifacts if path.endswith(ending)]
    return [(path, classes.get(path, "")) for path in sorted(paths)]


def _models(run: Run) -> str:
    return "".join(
        f"<div>{dim('model')} {esc(kind or path)}"
        f' <code style="font-size:12px;background:none;color:{DIM}">runs:/{esc(run.run_id)}/{esc(path)}</code></div>'
        for path, kind in logged_models(run)[:4]
    )


def _error(run: Run) -> str:
    error = run.capture.get("error")
    if not isinstance(error, dict):
        return ""
    return (
        f'<div style="color:{BAD};overflow-wrap:anywhere"><b>{esc(error.get("type", "Error"), 80)}</b>:'
        f" {esc(error.get('message', ''), 300)}</div>"
    )


def course_text(run: Run) -> str:
    """Return where a run goes on from, and how to go on where it broke off; "" for any other."""
    before = run.data.tags.get(TAG_RESUMED)
    told = [f"goes on where run {short_id(before)} broke off"] if before else []
    if run.info.status == "CRASHED":
        told.append(f"its process died; %%track --resume {short_id(run.run_id)} goes on in a new run")
    return "; ".join(told)


def progress_text(run: Run) -> str:
    """Return how far a running cell is, in words: ``3 of 10 epochs, about 12 s left``; "" if nothing told."""
    told = run.capture.get("progress")
    if run.info.status != "RUNNING" or not isinstance(told, dict):
        return ""
    done, total = told.get("done"), told.get("total")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return ""
    unit = clean(told.get("unit") or "step", 20)
    text = f"{format_number(done)} of {format_number(total)} {unit}{'s' if unit not in {'it', 's'} else ''}"
    left = told.get("remaining_s")
    if not isinstance(left, (int, float)):
        return text
    return f"{text}, about {format_duration(left) if left >= 60 else f'{max(1, round(left))} s'} left"


def _progress(run: Run) -> str:
    text = progress_text(run)
    if not text:
        return ""
    told = run.capture["progress"]
    share = max(0.0, min(1.0, told["done"] / told["total"]))
    return (
        f'<div style="display:flex;align-items:center;gap:8px;margin-top:4px">'
        f'<div style="flex:0 1 240px;height:4px;border-radius:2px;background:{LINE}">'
        f'<div style="width:{100 * share:.1f}%;height:4px;border-radius:2px;background:{ACCENT}"></div></div>'
        f"{dim(esc(text))}</div>"
    )


def _captured(run: Run) -> str:
    parts = [str(part) for part in run.capture.get("captured") or []]
    missing = [str(part) for part in run.capture.get("not_captured") or []]
    if not parts and not missing:
        return ""
    inner = " · ".join(esc(part, 160) for part in parts)
    if missing:
        inner += "<br>Not captured: " + " · ".join(esc(part, 160) for part in missing)
    return details(f"What was captured ({len(parts)})", inner)


def run_card_html(
    run: Run,
    previous: Run | None = None,
    *,
    experiment: str = "",
    curves: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Return the card of a run as HTML that is complete without a script, a style sheet or the network.

    Parameters
    ----------
    run
        The run.
    previous
        The run to show the change against.
    experiment
        The name of its experiment, where worth saying.
    curves
        Values of metrics that have several steps, for a small curve each.
    """
    page = ""
    for share in (1, 2, 4):
        page = _card(run, previous, experiment, curves or {}, MAX_METRICS // share, MAX_PARAMS // share)
        if len(page.encode()) <= MAX_BYTES:
            break
    return page


def _card(
    run: Run,
    previous: Run | None,
    experiment: str,
    curves: Mapping[str, Sequence[float]],
    most_metrics: int,
    most_params: int,
) -> str:
    colour = ACCENT if run.info.status == "FINISHED" else STATUS.get(run.info.status, ("", "", ACCENT))[2]
    took = esc(_duration(run))
    facts = [
        f"{'for' if run.info.status == 'RUNNING' else 'in'} {took}" if took else "",
        esc(experiment, 60),
        f"run {short_id(run.run_id)}",
    ]
    head = (
        f'<div style="overflow-wrap:anywhere">{status_mark(run.info.status)}&ensp;<b>{esc(run.info.run_name, 80)}</b>'
        f"&ensp;{dim(' · '.join(fact for fact in facts if fact))}</div>"
    )
    note = run.data.tags.get(TAG_NOTE, "")
    against = ""
    if previous is not None and any(key in previous.summaries for key in run.summaries):
        against = f'<div style="color:{DIM};font-size:12px">change against {esc(previous.info.run_name, 60)}</div>'
    metrics = _metrics(run, previous, curves, most_metrics)
    empty = ""
    if not metrics and not run.data.params and run.info.status == "FINISHED":
        empty = dim(
            "<div>No params or metrics found. Assign results to names such as <code>accuracy</code>, or use"
            " <code>-m NAME</code> and <code>-p NAME</code>.</div>"
        )
    told = [note, course_text(run)]
    said = "".join(f"<div>{dim(esc(text, 500))}</div>" for text in told if text)
    inner = [head, said, _error(run), alerts_html(run.data.tags), _progress(run), empty]
    if metrics:
        inner.append(f'<div style="margin-top:4px;overflow-x:auto">{metrics}{against}</div>')
    if params := _params(run, most_params):
        inner.append(f'<div style="margin-top:4px">{params}</div>')
    inner += [_models(run), _captured(run)]
    return box("".join(inner), colour)


def run_card_text(run: Run, previous: Run | None = None) -> str:
    """Return the card of a run as plain text, for terminals and consoles."""
    sign, word, _ = STATUS.get(run.info.status, ("?", run.info.status.lower(), ""))
    took = _duration(run)
    since = "for" if run.info.status == "RUNNING" else "in"
    lines = [
        f"{sign} {clean(run.info.run_name, 80)}  {word}{f' {since} {took}' if took else ''}  run {short_id(run.run_id)}"
    ]
    lines += [f"  {clean(text, 200)}" for text in (progress_text(run), course_text(run)) if text]
    error: Any = run.capture.get("error")
    if isinstance(error, dict):
        lines.append(f"  {clean(error.get('type', 'Error'), 80)}: {clean(error.get('message', ''), 200)}")
    lines += [f"  {line}" for line in alert_lines(run.data.tags)]
    keys = metric_order(run)[:MAX_METRICS]
    width = max((len(clean(key, 40)) for key in keys), default=0)
    for key in keys:
        summary = run.summaries[key]
        line = f"  {clean(key, 40):<{width}}  {format_number(summary.last)}"
        before = previous.summaries.get(key) if previous else None
        if before is not None:
            text, verdict = change_in_words(key, summary.last, before.last)
            line += f"  ({text}{' ' + verdict if verdict else ''})" if text else ""
        lines.append(line)
    if run.data.params:
        shown = [f"{clean(k, 50)}={clean(v, 60)}" for k, v in list(run.data.params.items())[:MAX_PARAMS]]
        lines.append("  " + ", ".join(shown))
    lines += [f"  model runs:/{run.run_id}/{path}" for path, _ in logged_models(run)]
    return "\n".join(lines)
