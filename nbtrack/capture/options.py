"""The arguments of ``%%track``."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from nbtrack.errors import FilterSyntaxError, InvalidInputError
from nbtrack.names import check_experiment_name, check_key, check_run_name
from nbtrack.store.conditions import parse_condition

PARTS: Final[dict[str, str]] = {
    "source": "the text of the cell",
    "params": "literals, keyword arguments of estimators, their settings",
    "metrics": "results whose names or sources say that they are metrics",
    "model": "the fitted model",
    "autolog": "what libraries report while they train",
    "output": "the last lines of what the cell printed",
    "packages": "Python, the platform and versions of imported packages",
    "git": "commit and changed lines",
    "data": "fingerprints of the frames, arrays and files that the cell reads",
    "figures": "figures and tables that the cell displays",
    "seeds": "seeds of random numbers",
    "slice": "the text of the cells that made what it used",
}
OPTIONS: Final[dict[str, str]] = {
    "-e": "experiment",
    "--experiment": "experiment",
    "-t": "tag",
    "--tag": "tag",
    "-p": "param",
    "--param": "param",
    "-m": "metric",
    "--metric": "metric",
    "--step": "step",
    "--force": "force",
    "--note": "note",
    "--alert": "alert",
    "--resume": "resume",
    "--no-capture": "no_capture",
}
USAGE: Final = (
    "%%track [NAME] [-e EXPERIMENT] [-t KEY=VALUE]… [-p NAME]… [-m NAME]… [--step NAME [--force]] [--note TEXT]"
    " [--alert CONDITION]… [--resume RUN] [--no-capture PART]…"
)
_MEANINGS: Final[dict[str, str]] = {
    "-e, --experiment": "the experiment that the run belongs to; made if there is none",
    "-t, --tag KEY=VALUE": "a tag",
    "-p, --param NAME": "log this variable as a param, such as lr, cfg.lr or opts['lr']",
    "-m, --metric NAME": "log this variable as a metric",
    "--step NAME": "this cell is that step of a pipeline: it is reused while nothing it depends on changes",
    "--force": "run the step all the same",
    "--note TEXT": "a note for people",
    "--alert CONDITION": "tell when it first becomes true: 'val_loss > 1', 'loss is not finite'; repeatable",
    "--resume RUN": "go on where another run stopped: the curves of both are one",
    "--no-capture PART": "leave a part of the capture out",
}
HELP: Final = "\n".join(
    ["Usage: " + USAGE, ""]
    + [f"  {option:<20} {meaning}" for option, meaning in _MEANINGS.items()]
    + ["", "Parts that are captured:"]
    + [f"  {part:<20} {meaning}" for part, meaning in PARTS.items()]
)
_EXPRESSION: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*|\[(?:'[^']*'|\"[^\"]*\"|-?\d+)\])*")


@dataclass(slots=True)
class TrackOptions:
    """What a ``%%track`` line says."""

    name: str | None = None
    experiment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    step: str | None = None
    force: bool = False
    note: str | None = None
    alerts: list[str] = field(default_factory=list)
    resume: str | None = None
    no_capture: set[str] = field(default_factory=set)


def _fail(what: str) -> InvalidInputError:
    return InvalidInputError(f"%%track: {what}\nUsage: {USAGE}")


def _split(line: str) -> list[str]:
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
        lexer.whitespace_split = True
        lexer.commenters = ""
        lexer.escape = ""  # a backslash is a character like any other
        return list(lexer)
    except ValueError as error:
        raise _fail(
            f"the line cannot be read ({str(error).lower()}); got {line!r}. Close the quotation mark."
        ) from None


def _take(options: TrackOptions, option: str, kind: str, value: str) -> None:
    if kind == "tag":
        key, sign, text = value.partition("=")
        if not sign:
            raise _fail(f"{option} expects KEY=VALUE, got {value!r}.")
        options.tags[check_key(key.strip(), "tag key")] = text
    elif kind in {"param", "metric"}:
        if not _EXPRESSION.fullmatch(value):
            raise _fail(f"{option} expects the name of a variable, such as acc, cfg.lr or scores['f1'], got {value!r}.")
        (options.params if kind == "param" else options.metrics).append(value)
    elif kind == "no_capture":
        for part in value.split(","):
            if part not in PARTS:
                raise _fail(f"{option} expects one of {', '.join(PARTS)}, got {part!r}.")
            options.no_capture.add(part)
    elif kind == "experiment":
        options.experiment = check_experiment_name(value)
    elif kind == "note":
        options.note = value
    elif kind == "alert":
        try:
            options.alerts.append(parse_condition(value).text)
        except FilterSyntaxError as error:
            raise _fail(str(error)) from None
    elif kind == "force":
        raise _fail(f"{option} takes no value, got {value!r}.")
    elif kind == "step":
        options.step = check_key(value, "step name")
    else:
        if not re.fullmatch(r"[0-9a-f]{4,32}", value):
            raise _fail(f"{option} expects a run id or its last digits, got {value!r}.")
        options.resume = value


def asks_for_help(line: str) -> bool:
    """Return whether the rest of a ``%%track`` line asks what may stand there."""
    return line.strip() in {"--help", "-h", "help?", "?"}


def parse_options(line: str) -> TrackOptions:
    """Read the rest of a ``%%track`` line.

    Raises
    ------
    InvalidInputError
        With one clear sentence on what is wrong, and the usage.

    Examples
    --------
    >>> parse_options("rf -e wine -t owner=ana -m scores['f1']").metrics
    ["scores['f1']"]
    """
    options = TrackOptions()
    words = _split(_protect(line))
    at = 0
    while at < len(words):
        word = _restore(words[at])
        at += 1
        option, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-") or word == "-":
            if options.name is not None:
                raise _fail(f"expected one run name, got {options.name!r} and {word!r}. Put quotation marks around it.")
            options.name = check_run_name(word)
            continue
        kind = OPTIONS.get(option)
        if kind is None:
            close = get_close_matches(option, OPTIONS, n=1)
            raise _fail(f"unknown option {option!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        if kind == "force" and not sign:
            options.force = True
            continue
        if not sign:
            if at == len(words):
                raise _fail(f"{option} expects a value.")
            value = _restore(words[at])
            at += 1
        _take(options, option, kind, value)
    if options.force and options.step is None:
        raise _fail("--force runs a step all the same; expected --step NAME, too.")
    return options


def _protect(line: str) -> str:
    """Hide the quotation marks of ``scores['f1']`` from the splitting: they belong to the expression."""
    return re.sub(
        r"(?<=\w)\[(['\"])([^'\"\s]*)\1\]",
        lambda m: f"[\ue000{m[2]}\ue000]" if m[1] == "'" else f"[\ue001{m[2]}\ue001]",
        line,
    )


def _restore(word: str) -> str:
    return word.replace("\ue000", "'").replace("\ue001", '"')
