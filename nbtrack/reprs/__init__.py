"""Records as text and HTML: escaped, following the theme, complete without a script. Pure: no store, no clock."""

from nbtrack.reprs.card import run_card_html, run_card_text
from nbtrack.reprs.compare import compare_html, compare_text
from nbtrack.reprs.difference import run_diff_html, run_diff_text
from nbtrack.reprs.lineage import lineage_html, lineage_text
from nbtrack.reprs.models import (
    model_version_html,
    model_version_text,
    registered_model_html,
    server_card_html,
    small_table_html,
    small_table_text,
)

__all__ = [
    "compare_html",
    "compare_text",
    "lineage_html",
    "lineage_text",
    "model_version_html",
    "model_version_text",
    "registered_model_html",
    "run_card_html",
    "run_card_text",
    "run_diff_html",
    "run_diff_text",
    "server_card_html",
    "small_table_html",
    "small_table_text",
]
