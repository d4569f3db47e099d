import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { FakeClient, type FakeRun, wineRuns } from "../src/clients/fake";
import { mount as mountCompare } from "../src/components/Compare";
import { mount as mountPanel, type Tab } from "../src/components/Panel";
import { mount as mountTable } from "../src/components/RunTable";
import type { Picking } from "../src/components/StorePicker";
import { createState, type ViewOptions } from "../src/state";
import { click, find, host, press, settle } from "./dom";

const names = (root: ParentNode): string[] =>
  [...root.querySelectorAll('[role="rowheader"] .nbt-text')].map((one) => one.textContent ?? "");

const headers = (root: ParentNode): string[] =>
  [...root.querySelectorAll('[role="columnheader"]')].map((one) => one.getAttribute("data-key") ?? "");

async function table(runs: FakeRun[] = wineRuns()) {
  const root = host();
  const client = new FakeClient(runs);
  const state = createState(client);
  const dispose = mountTable(root, client, state);
  await settle();
  return { root, client, state, dispose };
}

test("RunTable shows what differs, and everything on demand", async () => {
  const { root } = await table();
  assert.deepEqual(names(root), ["rf-100-0.5", "rf-1-0.5", "rf-1-0.1"]);
  assert.deepEqual(headers(root), [
    "run_name",
    "accuracy",
    "f1_weighted",
    "max_features",
    "n_estimators",
    "start_time",
  ]);
  await click(root, "all-columns");
  assert.ok(headers(root).includes("criterion"));
  assert.equal(find(root, "all-columns").getAttribute("aria-pressed"), "true");
});

test("RunTable marks the best value with a sign and a word", async () => {
  const { root } = await table();
  const best = [...root.querySelectorAll(".nbt-best")].map((one) => one.textContent);
  assert.deepEqual(best, ["★best 1.0000", "★best 1.0000"]);
});

test("RunTable sorts by a click, and by several keys with Shift", async () => {
  const { root } = await table();
  const head = (key: string): HTMLElement => {
    const found = root.querySelector<HTMLElement>(`[role="columnheader"][data-key="${key}"]`);
    assert.ok(found);
    return found;
  };
  head("n_estimators").click();
  await settle();
  assert.equal(head("n_estimators").getAttribute("aria-sort"), "ascending");
  head("accuracy").dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: true }));
  await settle();
  assert.deepEqual(names(root), ["rf-1-0.5", "rf-1-0.1", "rf-100-0.5"]);
  assert.equal(head("accuracy").getAttribute("aria-sort"), "descending");
  assert.equal(head("accuracy").querySelector("sub")?.textContent, "2");
});

test("RunTable is worked by keys alone: arrows move, Enter sorts and opens, Space chooses", async () => {
  const { root, state } = await table();
  const grid = find(root, "runs");
  assert.equal(root.querySelectorAll('.nbt-grid [tabindex="0"]').length, 1);
  await press(grid, "ArrowUp");
  await press(grid, "ArrowRight");
  assert.equal(document.activeElement?.getAttribute("data-key"), "accuracy");
  await press(grid, "Enter");
  await press(grid, "Enter");
  assert.deepEqual(names(root), ["rf-1-0.1", "rf-1-0.5", "rf-100-0.5"]);
  await press(grid, "ArrowDown");
  await press(grid, "Home");
  await press(grid, "Enter");
  assert.equal(state.current.value, wineRuns()[2]?.run_id);
  const before = state.selected.value.size;
  await press(grid, " ");
  assert.equal(state.selected.value.size, before - 1);
});

test("RunTable filters as one types, says how many are left, and offers a way back from none", async () => {
  const { root, state } = await table();
  state.filter.value = "rf-1-";
  await settle();
  assert.deepEqual(names(root), ["rf-1-0.5", "rf-1-0.1"]);
  assert.equal(find(root, "count").textContent, "2 of 3 runs");
  state.filter.value = "no such run";
  await settle();
  await click(root, "clear-filter");
  assert.equal(names(root).length, 3);
});

test("RunTable keeps few of many rows in the page", async () => {
  const runs = Array.from({ length: 5000 }, (_, i) => ({
    run_id: i.toString(16).padStart(32, "0"),
    run_name: `run ${i}`,
    metrics: { loss: i },
  }));
  const { root } = await table(runs);
  assert.equal(find(root, "runs").getAttribute("aria-rowcount"), "5001");
  const rows = root.querySelectorAll('[role="row"]').length;
  assert.ok(rows > 5 && rows < 200, `${rows} rows`);
});

test("RunTable without runs says how to get one", async () => {
  const { root } = await table([]);
  assert.match(find(root, "empty").textContent ?? "", /%%track/);
});

