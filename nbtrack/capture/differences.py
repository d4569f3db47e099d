"""Why runs are different: their params, code, data, environment, seeds and git, what most likely matters first."""

from __future__ import annotations

import ast
import difflib
import math
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.replay import code_of, slice_cells
from nbtrack.entities import Difference, Run, RunDiff
from nbtrack.errors import InvalidInputError
from nbtrack.names import natural_key
from nbtrack.reprs import run_diff_html, run_diff_text
from nbtrack.reprs.numbers import plural
from nbtrack.tracking import get_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbtrack.store.base import Store

MAX_PATCH: Final = 20_000
SIMILAR: Final = 0.5  # two cells that share at least so much of their lines are one cell, edited
# Params that say how a result is computed rather than what it is.
_MINOR: Final = frozenset({"n_jobs", "verbose", "device", "num_workers", "verbosity", "silent", "cache_size", "name"})
_SEEDS: Final = re.compile(r"(?:^|[._])(?:seed|random_state|random_seed|rng)$", re.IGNORECASE)
# Packages that decide numbers; the others mostly carry them around.
_NUMERIC: Final = frozenset(
    {"numpy", "pandas", "polars", "scikit-learn", "scipy", "torch", "tensorflow", "keras", "xgboost", "lightgbm"}
    | {"catboost", "statsmodels", "jax", "transformers", "pytorch-lightning", "lightning", "imbalanced-learn"}
)
ORDER: Final = ("param", "cell", "upstream", "data", "environment", "seed", "git")


