import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, wineRuns } from "../src/clients/fake";
import { mount as mountCard } from "../src/components/RunCard";
import { mount as mountDetail } from "../src/components/RunDetail";
import { laidOut, type StepNode, stepsOf } from "../src/pipeline";
import { readRecord } from "../src/record";
import { createState } from "../src/state";
import type { AnyRequest, Reproduction } from "../src/wire";
import { click, find, host, settle } from "./dom";

const step = (name: string, inputs: [string, string][], status: StepNode["status"] = "ran"): StepNode => ({
  name,
  status,
  run_id: name.repeat(8),
  seconds: 1,
  inputs,
  outputs: [],
  not_kept: "",
});
const DIAMOND = [
  step("a", [["x", ""]]),
  step("b", [["a", "a"]]),
  step("c", [["a", "a"]]),
  step("d", [
    ["b", "b"],
    ["c", "c"],
    ["a", "a"],
  ]),
];

test("A graph has a column a layer where there is room, a row a layer where not; nothing covers anything", () => {
  for (const room of [2000, 560, 240]) {
    const { places, edges, width, height } = laidOut(DIAMOND, room);
    const along = room === 2000 ? "x" : "y";
    const [a, b, c, d] = places.map((place) => place[along]);
    assert.ok(a !== undefined && b !== undefined && d !== undefined && a < b && b === c && b < d, `${room}`);
    assert.deepEqual(
      edges.map(({ from, to }) => `${from}${to}`),
      ["ab", "ac", "bd", "cd", "ad"],
    );
    for (const [i, one] of places.entries()) {
      assert.ok(one.x >= 0 && one.x + one.width <= width && one.y + one.height <= height);
      for (const other of places.slice(i + 1)) {
        const apart = one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y;
        assert.ok(apart, `${room}`);
      }
    }
    if (room === 240) {
      assert.ok(width <= room, `${width}`);
    }
  }
});

test("A step that its child runs just now is under way; odd records give no step", () => {
  const [a, b] = [step("a", []), step("b", [], "not run")];
  const children: [string, string, string][] = [["b1", "b", "RUNNING"]];
  const told = stepsOf({ status: "RUNNING", children }, [a, b] as never);
  assert.deepEqual(
    told.map(({ status, run_id }) => [status, run_id]),
    [
      ["ran", "aaaaaaaa"],
      ["running", "b1"],
    ],
  );
  assert.equal(stepsOf({ status: "FAILED", children }, [b] as never)[0]?.status, "not run");
  assert.deepEqual(readRecord({ pipeline: { steps: "x" }, reproduced: [1] }).steps, []);
  assert.equal(readRecord({ pipeline: { steps: [{ status: "<b>" }] } }).steps[0]?.status, "not run");
});

async function page(capture: Record<string, unknown>, mount = mountDetail) {
  const runs = wineRuns();
  const [first, second] = runs;
  assert.ok(first && second);
  first.capture = capture;
  const client = new FakeClient(runs);
  const root = host();
  const state = createState(client, { table: false });
  mount(root, client, state, { run_id: first.run_id });
  await settle();
  return { root, client, first, second };
}

test("A step opens its run in place of the pipeline's, and Back leads back", async () => {
  const second = wineRuns()[1]?.run_id ?? "";
  const steps = [
    { name: "load", status: "reused", run_id: second, seconds: 0.02, inputs: { path: "" }, outputs: ["wine"] },
    { name: "train", status: "not run", run_id: "", seconds: 0, inputs: { wine: "load" }, outputs: [] },
  ];
  for (const mount of [mountDetail, mountCard] as (typeof mountDetail)[]) {
    const { root } = await page({ pipeline: { steps } }, mount);
    const nodes = [...root.querySelectorAll<HTMLButtonElement>('[data-nbt="pipeline-step"]')];
    assert.deepEqual(
      nodes.map((one) => [one.textContent, one.disabled]),
      [
        ["loadreused 20 ms, takes path (a param)", false],
        ["trainnot run, takes wine from load", true],
      ],
    );
    nodes[0]?.click();
    await settle();
    assert.equal(find(root, "run-name").textContent, "rf-1-0.5");
    await click(root, "back");
    assert.equal(find(root, "run-name").textContent, "rf-100-0.5");
  }
});

const SLICE = { cells: [{ source: "a" }, { source: "b", this: true }], complete: true, missing: [] };

test("Reproduce asks first, tells how far it is, and shows what came of it", async () => {
  const { root, client, first } = await page({ slice: SLICE });
  const told: Reproduction = {
    run_id: first.run_id,
    state: "running",
    done: 1,
    total: 2,
    cell: "In [5]",
    elapsed_ms: 1500,
    error: "",
  };
  const answer = (): Reproduction => ({ ...told });
  client.answering.set("reproduce", answer);
  client.answering.set("reproduction", answer);
  const asked = (): AnyRequest[] => client.requests.filter(({ op }) => op === "reproduce");
  await click(root, "reproduce");
  assert.match(find(root, "reproduce-ask").textContent ?? "", /Runs the 2 cells.*took 1\.4 s.*written again/);
  assert.deepEqual(asked(), []);
  await click(root, "confirm-reproduce");
  assert.deepEqual(asked(), [{ op: "reproduce", run_id: first.run_id }]);
  assert.match(find(root, "reproducing").textContent ?? "", /1 of 2 cells · now In \[5\] · 1\.5 s/);
  assert.equal(root.querySelector('[role="progressbar"]')?.getAttribute("aria-valuenow"), "50");
  told.state = "done";
  first.capture = {
    slice: SLICE,
    reproduced: {
      reproduced: false,
      verdict: "Not reproduced: 1 of 2 values differ",
      differences: [["metric", "accuracy", "1.0", "<b>0.9</b>"]],
      changed: ["numpy 1 → 2"],
    },
  };
  await new Promise((resolve) => setTimeout(resolve, 800));
  await settle();
  assert.match(find(root, "reproduced").textContent ?? "", /Not reproduced: 1 of 2 values differ/);
  await click(root, "reproduce-details");
  assert.match(find(root, "reproduce-differences").textContent ?? "", /accuracy metric1\.0<b>0\.9<\/b>/);
  assert.match(find(root, "reproduced").textContent ?? "", /Changed since: numpy 1 → 2/);
  assert.equal(find(root, "reproduce").textContent, "Reproduce again");
});

test("Reproduce says why not, can be stopped, and is not offered where there is nothing to run", async () => {
  const { root, client, first } = await page({ slice: SLICE });
  client.failing.set("reproduce", { code: "read_only", message: "reproduce: the store is read-only." });
  await click(root, "reproduce");
  await click(root, "confirm-reproduce");
  assert.match(find(root, "error").textContent ?? "", /the store is read-only/);
  client.failing.clear();
  const base = { run_id: first.run_id, done: 0, total: 2, cell: "", elapsed_ms: 0, error: "" };
  client.answering.set("reproduce", (request) => ({
    ...base,
    state: "stop" in request && request.stop ? "stopped" : "running",
  }));
  client.answering.set("reproduction", () => ({ ...base, state: "running" }));
  await click(root, "reproduce");
  await click(root, "confirm-reproduce");
  assert.match(find(root, "reproducing").textContent ?? "", /Starting a clean kernel/);
  await click(root, "stop-reproduce");
  assert.match(find(root, "reproduce-part").textContent ?? "", /Stopped; the run was not stamped/);
  const bare = await page({});
  assert.equal(bare.root.querySelector('[data-nbt="reproduce"]'), null);
});
