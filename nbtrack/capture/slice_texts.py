"""Reads text that is code in disguise: magics, shell commands, ``exec``, names inside of queries."""

from __future__ import annotations

import ast
import re
from typing import Final

from nbtrack.capture import slice_known as known
from nbtrack.capture.slice_effects import PATH, Effects
from nbtrack.capture.slice_objects import Obj, Objs

_NAME: Final = re.compile(r"[^\W\d]\w*")
_EXPANDED: Final = re.compile(r"\{([^{}]*)\}|\$([^\W\d]\w*)")
_MAGIC_CALLS: Final = frozenset({"run_line_magic", "run_cell_magic", "system", "getoutput", "magic"})


class Texts(Effects):
    """The part of the reader that follows text."""

    # -- text that is code ---------------------------------------------------------------------------------------------
    def names_in(self, text: str, sign: str = "") -> None:
        """Read the names of the notebook that a text mentions, such as ``@cutoff`` in a query."""
        for found in re.findall(re.escape(sign) + r"([^\W\d]\w*)", text):
            if found in self.top.vars:
                self.eval(ast.Name(found, ast.Load()))

    def names_in_tree(self, node: ast.AST) -> None:
        """Read every name that a function mentions, where following it would lead too far."""
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in self.top.vars:
                self.touch(part.id, self.top.vars[part.id])

    def code_in_text(self, node: ast.Call) -> Objs:
        """Read ``exec("x = 1")`` and ``eval("x + 1")``; of code that is made at run time only its effect is known."""
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return self.python(first.value)
        self.missing["exec() or eval() runs text that was made at run time"] = None
        return (Obj(),)

    def python(self, text: str) -> Objs:
        """Read program text in place."""
        from nbtrack.capture.slice_reader import parse

        tree = parse(text)
        if tree is None:
            self.names_in(text)
            return (Obj(),)
        self.block(tree.body[:-1])
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            return tuple(self.eval(last.value))
        if last is not None:
            self.statement(last)
        return (Obj(),)

    # -- magics --------------------------------------------------------------------------------------------------------
    def magic(self, node: ast.Call) -> Objs | None:
        """Read a magic or a shell command; None if the call is none."""
        func = node.func
        if not (isinstance(func, ast.Attribute) and func.attr in _MAGIC_CALLS and isinstance(func.value, ast.Call)):
            return None
        if not (isinstance(func.value.func, ast.Name) and func.value.func.id == "get_ipython"):
            return None
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if not texts:
            return None
        if func.attr in {"system", "getoutput"}:
            self._shell(texts[0])
            return (Obj(computed=True),)
        name, line, body = [*texts, "", ""][:3]
        if name in known.BODY_MAGICS:
            if name == "capture" and line.strip() and not line.startswith("-"):
                self.bind(line.split()[0], (Obj("object"),))
            code = body if func.attr == "run_cell_magic" else line
            while code.startswith("-"):
                code = code.partition(" ")[2]
            return self.python(self.translated(code))
        self._other_magic(name, line, body)
        return (Obj(computed=True),)

    def translated(self, code: str) -> str:
        """Return the body of a magic as Python."""
        return self.flow.translate(code)

    def _other_magic(self, name: str, line: str, body: str) -> None:
        words = line.split()
        if name in {"bash", "sh", "script", "!", "sx", "system"}:
            self._shell(f"{line}\n{body}")
        elif name in {"writefile", "file"} and words:
            append = "-a" in words
            self._expand(line)
            self.access(words[-1].strip("'\""), write=True, read=append)
        elif name == "cd":
            folders = [word.strip("'\"") for word in words if not word.startswith("-")]
            self.change_folder(folders[0] if folders else "~")
        elif name in {"env", "set_env"}:
            self._expand(line)
            self.alter("<environ>") if len(words) > 1 or "=" in line else self.use("<environ>")
        elif name in {"run", "load", "%run"}:
            self._expand(line)
            for word in words:
                if not word.startswith("-"):
                    self.read_file(word.strip("'\"") + ("" if "." in word else ".py"))
                    break
            if "-i" in words:
                for held in list(self.top.vars):
                    self.eval(ast.Name(held, ast.Load()))
        elif name not in known.IDLE_MAGICS:
            self._expand(line)
            self.names_in(body)
            self.use("<ext>")
            if name == "store" and "-r" in words:
                self.missing["%store -r takes variables from another session"] = None

    def _expand(self, text: str) -> None:
        for braces, dollar in _EXPANDED.findall(text):
            for name in _NAME.findall(braces) or [dollar]:
                if name in self.top.vars:
                    self.eval(ast.Name(name, ast.Load()))

    def _shell(self, text: str) -> None:
        """Read a shell command: the names that it expands, and the files that it may read or write."""
        if re.match(r"\s*(?:pip3?|conda|mamba|uv|apt(?:-get)?)\s", text):
            return
        self._expand(text)
        self.use("<environ>")
        for path in dict.fromkeys(PATH.findall(text)):
            self.access(path.strip("'\"();,"), write=True, read=True)
