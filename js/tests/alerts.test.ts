import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { ALERTS_TAG, alertsOf, gravest } from "../src/alerts";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountDetail } from "../src/components/RunDetail";
import { mount as mountTable } from "../src/components/RunTable";
import { mount as mountStatus } from "../src/components/StatusItem";
import { type Live, parseLive } from "../src/live";
import { createState } from "../src/state";
import { find, host, settle } from "./dom";

const HOSTILE = '<img src=x onerror="window.hacked=1">';
const row = (title: string, level = "warn", count = 1) => ({ title, text: "at step 7", level, at: 5, count, last: 6 });
const tag = (...rows: object[]) => ({ [ALERTS_TAG]: JSON.stringify(rows) });
const RUN_ID = "a".repeat(32);

function running(tags: Record<string, string> = {}): FakeRun {
  return { run_id: RUN_ID, run_name: "net", status: "RUNNING", end_time: null, metrics: { loss: 1 }, tags };
}

test("a tag is read as alerts, and what is none is left out", () => {
  const [first, second] = alertsOf(tag(row("a", "error", 3), { title: "b", level: "loud", count: -1 })[ALERTS_TAG]);
  assert.deepEqual(first, { title: "a", text: "at step 7", level: "error", at: 5, last: 6, count: 3 });
  assert.deepEqual(second, { title: "b", text: "", level: "warn", at: 0, last: 0, count: 1 });
  for (const odd of [null, undefined, 5, "", "{", "5", "{}", "[null, 3, [], {}]"]) {
    assert.deepEqual(alertsOf(odd), []);
  }
  assert.equal(gravest(alertsOf(tag(row("a"), row("b", "error"), row("c", "error"))[ALERTS_TAG]))?.title, "b");
});

test("a running card says alerts aloud as they come, from its cell and from the store", async () => {
  const client = new FakeClient([running()]);
  const root = host();
  const live = signal<Live | null>(null);
  mountCard(root, client, createState(client, { table: false }), { run_id: RUN_ID, live });
  await settle();
  const voice = root.querySelector('[role="log"][aria-live="polite"]');
  assert.equal(voice?.textContent, "");
  live.value = parseLive(
    { elapsed_s: 3, metrics: { loss: [1, 1, 1, 1, 0] }, alerts: tag(row(HOSTILE, "error", 4))[ALERTS_TAG] },
    Date.now(),
  );
  await settle();
  assert.equal(root.querySelector('[role="log"]'), voice);
  assert.match(voice?.textContent ?? "", /^Error: <img src=x onerror="window\.hacked=1">at step 74 times · /);
  assert.equal(root.querySelector("img"), null);
  live.value = null;
  client.change(RUN_ID, { tags: tag(row("loss > 1")), status: "FINISHED", end_time: 9 });
  await settle();
  assert.match(find(root, "alert").textContent ?? "", /^Warning: loss > 1at step 7/);
});

test("a run's page shows its alerts, and no empty place where there are none", async () => {
  const [first, second] = wineRuns() as [FakeRun, FakeRun];
  const client = new FakeClient([{ ...first, tags: tag(row("slow", "info"), row("loss > 1")) }, second]);
  const roots = [first, second].map((run) => {
    const root = host();
    mountDetail(root, client, createState(client, { table: false }), { run_id: run.run_id });
    return root;
  });
  await settle();
  assert.equal(roots[0]?.querySelectorAll('[data-nbt="alert"]').length, 2);
  assert.equal(roots[1]?.querySelector('[role="log"]'), null);
});

test("the table marks runs with alerts by the gravest, and has no column of them", async () => {
  const [first, ...rest] = wineRuns() as [FakeRun, ...FakeRun[]];
  const client = new FakeClient([{ ...first, tags: tag(row("slow", "info", 7), row("loss > 1", "error")) }, ...rest]);
  const root = host();
  mountTable(root, client, createState(client, {}));
  await settle();
  const marks = root.querySelectorAll<HTMLElement>('[data-nbt="alert-mark"]');
  assert.equal(marks.length, 1);
  assert.match(marks[0]?.className ?? "", /nbt-alert-error/);
  assert.equal(marks[0]?.title, "slow (7 times)\nloss > 1");
  assert.match(marks[0]?.textContent ?? "", /2 alerts: slow \(7 times\), loss > 1/);
  assert.ok(!(root.querySelector('[role="grid"]')?.textContent ?? "").includes("at step 7"));
  client.change(rest[0]?.run_id ?? "", { tags: tag(row("new")) });
  await settle();
  assert.equal(root.querySelectorAll('[data-nbt="alert-mark"]').length, 2);
});

test("the status bar says what a running run was alerted of, and tells of each new alert once", async () => {
  const client = new FakeClient([running(tag(row("old"))), ...wineRuns()]);
  const root = host();
  const told: string[] = [];
  mountStatus(root, client, createState(client, { table: false }), {
    alerted: (run_id, name, alert) => told.push(`${run_id.slice(0, 2)} ${name} ${alert.title} ${alert.level}`),
  });
  await settle();
  assert.equal(find(root, "status-item").textContent, "net: old");
  assert.deepEqual(told, []); // it was there before
  client.change(RUN_ID, { tags: tag(row("old", "warn", 2), row("loss is nan", "error")) });
  await settle();
  client.change(RUN_ID, { tags: tag(row("old", "warn", 9), row("loss is nan", "error", 2)) });
  await settle();
  assert.equal(find(root, "status-item").textContent, "net: loss is nan");
  assert.deepEqual(told, ["aa net loss is nan error"]);
});
