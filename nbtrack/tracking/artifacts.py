"""Figures, images, tables and dicts as the bytes of a file."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from nbtrack.errors import InvalidInputError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


def _suffix(artifact_file: str) -> str:
    return PurePosixPath(artifact_file).suffix.lower().lstrip(".")


def encode_dict(value: Any, artifact_file: str) -> bytes:
    """Return a dict or list as JSON, or as YAML for ``.yaml`` and ``.yml``; what JSON cannot say becomes text."""
    if _suffix(artifact_file) in {"yaml", "yml"}:
        try:
            import yaml  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise MissingLibraryError(
                f"log_dict: writing {artifact_file!r} needs PyYAML, which is not installed. `pip install pyyaml`,"
                " or use a name that ends in .json."
            ) from None
        return cast("str", yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).encode()
    return (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode()


def encode_figure(figure: Any, artifact_file: str, save_kwargs: Mapping[str, Any]) -> bytes:
    """Return a matplotlib, plotly or altair figure as the file type that the ending of `artifact_file` names."""
    kind = _suffix(artifact_file)
    if not kind:
        raise InvalidInputError(
            f"log_figure: {artifact_file!r} has no ending. Use one such as 'roc.png' or 'roc.html'."
        )
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, **save_kwargs)
        return buffer.getvalue()
    if hasattr(figure, "to_plotly_json"):
        if kind == "html":
            return cast("str", figure.to_html(**{"include_plotlyjs": True, **save_kwargs})).encode()
        if kind == "json":
            return cast("str", figure.to_json(**save_kwargs)).encode()
        return cast("bytes", figure.to_image(format=kind, **save_kwargs))
    if hasattr(figure, "to_html") and hasattr(figure, "to_json"):  # altair
        text = figure.to_json(**save_kwargs) if kind == "json" else figure.to_html(**save_kwargs)
        return cast("str", text).encode()
    raise InvalidInputError(
        f"log_figure: expected a matplotlib, plotly or altair figure, got {type(figure).__name__}."
        " log_artifact takes any file."
    )


def encode_image(image: Any, artifact_file: str) -> bytes:
    """Return an array or a PIL image as the bytes of an image file; arrays need no library."""
    if hasattr(image, "save") and hasattr(image, "mode"):
        buffer = io.BytesIO()
        kind = _suffix(artifact_file) or "png"
        image.save(buffer, format={"jpg": "jpeg"}.get(kind, kind))
        return buffer.getvalue()
    if _suffix(artifact_file) not in {"", "png"}:
        raise InvalidInputError(
            f"log_image: an array is stored as PNG, got the name {artifact_file!r}. End it in .png."
        )
    return _png(_pixels(image))


def _pixels(image: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in {1, 3, 4} or 0 in array.shape:
        raise InvalidInputError(
            f"log_image: expected shape (height, width) or (height, width, 1, 3 or 4), got {np.asarray(image).shape}."
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f":
        array = np.round(np.clip(np.nan_to_num(array), 0, 1) * 255)
    return np.ascontiguousarray(np.clip(array, 0, 255).astype(np.uint8))


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    """Write the PNG format of https://www.w3.org/TR/png-3/: header, one deflated stream of unfiltered rows, end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    color_type = {1: 0, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 6))
        + chunk(b"IEND", b"")
    )


def encode_table(data: Any, before: bytes | None = None) -> bytes:
    """Return a table as JSON (``columns``, ``index``, ``data``), after the rows of `before`."""
    import pandas as pd

    try:
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"log_table: expected a DataFrame or a dict of equally long columns, got {type(data).__name__} ({error})."
        ) from None
    if before is not None:
        known = json.loads(before)
        frame = pd.concat([pd.DataFrame(known["data"], columns=known["columns"]), frame], ignore_index=True)
    return frame.to_json(orient="split", date_format="iso", default_handler=str).encode()
