import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import { FakeClient, type FakeRun } from "../src/clients/fake";
import { mount as mountCard } from "../src/components/RunCard";
import { curvePath } from "../src/components/SmallCurve";
import { parseView, resumedSource } from "../src/lab/view";
import { type Control, freshLive, type Live, parseLive, parseProgress, withLive } from "../src/live";
import { createState } from "../src/state";
import type { RunDetail } from "../src/wire";
import { click, find, host, settle } from "./dom";

const RUN_ID = "a".repeat(32);

function running(more: Partial<FakeRun> = {}): FakeRun {
  return {
    run_id: RUN_ID,
    run_name: "net",
    status: "RUNNING",
    end_time: null,
    start_time: Date.now() - 5000,
    params: { lr: "0.1" },
    metrics: { loss: [0.9, 0.8] },
    logged: false,
    capture: { cell_hash: "0123456789abcdef" },
    ...more,
  };
}

const UPDATE = {
  at: 1,
  elapsed_s: 12.3,
  progress: { done: 3, total: 10, unit: "epoch", source: "tqdm", remaining_s: 28 },
  metrics: { loss: [0.5, 0.5, 0.9, 3, 2], fresh: ["NaN", "NaN", "NaN", 1, 0] },
  series: [{ key: "loss", step: [0, 1, 2], value: [0.9, 0.8, 0.5] }],
};

async function card(run: FakeRun, live: Live | null = null, control: Control = {}) {
  const client = new FakeClient([run]);
  const root = host();
  const state = createState(client, { table: false });
  const update = signal(live);
  const dispose = mountCard(root, client, state, { run_id: RUN_ID, live: update, control });
  await settle();
  await settle(); // the curves are asked for once the run is there
  return { client, root, state, update, dispose };
}

test("A running card shows how far it is, its curve and newest values, without asking for them", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() }); // however long this test takes, it shows the same seconds
  const { client, root, update, dispose } = await card(running(), parseLive(UPDATE, Date.now()));
  assert.match(find(root, "progress-text").textContent ?? "", /^3 of 10 epochs · 12 s so far · about 28 s left$/);
  assert.equal(root.querySelector('[role="progressbar"]')?.getAttribute("aria-valuenow"), "30");
  assert.equal(find(root, "curve").getAttribute("data-points"), "3");
  assert.match(root.querySelector('[data-nbt="metric"][data-key="loss"]')?.textContent ?? "", /0\.5/);
  assert.match(root.querySelector('[data-nbt="metric"][data-key="fresh"]')?.textContent ?? "", /NaN/);
  assert.equal(
    client.requests.some((one) => one.op === "series"),
    false,
  );
  update.value = parseLive({ ...UPDATE, elapsed_s: 14, progress: null }, Date.now());
  await settle();
  assert.match(find(root, "progress-text").textContent ?? "", /^14 s so far$/);
  assert.equal(root.querySelector('[role="progressbar"]')?.hasAttribute("aria-valuenow"), false);
  dispose();
});

test("The stop button interrupts through the host, and says when that failed", async () => {
  const stopped: number[] = [];
  const one = await card(running(), null, { stop: async () => void stopped.push(1) });
  await click(one.root, "stop-cell");
  assert.equal(stopped.length, 1);
  one.dispose();
  const other = await card(running(), null, { stop: () => Promise.reject(new Error("no kernel")) });
  await click(other.root, "stop-cell");
  assert.match(find(other.root, "error").textContent ?? "", /no kernel/);
  other.dispose();
});

test("A card without a host to stop or resume offers neither", async () => {
  const { root, dispose } = await card(running());
  assert.equal(root.querySelector('[data-nbt="stop-cell"]'), null);
  dispose();
  const crashed = await card(running({ status: "CRASHED" }));
  assert.equal(crashed.root.querySelector('[data-nbt="resume"]'), null);
  crashed.dispose();
});

test("A crashed run says what is kept, shows its curve, and resumes", async () => {
  const asked: string[] = [];
  const { root, dispose } = await card(running({ status: "CRASHED" }), null, {
    resume: async (run_id) => void asked.push(run_id),
  });
  assert.match(find(root, "broken-off").textContent ?? "", /The kernel died.*up to step 1 are kept/);
  assert.equal(find(root, "curve").getAttribute("data-points"), "2");
  await click(root, "resume");
  assert.deepEqual(asked, [RUN_ID]);
  dispose();
});

