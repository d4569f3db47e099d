"""Figures and tables that a cell displays, kept as files of its run: from the very bytes that were shown."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nbtrack.reprs.numbers import clean, plural
from nbtrack.tracking.redaction import is_secret_name

if TYPE_CHECKING:
    from nbtrack.store.base import RunWriter
    from nbtrack.tracking.redaction import Redactor

MAX_FIGURES: Final = 30
MAX_TABLES: Final = 20
MAX_BYTES: Final = 8_000_000  # of one file
MAX_ROWS: Final = 1000
MAX_COLUMNS: Final = 200
PLOTLY: Final = "application/vnd.plotly.v1+json"
VEGA: Final = "application/vnd.vegalite."
HIDDEN: Final = "[redacted:password]"
_IMAGES: Final = {"image/png": "png", "image/svg+xml": "svg", "image/jpeg": "jpg"}


@dataclass(slots=True)
class Shown:
    """One thing that was displayed: a figure as it was sent out, or the head of a table."""

    kind: str
    ending: str
    content: Any  # bytes, text, or JSON of a figure; a DataFrame
    title: str = ""
    shape: tuple[int, ...] = ()
    path: str = ""


@dataclass
class Gallery:
    """Collects what a cell displays while it runs, and writes it once its result is on the screen."""

    figures: list[Shown] = field(default_factory=list)
    tables: list[Shown] = field(default_factory=list)
    beyond: int = 0
    _last: Any = None

    def see(self, obj: Any, data: Mapping[str, Any]) -> None:
        """Look at one output: an object with the bundle that it is shown as, or (None) a bundle alone."""
        if obj is not None and _is_frame(obj):
            self._add(self.tables, MAX_TABLES, _table(obj), "tables", obj)
        elif (figure := _figure(obj, data)) is not None:
            # What display() formats it also publishes, as the same bundle: that is one figure.
            if obj is None and self._published(data):
                return
            self._last = data if obj is not None else None
            self._add(self.figures, MAX_FIGURES, figure, "figures", obj)

    def _published(self, data: Mapping[str, Any]) -> bool:
        """Whether a bundle is one that was just made of an object: display() makes it first, then publishes it."""
        last = self._last or {}
        return any(last.get(mime) is value for mime, value in data.items())

    def _add(self, kept: list[Shown], most: int, shown: Shown, folder: str, obj: Any) -> None:
        if len(kept) >= most:
            self.beyond += 1
            return
        shown.path = f"{folder}/{len(kept) + 1}.{shown.ending}"
        kept.append(shown)

    def captured(self) -> list[str]:
        """Return what to say of it on the card."""
        said = []
        if self.figures:
            kinds = sorted({one.kind for one in self.figures})
            said.append(f"{plural(len(self.figures), 'figure')} ({', '.join(kinds)})")
        if self.tables:
            said.append(f"{plural(len(self.tables), 'displayed table')}")
        return said

    def records(self) -> dict[str, Any]:
        """Return the entries of the run's record."""
        found: dict[str, Any] = {}
        if self.figures:
            found["figures"] = [{"path": one.path, "kind": one.kind, "title": one.title} for one in self.figures]
        if self.tables:
            found["frames"] = [{"path": one.path, "shape": list(one.shape), "title": one.title} for one in self.tables]
        return found


def _is_frame(obj: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(obj, (pandas.DataFrame, pandas.Series))


def _table(frame: Any) -> Shown:
    shape = tuple(int(n) for n in frame.shape)
    if len(shape) == 1:
        frame = frame.to_frame()
    # A slice shares its cells until either side changes; a copy of so few rows costs less than to think about it.
    return Shown("table", "json", frame.iloc[:MAX_ROWS, :MAX_COLUMNS].copy(), "", shape)


def _figure(obj: Any, data: Mapping[str, Any]) -> Shown | None:
    if type(obj).__module__.startswith("altair.") and callable(getattr(obj, "to_dict", None)):
        return Shown("altair", "json", obj, _text(getattr(obj, "_kwds", None), "title"))
    vega = next((mime for mime in data if mime.startswith(VEGA)), None)
    if vega is not None:
        return Shown("altair", "json", data[vega], _text(data[vega], "title"))
    if PLOTLY in data:
        layout = data[PLOTLY].get("layout") if isinstance(data[PLOTLY], Mapping) else None
        return Shown("plotly", "json", data[PLOTLY], _text(layout, "title"))
    for mime, ending in _IMAGES.items():
        if mime in data:
            kind = "matplotlib" if callable(getattr(obj, "savefig", None)) else "image"
            return Shown(kind, ending, data[mime], _axes_title(obj))
    return None


def _text(holder: Any, key: str) -> str:
    value = holder.get(key) if isinstance(holder, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("text")
    return clean(value, 120) if isinstance(value, str) else ""


def _axes_title(figure: Any) -> str:
    """Return the title of a matplotlib figure, or that of its first axes that have one."""
    if figure is None or not hasattr(figure, "axes"):
        return ""
    try:
        above = figure.get_suptitle()
        titles = [above, *(axes.get_title() for axes in list(figure.axes)[:12])]
    except Exception:  # any object may have axes
        return ""
    return next((clean(title, 120) for title in titles if isinstance(title, str) and title.strip()), "")


def _encoded(shown: Shown, redactor: Redactor) -> bytes:
    content = shown.content
    if shown.kind == "table":
        from nbtrack.tracking.artifacts import encode_table

        table = json.loads(encode_table(content))
        hidden = [is_secret_name(str(name)) for name in table["columns"]]
        table["data"] = [
            [HIDDEN if hide else redactor.json(value) for hide, value in zip(hidden, row, strict=True)]
            for row in table["data"]
        ]
        table |= {part: redactor.json(held) for part, held in table.items() if part != "data"}
        return json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    if callable(getattr(content, "to_dict", None)):
        content = content.to_dict()
    if isinstance(content, Mapping):
        return json.dumps(_clean(content, redactor), default=_plain, separators=(",", ":")).encode()
    if isinstance(content, bytes):
        return content
    text = str(content)
    return redactor.text(text).encode() if shown.ending == "svg" else base64.b64decode(text)


def _clean(value: Any, redactor: Redactor) -> Any:
    """Return a figure's JSON without secrets; packed numbers hold none, and must stay as they are."""
    if isinstance(value, Mapping):
        return {
            redactor.text(str(key)): item if key == "bdata" else _clean(item, redactor) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(item, redactor) for item in value]
    return redactor.text(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def write_shown(writer: RunWriter, shown: Shown, redactor: Redactor) -> None:
    """Write one figure or table as an artifact of the run.

    Raises
    ------
    ValueError
        If it is larger than what is kept of one output.
    """
    data = _encoded(shown, redactor)
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"{shown.path}: {len(data) / 1e6:.0f} MB is more than the {MAX_BYTES / 1e6:.0f} MB kept of one"
        )
    shown.content = None
    writer.log_artifact(data, shown.path)
