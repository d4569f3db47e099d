"""A slice as something that runs: one Python script that needs no IPython, or a notebook."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.slice_known import BODY_MAGICS
from nbtrack.capture.transform import transform
from nbtrack.errors import InvalidInputError
from nbtrack.reprs.numbers import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbtrack.entities import Run
    from nbtrack.store.base import Store

_HELPERS: Final = {
    "_expanded": '''
def _expanded(text):
    """Fill in {expressions} and $names, as a notebook does in its shell commands."""
    import re

    pattern = r"\\{([^{}]+)\\}|\\$([^\\W\\d]\\w*)"

    def fill(match):
        try:
            return str(eval(match[1] or match[2], globals()))
        except Exception:
            return match[0]

    return re.sub(pattern, fill, text)
''',
    "_shell": '''
def _shell(command):
    """Run a command in a shell; return the lines that it printed."""
    import subprocess

    done = subprocess.run(_expanded(command), shell=True, text=True, stdout=subprocess.PIPE)
    print(done.stdout, end="")
    return done.stdout.splitlines()
''',
    "_write": '''
def _write(path, text, mode="w"):
    """Write a file."""
    with open(_expanded(path), mode) as file:
        file.write(text)
''',
    "_setenv": '''
def _setenv(line):
    """Set an environment variable."""
    import os

    name, _, value = line.replace(" ", "=", "=" not in line).partition("=")
    os.environ[name.strip()] = _expanded(value.strip())
''',
    "_chdir": '''
def _chdir(path):
    """Change the working directory."""
    import os

    os.chdir(os.path.expanduser(_expanded(path)))
''',
    "_run_file": '''
def _run_file(line):
    """Run a script; its names become names of this one."""
    import runpy
    import sys

    words = [word for word in _expanded(line).split() if word not in ("-i", "-n", "-t")]
    sys.argv, kept = words, sys.argv
    try:
        given = {k: v for k, v in globals().items() if not k.startswith("__")} if "-i" in line.split() else None
        name = words[0] if words[0].endswith(".py") else words[0] + ".py"
        globals().update((k, v) for k, v in runpy.run_path(name, given, "__main__").items() if not k.startswith("__"))
    finally:
        sys.argv = kept
''',
    "_run_async": '''
def _run_async(source):
    """Run code that awaits at its top level."""
    import ast
    import asyncio
    import inspect

    global _loop
    if "_loop" not in globals():
        _loop = asyncio.new_event_loop()
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, globals())
    if inspect.iscoroutine(running):
        _loop.run_until_complete(running)
''',
}
_CALLS: Final = {"writefile": "_write", "file": "_write", "env": "_setenv", "set_env": "_setenv", "cd": "_chdir"}
_SHELLS: Final = frozenset({"bash", "sh", "sx", "system", "!"})
_SHOWN: Final = re.compile(r"(?<![\w.])(?:_(?:\d+)?(?![\w(])|Out\[)(?!\s*(?:=|,|in\b))")
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def slice_cells(run: Run, store: Store) -> list[dict[str, Any]] | None:
    """Return the cells of a run's slice, also where they lie in an artifact; None if it has no slice."""
    record = run.capture.get("slice")
    if isinstance(record, dict) and isinstance(record.get("path"), str):
        import msgspec

        held = run.artifacts.get(record["path"])
        record = msgspec.json.decode(store.read_blob(held.digest)) if held is not None else None
    cells = record.get("cells") if isinstance(record, dict) else None
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else None


def code_of(source: str) -> str:
    """Return the text of a cell without its ``%%track`` line."""
    try:
        lines = transform(source.splitlines(keepends=True))
    except InvalidInputError:
        return source
    return "".join(line for line in lines if not line.lstrip().startswith("# %%track")).strip("\n")


def translate(code: str) -> str:
    """Return the text of a cell as Python, with calls of ``get_ipython()`` where there were magics."""
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ImportError:
        return code
    try:
        return str(TransformerManager().transform_cell(code))
    except SyntaxError:
        return code


def plain_python(code: str) -> str:
    """Return the text of a cell as Python that needs no IPython, calling the helpers of :func:`script`.

    A magic that means nothing outside of a notebook becomes a comment.
    """
    python = translate(code)
    try:
        tree = ast.parse(python)
    except (SyntaxError, ValueError):
        return "".join(f"# {line}\n" for line in code.splitlines())
    if _awaits(tree):
        quoted = f"r'''\n{python}'''" if "'''" not in python and not python.endswith("\\") else repr(python)
        return f"_run_async({quoted})\n"
    calls: list[tuple[Any, tuple[str, list[str]]]] = [
        (node, found) for node in ast.walk(tree) if (found := magic_call(node)) is not None
    ]
    lines = python.splitlines(keepends=True)
    for node, (kind, texts) in sorted(calls, key=lambda pair: -pair[0].lineno):
        whole = [s for s in tree.body if isinstance(s, ast.Expr) and s.value is node]
        _replace(lines, node, _plain_call(kind, texts, statement=bool(whole)))
    return "".join(lines)