class ShownDiff(RunDiff):
    """A difference that shows itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return run_diff_text(self)

    def _repr_html_(self) -> str:
        return run_diff_html(self)


def diff(run: Run | str, *others: Run | str, store: Store | None = None) -> RunDiff:
    """Say why runs are different: one list, what most likely matters first.

    Compared are params, the code of the tracked cell, the code of the cells that it used, the data that they read,
    seeds, Python and packages, and the git commit.

    Parameters
    ----------
    run
        A run, or its id: what the others are compared with.
    others
        At least one other.
    store
        Where they lie; the store in use if not given.

    Returns
    -------
    RunDiff
        Shows itself as text and HTML; ``differences`` is the list, ``metrics`` what differs in the results, ``same``
        and ``unknown`` say what was compared without a difference, and what could not be compared.

    Raises
    ------
    InvalidInputError
        If there is only one run, or one is named twice.
    NotFoundError
        If there is no such run.

    Examples
    --------
    >>> nbtrack.diff(first, second)  # doctest: +SKIP
    Most likely: C 0.1 → 3.0
    """
    store = store or get_store(create=False)
    ids = [one.run_id if isinstance(one, Run) else one for one in (run, *others)]
    if len(ids) < 2 or len(set(ids)) < len(ids):
        raise InvalidInputError(f"diff: expected two or more different runs, got {len(set(ids))}. Name each one once.")
    return diff_runs([store.get_run(one) for one in ids], store)


def diff_runs(runs: Sequence[Run], store: Store) -> RunDiff:
    """Compare runs that were read already; the others of :func:`diff` apply."""
    work = _Comparison(runs, [slice_cells(run, store) for run in runs])
    for part in (work.params, work.code, work.data, work.seeds, work.packages, work.git):
        part()
    found = sorted(work.found, key=lambda one: (-one.weight, ORDER.index(one.kind), natural_key(one.key)))
    metrics = _metrics(runs)
    return ShownDiff(
        run_ids=tuple(run.run_id for run in runs),
        run_names=tuple(run.info.run_name for run in runs),
        verdict=_verdict(found, metrics, work.unknown),
        metrics=metrics,
        differences=tuple(found),
        same=tuple(work.same),
        unknown=tuple(work.unknown),
    )


def circumstances(run: Run, again: Run) -> list[Difference]:
    """Return what around the code differs between two runs of the same: data, seeds, Python and packages."""
    work = _Comparison([run, again], [None, None])
    for part in (work.data, work.seeds, work.packages):
        part()
    return sorted(work.found, key=lambda one: (-one.weight, ORDER.index(one.kind), natural_key(one.key)))


def in_words(one: Difference) -> str:
    """Return a difference as part of a sentence."""
    return f"{one.kind} {one.text}" if one.kind in {"data", "seed"} else one.text


def _same_code(a: str, b: str) -> bool:
    """Whether two texts are the same program: comments, blank lines and quotation marks do not count."""
    if a == b:
        return True
    try:
        return ast.dump(ast.parse(a)) == ast.dump(ast.parse(b))
    except (SyntaxError, ValueError, RecursionError):
        return [line.strip() for line in a.splitlines()] == [line.strip() for line in b.splitlines()]


def _patch(a: str, b: str, left: str, right: str) -> str:
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), left, right, lineterm="", n=2)
    return "\n".join(lines)[:MAX_PATCH]


def _likeness(a: str, b: str) -> float:
    lines = difflib.SequenceMatcher(None, a.splitlines(), b.splitlines(), autojunk=False).ratio()
    if lines >= SIMILAR or len(a) > 20_000 or len(b) > 20_000:
        return lines
    return max(lines, difflib.SequenceMatcher(None, a, b).ratio() - 0.1)


def _label(cell: dict[str, Any]) -> str:
    count = cell.get("execution_count")
    first = next((line.strip() for line in code_of(str(cell.get("source", ""))).splitlines() if line.strip()), "")
    return f"In [{count if isinstance(count, int) else ' '}] {first[:60].rstrip(':')}".rstrip()


def _change(values: Sequence[str | None]) -> str:
    return " → ".join("–" if value is None else value if len(value) <= 60 else value[:59] + "…" for value in values)


class _Comparison:
    """The runs, and what was found up to now."""

    def __init__(self, runs: Sequence[Run], cells: Sequence[list[dict[str, Any]] | None]) -> None:
        self.runs, self.cells = runs, cells
        self.found: list[Difference] = []
        self.same: list[str] = []
        self.unknown: list[str] = []

    def _add(self, kind: Any, key: str, values: Sequence[str | None], weight: float, text: str = "") -> None:
        text = text or f"{key}: {_change(values)}"
        self.found.append(Difference(kind, key, tuple(values), round(weight, 3), text))

    def _records(self, key: str) -> list[Any] | None:
        """Return an entry of the capture record of each run; None, and a word about it, if one has none."""
        held = [run.capture.get(key) for run in self.runs]
        missing = [run.info.run_name for run, one in zip(self.runs, held, strict=True) if not one]
        if not missing:
            return held
        if len(missing) < len(held):
            self.unknown.append(f"{key}: not recorded for {', '.join(missing)}")
        return None

    def params(self) -> None:
        """Compare the params."""
        held = [run.data.params for run in self.runs]
        keys = sorted({key for params in held for key in params}, key=natural_key)
        alike = 0
        for key in keys:
            values = [params.get(key) for params in held]
            if len(set(values)) == 1:
                alike += 1
            elif _SEEDS.search(key):
                self._add("seed", key, values, 0.6)
            else:
                minor = key.rpartition("__")[2].rpartition(".")[2] in _MINOR
                self._add("param", key, values, 0.15 if minor else 0.9 if None not in values else 0.7)
        if alike:
            self.same.append(plural(alike, "param"))

    def code(self) -> None:
        """Compare the tracked cells, and the cells that they used."""
        sources = [run.capture.get("source") for run in self.runs]
        texts = [code_of(one) if isinstance(one, str) else "" for one in sources]
        if all(isinstance(one, str) for one in sources):
            if all(_same_code(texts[0], text) for text in texts[1:]):
                self.same.append("the code of the cell")
            else:
                explained = any(one.kind in {"param", "seed"} for one in self.found) and all(
                    _only_literals(texts[0], text) for text in texts[1:]
                )
                names = [run.info.run_name for run in self.runs]
                patches = [
                    "" if _same_code(texts[0], t) else _patch(texts[0], t, names[0], n)
                    for t, n in zip(texts, names, strict=True)
                ]
                shown = [plural(len(text.splitlines()), "line") for text in texts]
                told = "the code of the cell" + (" (only the values of its params)" if explained else "")
                weight = 0.3 if explained else 0.85
                self.found.append(
                    Difference("cell", "the tracked cell", tuple(shown), weight, told, patches=tuple(patches))
                )
        elif any(isinstance(one, str) for one in sources):
            self.unknown.append("the code of the cell: not recorded for every run")
        self._upstream()

    def _upstream(self) -> None:
        if any(cells is None for cells in self.cells):
            if any(cells is not None for cells in self.cells):
                self.unknown.append("the cells that were used: not recorded for every run")
            return
        used = [[one for one in cells or [] if not one.get("this")] for cells in self.cells]
        groups = _aligned(used)
        alike = 0
        for group in groups:
            texts = [code_of(str(one.get("source", ""))) if one is not None else None for one in group]
            first = next(one for one in group if one is not None)
            told = [text for text in texts if text is not None]
            if len(told) == len(texts) and all(_same_code(told[0], text) for text in told):
                alike += 1
                continue
            names = [run.info.run_name for run in self.runs]
            patches = [
                "" if text == texts[0] else _patch(texts[0] or "", text or "", names[0], name)
                for text, name in zip(texts, names, strict=True)
            ]
            values = [None if one is None else _label(one) for one in group]
            explained = len(told) == len(texts) and all(_only_literals(told[0], text) for text in told)
            known = explained and any(one.kind in {"param", "seed"} for one in self.found)
            what = "changed" if len(told) == len(texts) else "used by some runs only"
            weight = 0.3 if known else 0.75 if len(told) == len(texts) else 0.65
            key = _label(first)
            self.found.append(
                Difference("upstream", key, tuple(values), weight, f"{key}: {what}", patches=tuple(patches))
            )
        if alike:
            self.same.append(f"{plural(alike, 'cell')} that {'was' if alike == 1 else 'were'} used")

    def data(self) -> None:
        """Compare the fingerprints of what was read."""
        held = self._records("data")
        if held is None:
            return
        tables = [{str(one.get("name")): one for one in rows if isinstance(one, dict)} for rows in held]
        alike = []
        made = {name for cells in self.cells for one in cells or [] for name in one.get("writes") or ()}
        last = [one for cells in self.cells for one in cells or [] if one.get("this")]
        results = {name for one in last for name in one.get("writes") or () if name not in (one.get("reads") or ())}
        explained = any(one.kind in {"param", "seed", "upstream"} for one in self.found)
        for name in dict.fromkeys(name for table in tables for name in table):
            rows = [table.get(name) for table in tables]
            digests = [row.get("digest") if row else None for row in rows]
            if len(set(digests)) == 1:
                alike.append(name)
                continue
            if name in results:
                continue  # what the tracked cell computed is no cause
            values = [_shape(row) for row in rows]
            weight = 0.5 if None in values else 0.45 if explained and name in made else 0.95
            follows = "; follows from the code" if weight == 0.45 else ""
            self._add("data", name, values, weight, f"{name}: {_data_change(rows)}{follows}")
        if alike:
            self.same.append(f"data {', '.join(alike[:8])}" + ("…" if len(alike) > 8 else ""))

    def seeds(self) -> None:
        """Compare the seeds that were set."""
        held = [run.capture.get("seeds") or {} for run in self.runs]
        known = {one.key for one in self.found if one.kind == "seed"}
        for key in sorted({key for seeds in held for key in seeds} - known):
            values = [None if seeds.get(key) is None else str(seeds[key]) for seeds in held]
            if len(set(values)) > 1:
                self._add("seed", key, values, 0.6)

    def packages(self) -> None:
        """Compare Python, the platform and the packages."""
        for key in ("python", "platform", "machine"):
            values = [run.capture.get(key) for run in self.runs]
            if len({str(value) for value in values if value}) > 1:
                told = [None if value is None else str(value) for value in values]
                self._add("environment", key, told, 0.25 if key == "python" else 0.2)
        held = self._records("packages")
        if held is None:
            return
        alike = 0
        for name in sorted({name for packages in held for name in packages}):
            values = [packages.get(name) for packages in held]
            if len(set(values)) == 1:
                alike += 1
            elif None in values:
                self._add("environment", name, values, 0.08)
            else:
                self._add("environment", name, values, _version_weight(name, [str(value) for value in values]))
        if alike:
            self.same.append(plural(alike, "package"))

    def git(self) -> None:
        """Compare the commits."""
        held = self._records("git")
        if held is None:
            return
        commits = [str(one.get("commit", ""))[:10] + ("*" if one.get("dirty") else "") for one in held]
        if len(set(commits)) > 1:
            self._add("git", "commit", commits, 0.12)
        elif held[0].get("commit"):
            self.same.append("the git commit")


def _only_literals(a: str, b: str) -> bool:
    """Whether two programs are the same but for the values written in them."""

    def shape(text: str) -> str:
        return re.sub(r"Constant\(value=(?:'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"|[^,)]*)", "Constant(", text)

    try:
        return shape(ast.dump(ast.parse(a))) == shape(ast.dump(ast.parse(b)))
    except (SyntaxError, ValueError, RecursionError):
        return False


def _aligned(used: Sequence[list[dict[str, Any]]]) -> list[list[dict[str, Any] | None]]:
    """Return groups of one cell a run that are the same cell, perhaps edited; None where a run has none."""
    groups: list[list[dict[str, Any] | None]] = [[one, *([None] * (len(used) - 1))] for one in used[0]]
    for at, cells in enumerate(used[1:], start=1):
        left = list(cells)
        tests: list[Callable[[dict[str, Any], dict[str, Any]], bool]] = [
            lambda a, b: code_of(str(a.get("source", ""))) == code_of(str(b.get("source", ""))),
            lambda a, b: a.get("cell_id") is not None and a.get("cell_id") == b.get("cell_id"),
            lambda a, b: _likeness(str(a.get("source", "")), str(b.get("source", ""))) >= SIMILAR,
        ]
        for test in tests:
            for group in groups:
                first = next(one for one in group if one is not None)
                if group[at] is None and (match := next((one for one in left if test(first, one)), None)) is not None:
                    group[at] = match
                    left.remove(match)
        groups += [[*([None] * at), one, *([None] * (len(used) - at - 1))] for one in left]
    return groups


def _shape(row: dict[str, Any] | None) -> str | None:
    if row is None:
        return None
    shape = row.get("shape")
    size = " × ".join(str(n) for n in shape) if isinstance(shape, list) else f"{row.get('size_bytes', '?')} bytes"
    return f"{size} ({str(row.get('digest', ''))[:8]})"


def _data_change(rows: Sequence[dict[str, Any] | None]) -> str:
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return "read by some runs only"
    columns = [set(row.get("columns") or ()) for row in known]
    added, gone = set.union(*columns[1:]) - columns[0], columns[0] - set.intersection(*columns[1:])
    told = [f"{word} {', '.join(sorted(map(str, names))[:6])}" for word, names in (("+", added), ("−", gone)) if names]
    if len({str(row.get("shape")) for row in known}) > 1:
        told.insert(0, _change([_shape(row) for row in known]))
    return "; ".join(told) or "same shape, other content"


def _version_weight(name: str, versions: Sequence[str]) -> float:
    parts = [[*version.split("."), "", ""] for version in versions]
    level = next((i for i in range(3) if len({part[i] for part in parts}) > 1), 2)
    return (0.5, 0.35, 0.2)[level] * (1.0 if name in _NUMERIC else 0.4)


def _metrics(runs: Sequence[Run]) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    found = []
    for key in sorted({key for run in runs for key in run.data.metrics}, key=natural_key):
        values = tuple(run.data.metrics.get(key) for run in runs)
        known = [value for value in values if value is not None]
        if len(known) < len(values) or (len(set(known)) > 1 and not all(math.isnan(value) for value in known)):
            found.append((key, values))
    return tuple(found)


def _verdict(found: Sequence[Difference], metrics: Sequence[Any], unknown: Sequence[str]) -> str:
    if not found:
        if not metrics:
            return "No difference found, and the metrics are the same."
        return "The metrics differ, but nothing recorded does: randomness without a seed, or something not recorded."
    top = [one for one in found if one.weight >= 0.5 and one.weight >= found[0].weight - 0.1][:3]
    if not top:
        return f"Only small differences: {in_words(found[0])}."
    # Of many runs a chain of values would say less than the name of what differs.
    told = ", ".join(in_words(one) if len(one.values) <= 3 else f"{one.kind} {one.key}" for one in top)
    return f"Most likely: {told}." if metrics else f"The metrics are the same in spite of: {told}."
