"""The generated TypeScript types."""

from __future__ import annotations

from pathlib import Path

from nbtrack.wire import messages, typescript

WIRE_TS = Path(__file__).parents[2] / "js" / "src" / "wire.ts"


def test_wire_ts_is_what_the_python_types_generate() -> None:
    assert WIRE_TS.read_text(encoding="utf-8") == typescript.render(), (
        "js/src/wire.ts is stale: run `python -m nbtrack.wire.typescript > js/src/wire.ts`"
    )


def test_answers_name_one_for_each_request() -> None:
    ops = {cls.__struct_config__.tag for cls in messages.AnyRequest.__args__}
    assert ops == set(messages.ANSWERS)
