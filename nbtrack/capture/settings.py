"""Which values are settings of a run, and which only say where things lie and how a program talks and looks."""

from __future__ import annotations

import re
from typing import Any, Final

from nbtrack.reprs.directions import name_words

# Settings of how a library works and talks, not of what comes out.
IDLE: Final = frozenset(
    {"verbose", "verbosity", "verbose_eval", "silent", "quiet", "disp", "digits", "decimals", "ndigits", "indent"}
    | {"n_jobs", "nthread", "nthreads", "n_threads", "num_threads", "num_workers", "pin_memory", "memory", "copy_X"}
    | {"progress", "progress_bar", "show_progress", "show_progress_bar", "enable_progress_bar", "disable_tqdm"}
    | {"print_every", "log_every", "log_every_n_steps", "logging_steps", "logger", "report_to", "valid_names"}
    | {"enable_model_summary", "enable_checkpointing", "num_sanity_val_steps", "save_steps", "save_strategy"}
    | {"figsize", "fig_size", "dpi", "cmap", "palette", "color", "fontsize", "title", "xlabel", "ylabel", "label"}
    | {"legend", "target_names"}
)
_DATA: Final = frozenset(
    {"X", "Y", "x", "y", "xs", "ys", "data", "values", "labels", "rows", "texts", "docs", "corpus"}
)
_PLACE_WORDS: Final = frozenset({"path", "paths", "dir", "directory", "folder", "file", "filename", "url", "uri"})
_PLACE: Final = re.compile(
    r"(?:~|\.{0,2})/.*|[A-Za-z]:[\\/].*|\w{2,}://.*|.*[\\/]"
    r"|[^\n]*\.(?:csv|tsv|txt|jsonl?|parquet|feather|pkl|pickle|joblib|np[yz]|h5|hdf5|xlsx?|db|sqlite3?|zip|gz|tar|png"
    r"|jpe?g|pdf|svg|html|md|pth?|ckpt|onnx|bin|safetensors|ya?ml|toml|ini|log|ipynb|py|arrow|avro|mat|wav|mp[34]|tiff?)"
)
_QUERY: Final = re.compile(r"\s*(?:select|with|insert|update|delete|create)\s.*\s(?:from|as|into|set|table)\s.*", re.I)


def is_setting(key: str, value: Any) -> bool:
    """Return whether a user would call this a setting of the run: no path, no query, no way to talk while at it.

    Examples
    --------
    >>> is_setting("lr", 0.1), is_setting("model.n_jobs", 4), is_setting("source", "../input/train.csv")
    (True, False, False)
    >>> is_setting("backbone", "facebook/bart-large"), is_setting("data_dir", "runs")
    (True, False)
    """
    last = re.split(r"[.]|__", key)[-1]
    if last in IDLE or last.lower() in IDLE:
        return False
    if not isinstance(value, str):
        return True
    if not value:  # a text to be filled later
        return False
    return _PLACE_WORDS.isdisjoint(name_words(last)[-1:]) and not (_PLACE.fullmatch(value) or _QUERY.fullmatch(value))


def is_data(name: str, value: Any) -> bool:
    """Return whether a list is the data itself rather than a setting."""
    if not isinstance(value, (list, tuple)):
        return False
    return name in _DATA or any(isinstance(item, (list, tuple)) for item in value)
