"""Which values are settings of a run, and which only say where things lie and how a program talks and looks."""

from __future__ import annotations

import re
from typing import Any, Final

from nbtrack.reprs.directions import name_words

# Settings of how a library works and talks, not of what comes out.
IDLE: Final = frozenset(
    {"verbose", "verbosity", "verbose_eval", "silent", "disp", "n_jobs", "nthread", "num_threads", "num_workers"}
    | {"pin_memory", "memory", "progress_bar", "show_progress", "show_progress_bar", "progress", "copy_X"}
    | {"figsize", "fig_size", "dpi", "cmap", "palette", "fontsize", "title", "xlabel", "ylabel", "label", "legend"}
    | {"color", "digits", "decimals", "ndigits", "indent", "valid_names", "target_names", "quiet", "log_every"}
    | {"print_every", "nthreads", "n_threads"}
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
    if last in IDLE:
        return False
    if not isinstance(value, str):
        return True
    return _PLACE_WORDS.isdisjoint(name_words(last)[-1:]) and not (_PLACE.fullmatch(value) or _QUERY.fullmatch(value))