test("Pins are set, shown first or struck out, and taken back; a program's run has none", async () => {
  const { client, root, dispose } = await card(
    running({ status: "FINISHED", params: { first: "1", last: "2" }, metrics: { acc: 0.5 } }),
  );
  const keys = (): string[] =>
    [...root.querySelectorAll('[data-nbt="param"]')].map((one) => one.getAttribute("data-key") ?? "");
  const press = async (key: string, name: string): Promise<void> => {
    await click(root.querySelector(`[data-key="${key}"]`) as HTMLElement, name);
    await settle();
  };
  assert.deepEqual(keys(), ["first", "last"]);
  await press("last", "pin");
  assert.deepEqual(keys(), ["last", "first"]);
  await press("acc", "unpin");
  assert.ok(root.querySelector('[data-key="acc"]')?.classList.contains("nbt-left-out"));
  await press("acc", "unpin");
  assert.equal(root.querySelector('[data-key="acc"]')?.classList.contains("nbt-left-out"), false);
  assert.deepEqual(
    client.requests.flatMap((one) => (one.op === "pin" ? [[one.kind, one.key, one.choice]] : [])),
    [
      ["param", "last", "pinned"],
      ["metric", "acc", "unpinned"],
      ["metric", "acc", null],
    ],
  );
  dispose();
  const script = await card(running({ status: "FINISHED", capture: {} }));
  assert.equal(script.root.querySelector('[data-nbt="pin"]'), null);
  script.dispose();
});

test("What was captured, and what not, is listed as text", async () => {
  const { root, dispose } = await card(
    running({ status: "FINISHED", capture: { captured: ["<b>git</b>", 7], not_captured: ["params: broken"] } }),
  );
  const listed = [...find(root, "captured").querySelectorAll("li")].map((one) => one.textContent);
  assert.deepEqual(listed, ["<b>git</b>", "params: broken"]);
  dispose();
});

const detail = (count: number, status = "RUNNING"): RunDetail =>
  ({
    status,
    metrics: [{ key: "loss", last: 1, min: 1, max: 1, count, step: count - 1, better: "lower", previous: null }],
  }) as unknown as RunDetail;

test("An update is believed only as long as the store does not know more", () => {
  const live = parseLive(UPDATE, 1000);
  assert.equal(freshLive(detail(2), live, 1200), live);
  assert.equal(freshLive(detail(9), live, 1200), live); // the next update is under way
  assert.equal(freshLive(detail(9), live, 4000), null);
  assert.equal(freshLive(detail(2), live, 9000), null);
  assert.equal(freshLive(detail(2, "FINISHED"), live, 1200), null);
  assert.equal(withLive(detail(2), live).metrics.find((one) => one.key === "loss")?.better, "lower");
});

for (const bad of [null, 7, "text", [], {}, { elapsed_s: "1" }]) {
  test(`parseLive refuses ${JSON.stringify(bad)}`, () => assert.equal(parseLive(bad, 0), null));
}

test("parseLive keeps only what is well-formed", () => {
  const live = parseLive(
    { elapsed_s: 1, metrics: { a: [1], b: 7 }, series: [{ key: 1 }, { key: "a", step: [1], value: [] }] },
    0,
  );
  assert.deepEqual([live?.metrics, live?.series, live?.progress], [{}, [], null]);
  assert.equal(parseProgress({ done: 12, total: 10 })?.done, 10);
  assert.equal(parseProgress({ done: 1, total: 0 }), null);
});

test("curvePath lifts the pen where a value is missing", () => {
  assert.equal(curvePath([0, 1], [1, null]), "");
  assert.equal((curvePath([0, 1, 2, 3], [1, null, 2, 3]).match(/M/g) ?? []).length, 2);
});

test("resumedSource puts the run into the line of the cell, in place of an older one", () => {
  assert.equal(resumedSource("%%track net -e wine\nx = 1", "abcd"), "%%track net -e wine --resume abcd\nx = 1");
  assert.equal(resumedSource("%%track --resume 1234 net\nx", "abcd"), "%%track net --resume abcd\nx");
  assert.equal(resumedSource("x = 1", "abcd"), "%%track --resume abcd\nx = 1");
});

test("parseView reads a live card and the widget of a comparison", () => {
  const view = parseView({ version: 1, view: "card", run_ids: ["a"], live: UPDATE });
  assert.equal(view?.live?.progress?.total, 10);
  assert.equal(parseView({ version: 1, view: "compare", widget: "abc" })?.widget, "abc");
});
