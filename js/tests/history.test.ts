import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { FakeClient, type FakeRun } from "../src/clients/fake";
import { type FollowedCell, mount as mountHistory } from "../src/components/CellHistory";
import { mount as mountStatus } from "../src/components/StatusItem";
import { course, mainMetric, steps } from "../src/history";
import { mismatchOf } from "../src/lab/versions";
import { createState } from "../src/state";
import type { Answers } from "../src/wire";
import { find, host, settle } from "./dom";

/** Runs of one cell, newest first: code hash, C, accuracy. */
function cellRuns(cell: string, told: [string, string, number][]): FakeRun[] {
  return told.map(([code, C, accuracy], i) => ({
    run_id: `${cell}${i}`.padStart(32, "0"),
    run_name: "fit",
    params: { C },
    metrics: { accuracy },
    tags: { "nbtrack.cell": cell, "nbtrack.code": code },
  }));
}

const CELL = cellRuns("a", [
  ["x2", "3", 0.9],
  ["x1", "3", 0.8],
  ["x1", "1", 0.7],
  ["x1", "1", 0.7],
]);

async function runsOf(client: FakeClient): Promise<Answers["runs"]> {
  return client.call({ op: "runs", filter: "tags.`nbtrack.cell` = 'a'" });
}

test("steps puts runs without a change together, and says what changed between the others", async () => {
  const runs = await runsOf(new FakeClient([...CELL, ...cellRuns("b", [["y", "9", 0.1]])]));
  const found = steps(runs).map(({ row, code, params, again, first }) => [
    row,
    code,
    params.map(({ key, before, now }) => `${key} ${before} ${now}`),
    again.map((one) => one.row),
    first,
  ]);
  assert.deepEqual(found, [
    [0, true, [], [], false],
    [1, false, ["C 1 3"], [], false],
    [2, false, [], [3], true],
  ]);
  const metric = mainMetric(runs);
  assert.equal(metric?.key, "accuracy");
  assert.deepEqual(metric && course(metric), [0.7, 0.7, 0.8, 0.9]);
});

test("CellHistory follows the cell, keeps the run that is looked at, and offers to track", async () => {
  const client = new FakeClient([...CELL]);
  const root = host();
  const cell = signal<FollowedCell | null>({ id: "a", tracked: true, name: "[3]" });
  let tracked = 0;
  const compared: string[][] = [];
  mountHistory(root, client, createState(client, { table: false }), {
    cell,
    track: () => {
      tracked += 1;
    },
    compare: (run_ids) => compared.push(run_ids),
  });
  await settle();
  const lines = (): string[] =>
    [...root.querySelectorAll('[data-nbt="history-step"]')].map((one) => one.textContent ?? "");
  assert.equal(lines().length, 3);
  assert.match(lines()[0] ?? "", /0\.9 ▲ 0\.1.*code changed/);
  assert.match(lines()[1] ?? "", /C 1 → 3/);
  assert.match(lines()[2] ?? "", /×2.*first run/);
  root.querySelectorAll<HTMLElement>('[data-nbt="history-step"]')[1]?.click();
  await settle();
  assert.equal(find(root, "run-card").dataset.run, CELL[1]?.run_id);
  client.add(cellRuns("a", [["x2", "5", 0.95]]).map((run) => ({ ...run, run_id: "f".repeat(32) }))[0] as FakeRun);
  await settle();
  assert.equal(lines().length, 4);
  assert.equal(find(root, "run-card").dataset.run, CELL[1]?.run_id, "a new run does not take the eye away");
  find(root, "compare-cell").click();
  assert.equal(compared[0]?.length, 5);
  cell.value = { id: "b", tracked: false, name: "[ ]" };
  await settle();
  assert.match(find(root, "empty").textContent ?? "", /No run of this cell yet/);
  find(root, "track-cell").click();
  assert.equal(tracked, 1);
  cell.value = null;
  await settle();
  assert.match(find(root, "empty").textContent ?? "", /No code cell/);
});

test("the status item says what runs, else how the newest run ended", async () => {
  const client = new FakeClient([...CELL]);
  const root = host();
  const shown: string[] = [];
  const state = createState(client, { table: false });
  mountStatus(root, client, state, { open: () => shown.push("all"), page: (run_id) => shown.push(run_id) });
  await settle();
  assert.match(find(root, "status-item").textContent ?? "", /fit: accuracy 0\.9/);
  client.add({ run_id: "e".repeat(32), run_name: "long", status: "RUNNING" });
  await settle();
  assert.equal(find(root, "status-item").textContent, "1 run is running");
  find(root, "status-item").click();
  await settle();
  const listed = [...root.querySelectorAll<HTMLElement>('[data-nbt="recent-run"]')];
  assert.match(listed[0]?.textContent ?? "", /Running.*long.*so far/);
  assert.match(listed[1]?.textContent ?? "", /Finished.*fit.*accuracy 0\.9/);
  listed[0]?.click();
  await settle();
  assert.equal(root.querySelector('[data-nbt="recent-runs"]'), null);
  find(root, "status-item").click();
  await settle();
  find(root, "all-runs").click();
  assert.deepEqual(shown, ["e".repeat(32), "all"]);
  client.runs[0] = { ...(client.runs[0] as FakeRun), status: "FAILED" };
  client.add({ run_id: "d".repeat(32), run_name: "<b>", status: "FAILED" });
  await settle();
  assert.equal(find(root, "status-item").textContent, "<b>: failed");
});

test("mismatchOf names both versions and which one to upgrade, and is silent about the last place", () => {
  assert.equal(mismatchOf("0.2.1", "0.2.9"), "");
  assert.match(
    mismatchOf("0.1.0", "0.2.0"),
    /panel is nbtrack 0\.1\.0, the kernel's is 0\.2\.0\. Upgrade nbtrack where JupyterLab runs/,
  );
  assert.match(
    mismatchOf("1.0.0", "0.9.0"),
    /kernel's nbtrack is 0\.9\.0, this panel is 1\.0\.0\. Run %pip install -U nbtrack/,
  );
  assert.match(mismatchOf("1.0.0", null), /kernel has no nbtrack/);
});
