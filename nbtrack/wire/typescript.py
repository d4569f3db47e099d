"""Prints ``js/src/wire.ts``: the TypeScript types of every request and answer.

``python -m nbtrack.wire.typescript > js/src/wire.ts``
"""

from __future__ import annotations

import sys
import typing
from typing import Any, cast

import msgspec
from msgspec import inspect as mi

from nbtrack.wire import differing, messages, pictures, registered, repeating, servers, tables
from nbtrack.wire.base import Answer

HEADER = """\
// Generated from nbtrack/wire/messages.py. Do not edit: run `python -m nbtrack.wire.typescript > js/src/wire.ts`.
"""


def _type(t: mi.Type) -> str:
    match t:
        case mi.StrType():
            return "string"
        case mi.IntType() | mi.FloatType():
            return "number"
        case mi.BoolType():
            return "boolean"
        case mi.NoneType():
            return "null"
        case mi.AnyType():
            return "unknown"
        case mi.LiteralType():
            return " | ".join(f'"{value}"' for value in t.values)
        case mi.ListType():
            item = _type(t.item_type)
            return f"({item})[]" if "|" in item else f"{item}[]"
        case mi.TupleType():
            return f"[{', '.join(_type(i) for i in t.item_types)}]"
        case mi.DictType():
            return f"Record<{_type(t.key_type)}, {_type(t.value_type)}>"
        case mi.UnionType():
            return " | ".join(dict.fromkeys(_type(i) for i in t.types))
        case mi.StructType():
            return t.cls.__name__
    raise TypeError(
        f"wire: no TypeScript for {t!r}. Use str, int, float, bool, list, dict, tuple, a Literal or a Struct."
    )


def _doc(text: str | None, indent: str = "") -> str:
    lines = [line.strip() for line in (text or "").strip().splitlines()]
    if len(lines) < 2:
        return f"{indent}/** {''.join(lines)} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


def _interface(cls: type[msgspec.Struct]) -> str:
    info = cast("mi.StructType", mi.type_info(cls))
    out = _doc(cls.__doc__) + f"export interface {cls.__name__} {{\n"
    request = info.tag_field is not None
    if request:
        out += f'  {info.tag_field}: "{info.tag}";\n'
    for field in info.fields:
        # the Python side always sends every field of an answer, and fills in what a request leaves out
        optional = "?" if request and not field.required else ""
        out += f"  {field.encode_name}{optional}: {_type(field.type)};\n"
    return out + "}\n"


def render() -> str:
    """Return the whole of ``wire.ts``."""
    requests: tuple[type[msgspec.Struct], ...] = typing.get_args(messages.AnyRequest)
    answers = [
        cls
        for room in (messages, tables, differing, pictures, registered, repeating, servers)
        for cls in vars(room).values()
        if isinstance(cls, type) and issubclass(cls, Answer) and cls is not Answer
    ]
    structs: list[Any] = [*requests, *answers]
    parts = [HEADER, *(_interface(cls) for cls in structs)]
    parts.append("export type AnyRequest =\n" + "\n".join(f"  | {cls.__name__}" for cls in requests) + ";\n")
    pairs = "".join(f"  {op}: {cls.__name__};\n" for op, cls in messages.ANSWERS.items())
    parts.append(f"/** Which answer each request gets. */\nexport interface Answers {{\n{pairs}}}\n")
    parts.append(
        "/** What travels back: the answer, or why there is none. */\n"
        "export type Reply<A> = { ok: true; answer: A } | { ok: false; error: Failure };\n"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
