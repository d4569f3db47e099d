import assert from "node:assert/strict";
import { test } from "node:test";
import { dotRange } from "../src/components/ChartParts";
import { pretty } from "../src/components/ServeCard";
import {
  byName,
  columnFormat,
  formatAgo,
  formatBytes,
  formatDelta,
  formatDuration,
  formatNumber,
  toNumber,
} from "../src/format";

test("toNumber reads the wire's special numbers and nothing that is no number", () => {
  assert.equal(toNumber("Infinity"), Number.POSITIVE_INFINITY);
  assert.ok(Number.isNaN(toNumber("NaN")));
  assert.equal(toNumber("0.5"), 0.5);
  assert.equal(toNumber(""), null);
  assert.equal(toNumber("gini"), null);
  assert.equal(toNumber(null), null);
});

test("formatNumber keeps four significant digits and writes extremes as powers", () => {
  assert.equal(formatNumber(0.83333333), "0.8333");
  assert.equal(formatNumber(-2), "−2");
  assert.equal(formatNumber(1e-9), "1.00e−9");
  assert.equal(formatNumber(1.5e12), "1.50e12");
  assert.equal(formatNumber(1_234_567), "1,234,567");
  assert.equal(formatNumber(12_345.678), "12,346");
  assert.equal(formatNumber(-1234.5, 2), "−1234.50");
  assert.equal(formatNumber(Number.NEGATIVE_INFINITY), "−∞");
});

test("columnFormat gives all numbers of a column the same decimals", () => {
  const format = columnFormat([1, 0.8889, 0.83333333], false);
  assert.deepEqual([1, 0.8889, 0.83333333, null, "NaN"].map(format), ["1.0000", "0.8889", "0.8333", "", "NaN"]);
  assert.deepEqual([0.002134, 0.01].map(columnFormat([0.002134, 0.01], false)), ["0.00213", "0.01000"]);
});

test("columnFormat leaves params as they were written", () => {
  assert.equal(columnFormat(["12345678901"], true)("12345678901"), "12345678901");
  const format = columnFormat(["0.50", "100", "gini"], true);
  assert.deepEqual(["0.50", "100", "gini"].map(format), ["0.50", "100", "gini"]);
});

test("formatDelta tells better from worse by the metric's direction", () => {
  assert.deepEqual(formatDelta(0.9, 0.8, "higher", 4), { text: "▲ 0.1000", tone: "better" });
  assert.deepEqual(formatDelta(0.9, 0.8, "lower", 4), { text: "▲ 0.1000", tone: "worse" });
  assert.deepEqual(formatDelta(0.8, 0.9, null, 1), { text: "▼ 0.1", tone: "unknown" });
  assert.deepEqual(formatDelta(0.5, 0.5, "higher"), { text: "=", tone: "same" });
  assert.deepEqual(formatDelta(0.50001, 0.5, "higher", 2), { text: "▲ 1.00e−5", tone: "better" });
  assert.deepEqual(formatDelta(3703.7, 2469.1, "lower"), { text: "▲ 1235", tone: "worse" });
  assert.equal(formatDelta("NaN", 1, "higher"), null);
  assert.equal(formatDelta(1, null, "higher"), null);
});

test("formatDuration, formatBytes and formatAgo read as people write", () => {
  assert.equal(formatDuration(840), "840 ms");
  assert.equal(formatDuration(1400), "1.4 s");
  assert.equal(formatDuration(125_000), "2 min 5 s");
  assert.equal(formatDuration(7_260_000), "2 h 1 min");
  assert.equal(formatBytes(999), "999 B");
  assert.equal(formatBytes(182_044), "182 kB");
  assert.equal(formatAgo(1_000_000, 1_030_000), "just now");
  assert.match(formatAgo(1_000_000, 1_000_000 + 180_000), /3/);
});

test("dotRange leaves room around the values and stays below 1 for shares", () => {
  assert.deepEqual(dotRange([]), [0, 1]);
  const [low, high] = dotRange([0.8, 1]);
  assert.ok(low < 0.8 && low > 0.7);
  assert.equal(high, 1);
  const [from, to] = dotRange([5, 5]);
  assert.ok(from < 5 && to > 5);
});

test("pretty keeps on a line what fits, and leaves alone what is no JSON", () => {
  assert.equal(pretty('{"a":[1,2]}'), '{"a": [1, 2]}');
  const long = JSON.stringify({ columns: Array.from({ length: 20 }, (_, i) => `column_${i}`), data: [[1, 2]] });
  const shown = pretty(long);
  assert.deepEqual(JSON.parse(shown), JSON.parse(long));
  assert.ok(shown.split("\n").every((line) => line.length <= 80));
  assert.equal(pretty("a,b\n1,2"), "a,b\n1,2");
});

test("byName sorts numbers in keys by their size, as the store does", () => {
  const keys = ["p10", "p2", "p", "p1", "p01", "layer10.w2", "layer9.w10", "", "x1y", "x1", "9".repeat(5000)];
  assert.deepEqual([...keys].sort(byName), [
    "",
    "9".repeat(5000),
    "layer9.w10",
    "layer10.w2",
    "p",
    "p01",
    "p1",
    "p2",
    "p10",
    "x1",
    "x1y",
  ]);
});