test("RunTable of a comparison without runs says why, and how to see all", async () => {
  for (const [options, title] of [
    [{ run_ids: [] }, /No runs were given/],
    [{ run_ids: ["f".repeat(32)] }, /None of the given runs is there/],
    [{ query: "metrics.accuracy > 5" }, /No run fits this comparison's filter/],
  ] as const) {
    const root = host();
    mountTable(
      root,
      new FakeClient(wineRuns()),
      createState(new FakeClient(wineRuns()), { ...options } as ViewOptions),
    );
    await settle();
    assert.match(find(root, "empty").textContent ?? "", title);
    assert.match(find(root, "empty").textContent ?? "", /nbtrack\.compare\(\)/);
  }
});

test("RunTable shows a failure with what to do, and asks again", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  client.failing.set("runs", { code: "unreachable", message: "Check that it still runs, then try again." });
  mountTable(root, client, createState(client));
  await settle();
  assert.match(find(root, "error").textContent ?? "", /Check that it still runs/);
  client.failing.clear();
  await click(root, "retry");
  assert.equal(names(root).length, 3);
});

test("RunTable learns of a new run without losing filter or order, and of nothing after it is disposed", async () => {
  const { root, client, state, dispose } = await table();
  state.filter.value = "rf-1";
  client.add({ run_id: "9".repeat(32), run_name: "rf-1-new", metrics: { accuracy: 0.1 } });
  await settle();
  assert.deepEqual(names(root)[0], "rf-1-new");
  assert.equal(client.watchers, 1);
  dispose();
  assert.equal(client.watchers, 0);
  assert.equal(root.childElementCount, 0);
});

test("RunTable shows hostile names as text", async () => {
  const hostile = '<img src=x onerror="globalThis.hacked = true">';
  const { root } = await table([{ run_id: "1".repeat(32), run_name: hostile, params: { [hostile]: hostile } }]);
  assert.equal(root.querySelector("img"), null);
  assert.deepEqual(names(root), [hostile]);
});

test("Compare draws the chosen runs, with a table of the same numbers", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  const state = createState(client);
  mountCompare(root, client, state);
  await settle();
  const charts = [...root.querySelectorAll('[data-nbt="chart"]')];
  assert.deepEqual(
    charts.map((one) => one.getAttribute("data-key")),
    ["accuracy", "f1_weighted"],
  );
  assert.equal(charts[0]?.querySelectorAll("tbody tr").length, 3);
  find(root, "choose").click();
  await settle();
  assert.equal(root.querySelectorAll('[data-nbt="chart"]')[0]?.querySelectorAll("tbody tr").length, 2);
});

test("Compare first asks what the kernel's widget brings along", async () => {
  const client = new FakeClient(wineRuns());
  mountCompare(host(), client, createState(client, { run_ids: null, query: "", experiment: null }));
  await settle();
  // tests/widget/test_compare.py holds the kernel to the very same words
  assert.deepEqual(client.requests, [
    { op: "runs", run_ids: null, experiment: null, filter: "", limit: 1000, max_cells: 50_000 },
    { op: "series", run_ids: client.runs.map((run) => run.run_id), keys: ["accuracy", "f1_weighted"] },
  ]);
});

test("Panel switches tabs by click and by arrow keys", async () => {
  const root = host();
  const client = new FakeClient(wineRuns());
  const tab = signal<Tab>("runs");
  const compared: (string[] | null)[] = [];
  const more = signal<string[]>([]);
  const state = createState(client);
  mountPanel(root, client, state, {
    tab,
    compare: (run_ids) => compared.push(run_ids),
    stores: {
      more,
      picking: signal<Picking | null>(null),
      list: () => Promise.resolve({ all: ["final/.nbtrack", "tuning/.nbtrack"], own: "tuning/.nbtrack" }),
      choose: (chosen) => {
        more.value = chosen;
      },
    },
  });
  await settle();
  assert.match(find(root, "tab-runs").textContent ?? "", /Runs3/);
  await click(root, "compare-runs");
  const [first] = client.runs;
  state.filter.value = first?.run_name ?? "";
  await settle();
  assert.match(find(root, "compare-runs").textContent ?? "", /the run found/);
  await click(root, "compare-runs");
  assert.deepEqual(compared, [null, [first?.run_id]]);
  state.filter.value = "";
  await click(root, "choose-stores");
  const boxes = [...root.querySelectorAll<HTMLInputElement>('[data-nbt="store-choice"] input')];
  assert.deepEqual(
    boxes.map((box) => [box.checked, box.disabled]),
    [
      [true, true],
      [false, false],
    ],
  );
  boxes[1]?.click();
  assert.deepEqual(more.value, ["final/.nbtrack"]);
  await click(root, "tab-models");
  assert.match(find(root, "empty").textContent ?? "", /No registered models/);
  await press(find(root, "tab-models"), "ArrowRight");
  assert.equal(tab.value, "servers");
  assert.equal(find(root, "tab-servers").getAttribute("aria-selected"), "true");
});