def magic_call(node: ast.AST) -> tuple[str, list[str]] | None:
    """Return the kind and the texts of a call ``get_ipython().run_line_magic(…)``; None for any other node."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    base = node.func.value
    if not (isinstance(base, ast.Call) and isinstance(base.func, ast.Name) and base.func.id == "get_ipython"):
        return None
    texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return (node.func.attr, texts) if texts else None


def _awaits(tree: ast.Module) -> bool:
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
            return True
        if not isinstance(node, _FUNCTIONS):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _replace(lines: list[str], node: Any, text: str) -> None:
    """Put a text in the place of a node; columns count bytes."""
    first, last = node.lineno - 1, node.end_lineno - 1
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[last].encode()[node.end_col_offset :].decode()
    if not before.strip() and "\n" in text:
        text = text.replace("\n", f"\n{before}")
    lines[first : last + 1] = [before + text + after]


def _plain_call(kind: str, texts: list[str], *, statement: bool) -> str:
    if kind in {"system", "getoutput"}:
        return f"_shell({texts[0]!r})"
    name, line, body = [*texts, "", ""][:3]
    if name in BODY_MAGICS:
        code = body if kind == "run_cell_magic" else line
        return plain_python(code).rstrip("\n") if name != "timeit" else "None"
    if name in _SHELLS:
        return f"_shell({body or line!r})" if not body else f"_shell({body!r})"
    if name == "run" and line:
        return f"_run_file({line!r})"
    helper = _CALLS.get(name)
    if helper == "_chdir":
        line = " ".join(word for word in line.split() if not word.startswith("-"))
    if helper == "_write":
        words = line.split()
        mode = ", 'a'" if "-a" in words else ""
        return f"_write({words[-1]!r}, {body!r}{mode})" if words else "None"
    if helper is not None and line:
        return f"{helper}({line!r})"
    told = f"  # %{clean(name, 40)} {clean(line, 80)}: of no use outside of a notebook"
    return ("pass" if statement else "None") + (told if statement else "")


def _named_result(code: str, count: object) -> str:
    """Give the value that a cell shows last the names that a notebook gives it."""
    try:
        last = ast.parse(code).body[-1:]
    except (SyntaxError, ValueError):
        return code
    if not last or not isinstance(last[0], ast.Expr):
        return code
    lines = code.splitlines()
    number = f"_{count} = " if isinstance(count, int) else ""
    lines[last[0].lineno - 1] = f"_ = {number}{lines[last[0].lineno - 1]}"
    stored = [f"Out = {{**globals().get('Out', {{}}), {count}: _}}"] if number else []
    return "\n".join([*lines, *stored])


def script(cells: Sequence[Mapping[str, Any]], title: str = "", notes: Sequence[str] = ()) -> str:
    """Return the cells of a slice as one Python script.

    Parameters
    ----------
    cells
        As the run's record has them.
    title
        What the first line says.
    notes
        Lines to say under it, such as what may be missing.
    """
    parts = []
    codes = [plain_python(code_of(str(cell.get("source", "")))).strip() for cell in cells]
    shown = any(_SHOWN.search(code) for code in codes)
    for cell, code in zip(cells, codes, strict=True):
        count = cell.get("execution_count")
        label = f"# %% In [{count if isinstance(count, int) else ' '}]"
        parts.append(f"{label}\n{_named_result(code, count) if shown else code}\n")
    text = "\n".join(parts)
    used = [name for name in _HELPERS if re.search(rf"\b{name}\(", text)]
    if {"_shell", "_write", "_setenv", "_chdir", "_run_file"} & set(used) and "_expanded" not in used:
        used.insert(0, "_expanded")
    head = [f"# {clean(line, 300)}" for line in (title, *notes) if line]
    helpers = "\n".join(_HELPERS[name] for name in used)
    return "\n".join([*head, *([helpers] if helpers else []), text])


def notebook(cells: Sequence[Mapping[str, Any]], title: str = "", notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the cells of a slice as a notebook: plain values of the format 4.5, for ``json.dumps``."""
    made: list[dict[str, Any]] = []
    if title or notes:
        told = "\n\n".join(clean(line, 300) for line in (title, *notes) if line)
        made.append({"cell_type": "markdown", "id": "about", "metadata": {}, "source": told})
    for number, cell in enumerate(cells):
        made.append(code_cell(code_of(str(cell.get("source", ""))), f"cell-{number}"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}


def code_cell(source: str, cell_id: str) -> dict[str, Any]:
    """Return one code cell of a notebook."""
    empty: dict[str, Any] = {"execution_count": None, "outputs": [], "metadata": {}}
    return {"cell_type": "code", "id": cell_id, "source": source, **empty}
