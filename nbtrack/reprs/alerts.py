"""Alerts of a run: as the text of the tag that keeps them, and as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from nbtrack.entities import TAG_ALERTS, Alert, AlertLevel
from nbtrack.reprs.html import ACCENT, BAD, WARN, esc
from nbtrack.reprs.numbers import clean

LEVELS: Final[tuple[AlertLevel, ...]] = ("info", "warn", "error")  # mildest first
MAX_ALERTS: Final = 12  # titles of one run
MAX_TITLE: Final = 100
MAX_TEXT: Final = 240
MAX_TAG: Final = 4_800  # an MLflow server takes tags of 5,000 characters
_SIGNS: Final[dict[str, tuple[str, str]]] = {"info": ("ℹ", ACCENT), "warn": ("▲", WARN), "error": ("✗", BAD)}


def to_tag(alerts: Iterable[Alert]) -> str:
    """Return alerts as the text of their tag; where that would be too long, the longest explanations are cut."""
    rows = [
        {
            "title": one.title,
            "text": one.text,
            "level": one.level,
            "at": one.at,
            "count": one.count,
            "last": one.last_at,
        }
        for one in alerts
    ]
    while len(text := json.dumps(rows, ensure_ascii=False, separators=(",", ":"))) > MAX_TAG:
        longest = max(rows, key=lambda row: len(str(row["text"])))
        longest["text"] = str(longest["text"])[: len(str(longest["text"])) // 2]
    return text


def alerts_of(tags: Mapping[str, str]) -> list[Alert]:
    """Return the alerts that the tags of a run hold, in their order; anybody may have written those."""
    try:
        rows = json.loads(tags.get(TAG_ALERTS, "[]"))
    except ValueError:
        return []
    found = [_alert(row) for row in rows[: MAX_ALERTS + 1]] if isinstance(rows, list) else []
    return [one for one in found if one is not None]


def _alert(row: Any) -> Alert | None:
    if not isinstance(row, dict) or not isinstance(row.get("title"), str):
        return None
    at, count, last = (row.get(key) for key in ("at", "count", "last"))
    at = at if isinstance(at, int) else 0
    level: AlertLevel = next((one for one in LEVELS if one == row.get("level")), "warn")
    return Alert(
        title=clean(row["title"], MAX_TITLE),
        text=clean(row.get("text") or "", MAX_TEXT),
        level=level,
        at=at,
        count=count if isinstance(count, int) and count > 0 else 1,
        last_at=last if isinstance(last, int) else at,
    )


def _times(alert: Alert) -> str:
    return f" ({alert.count:,} times)" if alert.count > 1 else ""


def alerts_html(tags: Mapping[str, str]) -> str:
    """Return the alerts of a run as lines of markup: a sign, the title, how often, and what was said."""
    lines = []
    for one in alerts_of(tags):
        sign, colour = _SIGNS[one.level]
        said = f": {esc(one.text, MAX_TEXT)}" if one.text else ""
        lines.append(
            f'<div style="overflow-wrap:anywhere"><b style="color:{colour}" title="{one.level}">{sign}'
            f" {esc(one.title, MAX_TITLE)}</b>{_times(one)}{said}</div>"
        )
    return "".join(lines)


def alert_lines(tags: Mapping[str, str]) -> list[str]:
    """Return the alerts of a run as plain lines."""
    return [
        f"{_SIGNS[one.level][0]} {one.level}: {one.title}{_times(one)}" + (f": {one.text}" if one.text else "")
        for one in alerts_of(tags)
    ]


def alerts_in_short(tags: Mapping[str, str]) -> str:
    """Return the alerts of a run in a few words: the gravest, and how many more there are; "" for none."""
    found = alerts_of(tags)
    if not found:
        return ""
    gravest = max(found, key=lambda one: LEVELS.index(one.level))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{_SIGNS[gravest.level][0]} {gravest.title}{more}"
