"""Run data -> series, colours and figures: the only place that decides what a plot shows.

The widget, the panel, the report, ``run.plot()`` and every exported file take their curves, colours and figures here.
Figures are plain data (:class:`Spec`); ``.figure()`` makes a plotly figure of one.
"""

from __future__ import annotations

from nbtrack.plots.curves import Band, Curve, band, curve, smoothed, thinned
from nbtrack.plots.palette import PALETTE, color_index, color_indexes
from nbtrack.plots.show import KINDS, Kind, metric_figure, spec_of
from nbtrack.plots.spec import Spec, Table
from nbtrack.store.overview import thin

__all__ = [
    "KINDS",
    "PALETTE",
    "Band",
    "Curve",
    "Kind",
    "Spec",
    "Table",
    "band",
    "color_index",
    "color_indexes",
    "curve",
    "metric_figure",
    "smoothed",
    "spec_of",
    "thin",
    "thinned",
]
