"""The compact columns of many metric values: all of it comes back, and what cannot be unpacked is refused."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from orjson import dumps, loads

from nbtrack.store.cols import Group, Series, decode_columns, encode_columns, zlib_error

BASE = 1_700_000_000_000
MARK = [1, "seal", 2]
HEAD = 20  # magic, length and checksum of the header


def columns(count: int) -> tuple[Series, bytes]:
    """Return series of `count` lines, and their columns; of a few lines one thread unpacks them, of many two do."""
    rng = np.random.default_rng(5)
    series = Series(BASE)
    time = BASE + np.cumsum(rng.integers(0, 9, count))
    values = np.stack([rng.normal(size=count), 1 / (np.arange(count) + 3), np.full(count, np.inf)], axis=1)
    step = np.cumsum(rng.integers(-3, 2**40, count))
    series.groups.append(Group(("acc", "loss", "odd"), np.arange(count) * 2, step, time, values))
    series.groups.append(Group(("loss",), np.arange(count) * 2 + 1, np.arange(count), time, values[:, :1]))
    return series, encode_columns(series, MARK)


@pytest.mark.parametrize("count", [1, 2, 1000, 60_000])
def test_columns_give_back_every_value(count: int) -> None:
    series, data = columns(count)
    again = decode_columns(data, BASE, MARK)
    for old, new in zip(series.groups, again.groups, strict=True):
        assert old.keys == new.keys
        for name in ("place", "step", "time", "values"):
            assert_array_equal(getattr(old, name), getattr(new, name))
    for key in ("acc", "loss", "odd"):
        for old, new in zip(series.of(key), decode_columns(data, BASE, MARK, key).of(key), strict=True):
            assert_array_equal(old, new)
            assert old.dtype == new.dtype


@pytest.mark.parametrize("count", [1000, 60_000])
def test_columns_that_do_not_unpack_are_refused_though_their_checksum_is_right(count: int) -> None:
    _, data = columns(count)
    start = HEAD + int.from_bytes(data[8:16], "little")
    header, body = loads(data[HEAD:start]), bytearray(data[start:])
    for entry in header["groups"][0]["values"][1:]:  # of "loss" and "odd": their last planes are packed
        assert entry[1][-1] < count
    body[: len(body) // 2] = bytes(len(body) // 2)  # no stream of zlib begins like that
    header["crc32"] = crc32(bytes(body))
    text = dumps(header)
    broken = data[:8] + len(text).to_bytes(8, "little") + crc32(text).to_bytes(4, "little") + text + bytes(body)
    with pytest.raises((ValueError, zlib_error), match=r"too short|decompressing"):
        decode_columns(broken, BASE, MARK)
