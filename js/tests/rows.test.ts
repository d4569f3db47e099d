import assert from "node:assert/strict";
import { test } from "node:test";
import { Motion, rowsToAsk } from "../src/blocks";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { merged } from "../src/merge";
import { bestRows, filterRows, nextSort, type ShownColumn, shownColumns, sortRows } from "../src/rows";
import type { Runs } from "../src/wire";

const wine = (): Promise<Runs> => new FakeClient(wineRuns()).call({ op: "runs" });

const column = (values: ShownColumn["values"], more: Partial<ShownColumn> = {}): ShownColumn => ({
  id: "metric:m",
  kind: "metric",
  key: "m",
  values,
  numeric: true,
  better: null,
  ...more,
});

test("shownColumns leaves out what is the same in all runs, unless all are wanted", async () => {
  const runs = await wine();
  const keys = shownColumns(runs, false).map((one) => one.key);
  assert.deepEqual(keys, ["accuracy", "f1_weighted", "max_features", "n_estimators", "start_time"]);
  const all = shownColumns(runs, true).map((one) => one.key);
  assert.ok(all.includes("criterion") && all.includes("random_state") && all.includes("duration"));
});

test("filterRows finds words in names, params and values, all of which must occur", async () => {
  const runs = await wine();
  assert.deepEqual(filterRows(runs, ""), [0, 1, 2]);
  assert.deepEqual(filterRows(runs, "RF-100"), [0]);
  assert.deepEqual(filterRows(runs, "max_features=0.5 n_estimators=1"), [0, 1]);
  assert.deepEqual(filterRows(runs, "nothing"), []);
});

test("filterRows understands comparisons", async () => {
  const runs = await wine();
  assert.deepEqual(filterRows(runs, "accuracy>0.85"), [0, 1]);
  assert.deepEqual(filterRows(runs, "metrics.accuracy>=0.85 n_estimators<10"), [1]);
  assert.deepEqual(filterRows(runs, "accuracy<=-1"), []);
});

test("sortRows sorts numbers as numbers, puts missing values last either way, and keeps ties in order", () => {
  const numbers = column(["10", "9", null, "NaN", "10"]);
  assert.deepEqual(sortRows([0, 1, 2, 3, 4], [numbers], [{ column: "metric:m", descending: false }]), [1, 0, 4, 2, 3]);
  assert.deepEqual(sortRows([0, 1, 2, 3, 4], [numbers], [{ column: "metric:m", descending: true }]), [0, 4, 1, 2, 3]);
});

test("sortRows uses the next key where the first is equal", () => {
  const first = column([1, 1, 0], { id: "param:a" });
  const second = column([1, 2, 3], { id: "param:b" });
  const keys = [
    { column: "param:a", descending: true },
    { column: "param:b", descending: true },
  ];
  assert.deepEqual(sortRows([0, 1, 2], [first, second], keys), [1, 0, 2]);
});

test("bestRows follows the direction, knows ties, and marks nothing where all are equal or direction is unknown", () => {
  assert.deepEqual([...bestRows(column([1, 3, 3], { better: "higher" }), [0, 1, 2])], [1, 2]);
  assert.deepEqual([...bestRows(column([1, 3, "NaN"], { better: "lower" }), [0, 1, 2])], [0]);
  assert.equal(bestRows(column([2, 2], { better: "higher" }), [0, 1]).size, 0);
  assert.equal(bestRows(column([1, 2]), [0, 1]).size, 0);
});

test("nextSort goes best first, other way, off; with shift it adds a key", () => {
  const accuracy = column([], { id: "metric:accuracy", better: "higher" });
  const name = column([], { id: "attribute:run_name" });
  const once = nextSort([], accuracy, false);
  assert.deepEqual(once, [{ column: "metric:accuracy", descending: true }]);
  const twice = nextSort(once, accuracy, false);
  assert.deepEqual(twice, [{ column: "metric:accuracy", descending: false }]);
  assert.deepEqual(nextSort(twice, accuracy, false), []);
  assert.deepEqual(nextSort(once, name, true), [...once, { column: "attribute:run_name", descending: false }]);
  assert.deepEqual(nextSort(once, name, false), [{ column: "attribute:run_name", descending: false }]);
});

test("words are looked for in what a run says now, also where only what changed was told", async () => {
  const before = await wine();
  assert.deepEqual(filterRows(before, "n_estimators=100"), [0]);
  const change: Runs = {
    ...before,
    run_ids: [before.run_ids[1] ?? ""],
    columns: before.columns.map((one) => ({
      ...one,
      values: [one.key === "run_name" ? "renamed" : (one.values[1] ?? null)],
    })),
    revision: "next",
    changed: { order: null },
  };
  const after = merged(before, change, new Set());
  assert.ok(after);
  assert.deepEqual(filterRows(after, "renamed"), [1]);
  assert.deepEqual(filterRows(after, "n_estimators=100"), [0]);
});

test("a metric that few runs have stands behind those that most have", async () => {
  const runs: FakeRun[] = Array.from({ length: 12 }, (_, i) => ({
    run_id: String(i).padStart(32, "0"),
    run_name: `run-${i}`,
    metrics: { loss: i, ...(i === 0 ? { aaa: 1 } : {}) } as Record<string, number>,
    params: { lr: "3", ...(i === 1 ? { early: "1" } : {}) } as Record<string, string>,
  }));
  const keys = shownColumns(await new FakeClient(runs).call({ op: "runs" }), true).map((one) => one.key);
  assert.deepEqual(keys.slice(0, 4), ["loss", "aaa", "lr", "early"]);
});

test("while one scrolls fast, more rows are asked for, ahead of those in sight; after a jump, those in sight", () => {
  const motion = new Motion();
  motion.moved(0, 1000);
  motion.moved(20_000, 1016);
  assert.equal(motion.ahead(1016), 0, "a jump");
  motion.moved(20_160, 1032);
  motion.moved(20_320, 1048);
  const ahead = motion.ahead(1048);
  assert.ok(ahead > 300 && ahead <= 800, String(ahead));
  const [offset, rows] = rowsToAsk({ first: 20_320, last: 20_350 }, ahead, 50_000);
  assert.ok(rows > 500 && rows <= 1000 && rows % 100 === 0, String(rows));
  assert.ok(offset > 20_320 && offset <= 20_320 + ahead, String(offset));
  assert.ok(offset + rows >= 20_350 + 2 * ahead);
  motion.moved(20_000, 1064);
  assert.equal(motion.ahead(1064), 0, "another way");
  assert.equal(motion.ahead(1400), 0, "at rest");
  assert.deepEqual(rowsToAsk({ first: 49_950, last: 49_999 }, 800, 50_000), [49_000, 1000]);
  assert.deepEqual(rowsToAsk({ first: 0, last: 40 }, 0, 0), [0, 200]);
});

test("where runs lie in several stores, the store comes first", async () => {
  const runs = await wine();
  const store = { kind: "attribute", key: "store", varies: true, numeric: false, better: null } as const;
  const several = { ...runs, columns: [...runs.columns, { ...store, values: ["a", "b", "a"] }] };
  assert.equal(shownColumns(several, false)[0]?.id, "attribute:store");
});
