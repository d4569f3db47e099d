"""Many spoilt requests at one real server: no 5xx, nothing given away, and the same worker alive at the end.

    python tests/bench/serving_fuzz.py [--requests 50000] [--seed 0]

Bodies of every dialect are cut, doubled, swapped and spoilt in places; headers and paths, too, now and then.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

SECRET = "s3cr3t-canary"
PIECES = [b"null", b"NaN", b"1e400", *(b"%c" % c for c in b'[]{},"-'), b"\\u0000", b"\xff", b"9" * 400, b"true"]
PATHS = ["/invocations"] * 8 + [
    "/v2/models/m/infer",
    "/models/m/invocations",
    "/",
    "/health",
    "/%00",
    "/v2/models/",
    "//",
]


def good_bodies(frame: Any) -> list[tuple[bytes, str]]:
    rows = json.loads(frame.to_json(orient="values", date_format="iso"))
    names, parquet = list(frame.columns), io.BytesIO()
    frame.to_parquet(parquet)
    records = [dict(zip(names, row, strict=True)) for row in rows]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    split = {"columns": names, "data": rows}
    tensors = [{"name": n, "shape": [len(rows)], "datatype": "FP64", "data": columns[n]} for n in names]
    found: list[Any] = [
        *({"dataframe_split": split}, {"dataframe_records": records}, {"instances": records}, {"inputs": columns}),
        *({"inputs": rows}, split, records, {"inputs": tensors, "id": "1"}),
    ]
    bodies = [(json.dumps(body).encode(), "application/json") for body in found]
    return [*bodies, (frame.to_csv(index=False).encode(), "text/csv"), (parquet.getvalue(), "application/x-parquet")]


def spoilt(rng: random.Random, body: bytes) -> bytes:
    out = bytearray(body)
    for _ in range(rng.randrange(4)):
        if not out:
            break
        start = rng.randrange(len(out))
        end = min(len(out), start + rng.randrange(1, 40))
        match rng.randrange(5):
            case 0:
                del out[start:end]
            case 1:
                out[start:start] = out[start:end]
            case 2:
                out[start:end] = rng.choice(PIECES)
            case 3:
                out[start] = rng.randrange(256)
            case _:
                out[start:start] = SECRET.encode()
    return bytes(out)


def main() -> int:
    """Ask, and print what came back; the exit code is 1 if anything of it should not have."""
    parser = argparse.ArgumentParser(description="Spoilt requests at one server.")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    import nbtrack

    frame = pd.DataFrame({"age": [30, 41, 55], "city": ["Rome", "Oslo", "Rome"], "x": [0.5, 1.5, 2.5]})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"), LogisticRegression()
    ).fit(frame, [0, 1, 0])
    rng, answers, wrong = random.Random(options.seed), Counter[int](), []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        nbtrack.save_model(model, Path(folder) / "m", input_example=frame)
        with nbtrack.serve(Path(folder) / "m") as server:
            pid, bodies = server.info.pid, good_bodies(frame)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for _ in range(options.requests):
                body, kind = rng.choice(bodies)
                body = spoilt(rng, body)
                headers = {"Content-Type": rng.choice([kind] * 9 + ["text/csv", "application/json", "x", "a/b;c=d"])}
                connection.request("POST", rng.choice(PATHS), body, headers)
                reply = connection.getresponse()
                text = reply.read()
                answers[reply.status] += 1
                leaks = reply.status >= 400 and (
                    SECRET.encode() in text or b"Traceback" in text or b"/site-pack" in text
                )
                if reply.status >= 500 or leaks:
                    wrong.append((reply.status, body[:300], text[:300]))
            alive = server.info.pid == pid and server.info.status == "ready"
    told = {"requests": options.requests, "answers": dict(answers), "wrong": len(wrong), "the same worker": alive}
    print(json.dumps(told | {"seconds": round(time.perf_counter() - started, 1)}, indent=1))
    for each in wrong[:5]:
        print(each)
    return 1 if wrong or not alive else 0


if __name__ == "__main__":
    sys.exit(main())
