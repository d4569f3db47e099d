"""How every view looks, light and dark: a picture of each scene of the gallery, compared roughly with the one we chose.

Fonts differ between machines, so pictures are compared as 48 × 48 grey squares: a missing panel, a black chart or lost
contrast is seen, another hinting is not. ``NBTRACK_SCREENSHOTS=1`` writes them anew; look at them before you commit.
"""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import JS

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIDE = 48
TOLERANCE = 9.0  # mean difference of grey, of 255
SCENES = ("detail", "diff", "report", "cards", "pipeline")


def grey(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)


@pytest.fixture(scope="session")
def gallery() -> Path:
    done = subprocess.run(["node", "tests/gallery.mjs"], cwd=JS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return JS / "lib" / "gallery"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scene", SCENES)
def test_scene_looks_as_it_was_chosen(store_page: Any, gallery: Path, scene: str, theme: str) -> None:
    page = store_page.page
    page.set_viewport_size({"width": 1060, "height": 900})
    page.goto(f"{store_page.url}/gallery/?scene={scene}&theme={theme}")
    page.wait_for_function("() => document.body.dataset.ready === '1'")
    page.wait_for_timeout(600)
    taken = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    chosen = SNAPSHOTS / f"{scene}-{theme}.png"
    if os.environ.get("NBTRACK_SCREENSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        taken.convert("L").resize((SIDE * 4, SIDE * 4), Image.Resampling.BOX).save(chosen, optimize=True)
    difference = float(np.abs(grey(taken) - grey(Image.open(chosen))).mean())
    assert difference < TOLERANCE, f"{scene} in {theme} differs by {difference:.1f}"
    assert (grey(taken).mean() > 128) == (theme == "light")
